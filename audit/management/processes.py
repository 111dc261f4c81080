"""What our long-running commands share: they refuse to work on a log shorter than witnessed, and end with a signal."""

from __future__ import annotations

import signal
import threading

from django.core.management.base import CommandError

from audit.services.witnessing import LogShorterThanWitnessed, refuse_shorter_log
from audit.witness_policy import PolicyInvalid

SHORTER = 3


def refuse_to_run_on_a_shorter_log() -> None:
    """Ask the witnesses first (SECURITY 3.6). CommandError 3: they have seen more; 2: the policy file is bad."""
    try:
        refuse_shorter_log()
    except LogShorterThanWitnessed as reason:
        raise CommandError(str(reason), returncode=SHORTER) from reason
    except (OSError, PolicyInvalid) as reason:
        raise CommandError(f"the policy file is of no use: {reason}", returncode=2) from reason


def until_told_to_stop() -> threading.Event:
    """An event that the signals of an operator or supervisor set."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    return stop
