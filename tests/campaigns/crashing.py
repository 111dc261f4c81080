"""A process dies at every point of ingest, of closing a window and of deciding, and at random instants (N9, F1, F5).

The child is a fork with a connection of its own. It dies by `os._exit` before or after its n-th statement or its
COMMIT, or is killed. What it has acknowledged it has written to a pipe first. F1, F5: SECURITY.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from uuid import UUID

from django.db import connection, connections

from audit.models import Outbox
from audit.selectors import count_entries
from care_loops.domain.loops import DecisionKind
from care_loops.models import Alert, AlertEvent, BloodPressure, Decision, Loop, Step
from care_loops.policies import AlreadyDecided
from care_loops.services import ArrivalOutcome, DecisionInput, close_window, decide, take_in
from governance.models import Signature
from governance.services import acting_device
from tests.factories import Hospital, arrival_of, job

from .figure import Figure
from .ward import five_weeks_measured, patient_of, the_site, waiting_loop

DIED = 42
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Died:
    """How the child ended: whether it died where it was told to, and what it had acknowledged before."""

    at_point: bool
    acknowledged: bytes


def in_child(act: Callable[[], bytes], *, point: int | None = None, after: bool = False) -> Died:
    """Do `act` in a child that dies at statement `point` (COMMIT counts as one), before it or after it."""
    connections.close_all()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            _arm(point, after=after)
            os.write(write, act())
        finally:
            os._exit(0)
    os.close(write)
    said = b"".join(iter(lambda: os.read(read, 4096), b""))
    os.close(read)
    _, status = os.waitpid(child, 0)
    return Died(os.waitstatus_to_exitcode(status) == DIED, said)


def _arm(point: int | None, *, after: bool) -> None:
    steps = count(1)

    def passing(do: Callable[[], object]) -> object:
        here = next(steps) == point
        if here and not after:
            os._exit(DIED)
        done = do()
        if here:
            os._exit(DIED)
        return done

    connection.ensure_connection()
    connection.execute_wrappers.append(lambda execute, *args: passing(lambda: execute(*args)))
    commit = connection._commit
    connection._commit = lambda: passing(commit)


def every_point(act: Callable[[], bytes]) -> Iterator[tuple[int, bool, Died]]:
    """`act` killed before and after each of its statements, until it has no more."""
    for point in count(1):
        for after in (False, True):
            died = in_child(act, point=point, after=after)
            if not died.at_point:
                return
            yield point, after, died


def state_of_record() -> tuple[int, ...]:
    """Everything that ingest and deciding write, counted."""
    tables = (BloodPressure, Alert, AlertEvent, Step, Decision, Signature, Outbox)
    return (*(table.objects.count() for table in tables), count_entries())


def ingest_points(*, times: int = 1) -> tuple[int, int]:
    """A dangerous reading sent again after a crash at every point. How many points, and how many broke a promise."""
    hospital = the_site()
    patient = patient_of(hospital)
    tried = failed = 0
    for _ in range(times):
        name = f"crash-{next(_numbers)}"

        def act(name: str = name) -> bytes:
            arrival = arrival_of(188, 124, at=hospital.now, source_id=name)
            return (
                take_in(patient.pk, [arrival], by=acting_device("cuff-1"), now=hospital.now, received_at=hospital.now)
                .results[0]
                .outcome.value.encode()
            )

        before = state_of_record()
        for point, after, died in every_point(act):
            tried += 1
            now = state_of_record()
            stored = BloodPressure.objects.filter(source_id=name).count()
            whole = now == before if not stored else all(b > a for a, b in zip(before, now, strict=True) if b != a)
            entry_there = stored == (now[-1] > before[-1])
            failed += not whole or not entry_there or bool(died.acknowledged and not stored) or stored > 1
            if stored:  # it died after the commit: everything is there, and sending again is told so
                failed += in_child(act).acknowledged != ArrivalOutcome.DUPLICATE.value.encode()
                failed += state_of_record() != now
                break
            del point, after
        else:
            failed += BloodPressure.objects.filter(source_id=name).count() != 1
    return tried, failed


def decide_points(*, times: int = 1) -> tuple[int, int]:
    """A decision taken again after a crash at every point."""
    hospital = the_site()
    by = hospital.acting("clinician")
    tried = failed = 0
    for _ in range(times):
        loop = waiting_loop(hospital)

        def act(loop_id: UUID = loop.pk) -> bytes:
            chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", 2)
            try:
                return decide(loop_id, chosen, by=by, now=hospital.now).kind.encode()
            except AlreadyDecided as refusal:
                return f"already:{refusal.extra['winner']}".encode()

        before = state_of_record()
        for _point, _after, died in every_point(act):
            tried += 1
            now, decided = state_of_record(), Decision.objects.filter(loop=loop).count()
            loop = Loop.objects.get(pk=loop.pk)
            if not decided:
                failed += now != before or loop.state != "with_clinician" or bool(died.acknowledged)
                continue
            failed += (
                loop.state != "approved" or decided != 1 or Outbox.objects.filter(topic="loop.deliver").count() < 1
            )
            failed += in_child(act).acknowledged != b"already:Clinician Example"
            failed += state_of_record() != now
            break
        failed += Decision.objects.filter(loop=loop).count() != 1
    return tried, failed


def window_points(*, times: int = 1) -> tuple[int, int]:
    """A worker that closes a window, dead at every point of it; the next round hands the same window out again."""
    hospital = the_site()
    tried = failed = 0
    for _ in range(times):
        patient = five_weeks_measured(hospital)

        def act(patient_id: UUID = patient.pk) -> bytes:
            loop = close_window(patient_id, by=job("close-windows"), now=hospital.now)
            return loop.state.encode() if loop else b"closed before"

        before = state_of_record()
        for _point, _after, died in every_point(act):
            tried += 1
            now, opened = state_of_record(), Loop.objects.filter(patient=patient)
            if not opened:
                failed += now != before or bool(died.acknowledged)
                continue
            failed += [loop.state for loop in opened] != ["with_clinician"]
            failed += in_child(act).acknowledged != b"closed before"
            failed += state_of_record() != now
            break
        failed += Loop.objects.filter(patient=patient).count() != 1
    return tried, failed


def crash_points(times: int, *, seed: int) -> Figure:
    """Every point of the three, and a writer that answers before its commit, which must be caught."""
    ingest, wrong_ingest = ingest_points(times=times)
    windows, wrong_windows = window_points(times=times)
    deciding, wrong_deciding = decide_points(times=times)
    detail = f"{ingest} points of ingest, {windows} of closing a window, {deciding} of deciding"
    wrong = wrong_ingest + wrong_windows + wrong_deciding
    return Figure(ingest + windows + deciding, wrong, seed, early_answer_is_caught(), detail)


def early_answer_is_caught() -> bool:
    """The seeded defect: acknowledge first, store afterwards. Some kill then loses what was acknowledged."""
    hospital = the_site()
    patient = patient_of(hospital)

    def early(send: Callable[[bytes], object], name: str) -> None:
        send(name.encode() + b"\n")
        time.sleep(0.002)
        _store(hospital, patient.pk, name)

    kept, acknowledged = _killed(early, kills=6, dice=random.Random(1))
    return acknowledged - kept > 0


def kill_writers(kills: int, *, seed: int) -> Figure:
    """Writers killed at random instants: what they acknowledged is there, once."""
    hospital = the_site()
    patient = patient_of(hospital)

    def honest(send: Callable[[bytes], object], name: str) -> None:
        _store(hospital, patient.pk, name)
        send(name.encode() + b"\n")

    kept, acknowledged = _killed(honest, kills=kills, dice=random.Random(seed))
    half = BloodPressure.objects.filter(patient=patient).count() - _batches(patient.pk)
    return Figure(
        kills, acknowledged - kept + abs(half), seed, early_answer_is_caught(), f"{acknowledged} acknowledged"
    )


def _batches(patient: UUID) -> int:
    """Entries that readings of this patient name and that are in the record."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM care_loops_bloodpressure b WHERE patient_id = %s AND EXISTS"
            " (SELECT 1 FROM audit_pending p WHERE p.entry_id = b.entry)",
            [patient],
        )
        return int(cursor.fetchone()[0])


