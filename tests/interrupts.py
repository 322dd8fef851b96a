"""What a test that interrupts a process needs."""

import signal


def listen() -> None:
    """To be run in the child before its program: a shell may have begun the tests deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
