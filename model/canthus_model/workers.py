"""Processes that work for another one, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_without_spinning() -> None:
    """Let PyTorch's threads sleep while they wait for each other, unless the environment says otherwise.

    By default they spin, also while another program uses their core: an epoch then takes three times as long and more.
    It has to be called before torch is imported, whose OpenMP looks only then.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def leave_interrupts() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def obey_the_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has ended."""
    leave_interrupts()
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
