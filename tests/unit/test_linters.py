"""The linters are tests: what they say holds on every machine that runs `./lab test`."""

import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def tool(*argv):
    done = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_check():
    tool(sys.executable, "-m", "ruff", "check", "--output-format", "concise", ".")


def test_ruff_format():
    tool(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_strict():
    tool(sys.executable, "-m", "mypy")


def test_shellcheck():
    tool("shellcheck", "lab", ".ci/run")


def test_spelling():
    known = "--ignore-words-list=fpr,creat,sie,parms,extraversion"
    tool(sys.executable, "-m", "codespell_lib", known, "README.md", "docs", "harness", "testcases", "images")
