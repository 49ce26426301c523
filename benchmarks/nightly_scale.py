"""What 1, 10 and 1,000 hosts make of a night: simulated, with job times that were measured.

    python benchmarks/nightly_scale.py [results/history.db]

Job times are those of the nightly cells in a workspace's memory, drawn again and again for a matrix as large as asked;
without a memory, those that docs/scale.md names. Kernels are built one a host at a time; each host fetches each kernel
that it needs once, from the machine that started the night, whose line they share.
"""

import heapq
import random
import sqlite3
import sys
from dataclasses import dataclass, field

MEASURED = (15.1, 13.9, 15.2, 24.2, 23.1)
"""Seconds of the five cells of a night on two cores, TCG (docs/scale.md)."""
BUILD = 462.0
"""Seconds of one core for a kernel of this project with a warm ccache: 231 s on two cores."""
KERNEL = 13.0e6
"""Bytes of a kernel as it travels."""
LINE = 125e6
"""Bytes a second out of the machine that started the night: 1 Gbit/s."""
DISPATCH = 0.006
"""Seconds of the scheduler for a job: `dispatch` below with two worker processes, on a busy machine."""
CORES = 16


def measured(path: str) -> tuple[float, ...]:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT duration FROM run WHERE nightly != '' AND attempt = 0 AND status = 'done'")
        return tuple(seconds for (seconds,) in rows) or MEASURED


@dataclass
class Fleet:
    """Hosts and what goes on: a heap of (when, what) and what each host has."""

    hosts: int
    cores: int
    line: float = 0.0  # when the home machine's line is free again
    have: dict[tuple[int, int], float] = field(default_factory=dict)

    def fetch(self, host: int, kernel: int, now: float) -> float:
        """When a host has a kernel: the line gives one parcel after the other."""
        if (host, kernel) not in self.have:
            self.line = max(self.line, now) + KERNEL / LINE
            self.have[host, kernel] = self.line
        return self.have[host, kernel]


def night(hosts: int, cores: int, kernels: int, jobs: list[tuple[float, int]]) -> tuple[float, float]:
    """Seconds of a night: ``jobs`` are (seconds, kernel). Builds go first, a host each, with all of its cores."""
    builders = [0.0] * min(hosts, kernels)
    built = []
    for _ in range(kernels):
        start = heapq.heappop(builders)
        end = start + BUILD / cores
        built.append(end)
        heapq.heappush(builders, end)
    fleet = Fleet(hosts, cores)
    busy_until = sorted(builders) + [0.0] * (hosts - len(builders))
    slots = [(busy_until[host], host) for host in range(hosts) for _ in range(cores)]
    heapq.heapify(slots)
    last = dispatched = 0.0
    for seconds, kernel in sorted(jobs, key=lambda job: (built[job[1]], -job[0])):
        free, host = heapq.heappop(slots)
        dispatched += DISPATCH
        start = max(free, built[kernel], dispatched)
        end = max(start, fleet.fetch(host, kernel, start)) + seconds
        last = max(last, end)
        heapq.heappush(slots, (end, host))
    return last, sum(seconds for seconds, _ in jobs)


def matrix(times: tuple[float, ...], cells: int, kernels: int) -> list[tuple[float, int]]:
    choose = random.Random(7)
    return [(choose.choice(times), choose.randrange(kernels)) for _ in range(cells)]


def clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def main() -> None:
    times = measured(sys.argv[1]) if len(sys.argv) > 1 else MEASURED
    print(f"{len(times)} measured cells, {sum(times) / len(times):.1f} s on average; hosts of {CORES} cores")
    print(f"{'cells':>8} {'kernels':>8} {'hosts':>6} {'takes':>10} {'cores busy':>11}")
    for cells, kernels in ((240, 12), (10_000, 48), (100_000, 200)):
        jobs = matrix(times, cells, kernels)
        for hosts in (1, 10, 1000):
            seconds, work = night(hosts, CORES, kernels, jobs)
            busy = (work + kernels * BUILD) / (seconds * hosts * CORES)
            print(f"{cells:>8,} {kernels:>8} {hosts:>6,} {clock(seconds):>10} {busy:>10.0%}")


def dispatch(address: str, count: int = 2000) -> float:
    """Seconds that a scheduler and its workers take for a job that does nothing."""
    import time

    from distributed import Client

    with Client(address) as client:
        began = time.perf_counter()
        client.gather(client.map(lambda number: number, range(count), pure=False))
        return (time.perf_counter() - began) / count


if __name__ == "__main__":
    main()
