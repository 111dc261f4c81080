"""One simulated device through its days: measures, tries to send each evening, crashes, comes back, and sends the rest.

Rules
 * Only the device's disk survives a crash; whatever was in memory is gone.
 * The faults end with the days: what the last rounds send over a good line is what the buffer still held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from ..runtime import DeviceRuntime, Ended, Identity, Line
from .faults import BadLine, Crashed, Crashing
from .person import Reading, readings

LAST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares between 0 and 1: of messages that find no line, that are sent twice, of steps that crash."""

    offline: float = 0.0
    duplicate: float = 0.0
    crash: float = 0.0


@dataclass(frozen=True, slots=True)
class Driven:
    """What one device did: how many readings it recorded, what it was answered, what still waits."""

    recorded: int
    answers: tuple[dict[str, Any], ...]
    waiting: int
    crashes: int
    ended: Ended


def drive(
    disk: Path,
    identity: Identity,
    line: Line,
    *,
    seed: int,
    first_day: date,
    days: int,
    faults: Faults,
    clock: Callable[[], datetime],
) -> Driven:
    """Live through the days with these faults, then send the rest. `clock` is the device's clock."""
    chance = Random(seed + 1)  # noqa: S311 - a simulation is to be repeatable, not secret
    bad = BadLine(line, chance, faults.offline, faults.duplicate, faults.offline / 2)
    crashing = Crashing(chance, faults.crash)
    answers: list[dict[str, Any]] = []
    now = clock()
    taken = (r for r in readings(seed=seed, zone=identity.zone, first_day=first_day, days=days) if r.taken_at <= now)
    for _, day in groupby(taken, key=lambda reading: reading.taken_at.date()):
        for reading in day:
            _survive(disk, identity, bad, crashing, partial(_record, reading=reading))
        sent = _survive(disk, identity, bad, crashing, lambda device: device.sync(now=clock()))
        answers += sent.answers if sent else ()
    ended, device = Ended.TRY_LATER, DeviceRuntime(disk, identity, line)
    for _ in range(LAST_ROUNDS):
        last = device.sync(now=clock())
        answers += last.answers
        ended = last.ended
        if ended in (Ended.ALL_SENT, Ended.REFUSED):
            break
    waiting, recorded = len(device.waiting()), len(device.kept())
    device.close()
    return Driven(recorded, tuple(answers), waiting, crashing.times, ended)


def _record(device: DeviceRuntime, reading: Reading) -> int:
    return device.record(reading.content)


def _survive(
    disk: Path, identity: Identity, line: Line, crashing: Crashing, act: Callable[[DeviceRuntime], Any]
) -> Any:
    """Start the device, let it act, perhaps lose it."""
    device = DeviceRuntime(disk, identity, line, step=crashing)
    try:
        return act(device)
    except Crashed:
        return None
    finally:
        device.close()
