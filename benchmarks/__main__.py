"""python -m benchmarks NAME [OPTIONS]"""

from __future__ import annotations

import importlib
import sys

NAMES = ("warm", "forks", "builds", "first", "vng")


def main() -> None:
    if sys.argv[1:2] == [] or sys.argv[1] not in NAMES:
        sys.exit(f"python -m benchmarks {'|'.join(NAMES)} [OPTIONS]; -h with a name says what it measures")
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])


main()
