"""Side-by-side measurements, each one command: `python -m benchmarks NAME` with the lab's own Python.

Every number comes with the load of the machine before it was taken; processor seconds say more than a clock on a
machine that does other things too. docs/performance.md keeps the last tables.
"""
