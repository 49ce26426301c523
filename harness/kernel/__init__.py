"""(base, series, config) -> a bootable kernel, cached by the content of its inputs.

``source`` fetches a base, ``series`` reads and applies patches, ``config`` merges Kconfig fragments, ``tree`` keeps the
private work trees that are built in, ``build`` ties them together. ``request`` makes what ``build`` wants from the
catalogue.
"""
