"""A kernel-patch test harness and QEMU lab.

The way of the data: catalogue -> plan -> kernel + guest -> machine -> verdict -> results. See docs/architecture.md.
"""

__version__ = "0.1.0"
