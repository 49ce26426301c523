"""For all tests."""

import signal


def pytest_configure():
    """Whoever starts the tests in the background of a script has them ignore Ctrl-C, and with them what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