def _store(hospital: Hospital, patient: UUID, name: str) -> None:
    at = hospital.now - timedelta(seconds=next(_numbers))
    arrival = arrival_of(141, 88, at=at, source_id=name)
    take_in(patient, [arrival], by=acting_device("cuff-1"), now=hospital.now, received_at=hospital.now)


def _killed(
    work: Callable[[Callable[[bytes], object], str], None], *, kills: int, dice: random.Random
) -> tuple[int, int]:
    """Kill a writer so often. How many of the acknowledged readings are there exactly once, and how many there were."""
    acknowledged: list[str] = []
    for number in range(kills):
        connections.close_all()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            send = partial(os.write, write)
            for n in count():
                work(send, f"kill-{id(dice)}-{number}-{n}-{os.getpid()}")
        os.close(write)
        first = os.read(read, 4096)  # it is at work
        time.sleep(dice.uniform(0.001, 0.08))
        os.kill(child, signal.SIGKILL)
        rest = b"".join(iter(lambda: os.read(read, 65536), b""))  # noqa: B023
        os.close(read)
        os.waitpid(child, 0)
        acknowledged += (first + rest).decode().split()
    kept = sum(BloodPressure.objects.filter(source_id=name).count() == 1 for name in acknowledged)
    return kept, len(acknowledged)
