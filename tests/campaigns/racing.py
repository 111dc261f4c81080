"""Two people decide at once; one command is sent many times at once (N9, SECURITY F19 to F21)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.db import connection, transaction

from audit.services import StillRunning, StoredResponse, enqueue, idempotent
from care_loops.domain.loops import DecisionKind
from care_loops.models import BloodPressure, Decision, Loop
from care_loops.policies import AlreadyDecided
from care_loops.services import DecisionInput, decide, take_in
from governance.models import Signature
from tests.factories import arrival_of
from tests.signing_in import signing_key

from .figure import Figure
from .ward import at_once, patient_of, the_site, waiting_loop

WORKERS = 16
KINDS = (DecisionKind.APPROVE, DecisionKind.REJECT, DecisionKind.MODIFY)


def concurrent(loops: int, *, seed: int, owner: Any) -> Figure:
    """Sixteen decisions of two clinicians on each loop, started together: one holds, the others are told whose."""
    hospital, dice = the_site(), random.Random(seed)
    waiting = [waiting_loop(hospital) for _ in range(loops)]
    for name in ("clinician", "other_clinician"):
        signing_key(hospital.people[name], now=hospital.now)  # before they run
    acting = [hospital.acting(name) for name in ("clinician", "other_clinician")]
    plan = [[dice.choice(KINDS) for _ in range(WORKERS)] for _ in range(loops)]
    signed_before = Signature.objects.count()

    def act(number: int, worker: int) -> Decision:
        kind = plan[number][worker]
        key = "stop:29046" if kind is DecisionKind.MODIFY else None
        chosen = DecisionInput(kind, "will_see_patient", "", 2, key)
        return decide(waiting[number].pk, chosen, by=acting[worker % 2], now=hospital.now)

    answers = at_once(WORKERS, loops, act)
    failed = sum(not _one_winner(waiting[number], given) for number, given in enumerate(answers))
    failed += abs(Signature.objects.count() - signed_before - loops)
    return Figure(loops * WORKERS, failed, seed, defect_caught=naive_doubles(owner, rounds=20) > 0)


def _one_winner(loop: Loop, answers: list[object]) -> bool:
    won = [a for a in answers if isinstance(a, Decision)]
    lost = [a for a in answers if isinstance(a, AlreadyDecided)]
    if len(won) != 1 or len(lost) != len(answers) - 1 or Decision.objects.filter(loop=loop).count() != 1:
        return False
    winner = won[0]
    told = {(a.extra["winner"], a.extra["kind"], a.extra["decided_at"], a.status) for a in lost}
    decided = list(loop.steps.filter(decision=winner).values_list("state", flat=True))
    return (
        told == {(winner.decided_by.printed_name, winner.kind, winner.decided_at.isoformat(), 409)}
        and len(decided) == 1
    )


def naive_doubles(owner: Any, *, rounds: int) -> int:
    """The seeded defect: read, then write, without lock or constraint. How many rounds decided more than once."""
    owner.execute("CREATE TABLE IF NOT EXISTS scratch (round int, state text)")
    owner.execute("CREATE TABLE IF NOT EXISTS scratch_decision (round int)")
    owner.execute("GRANT SELECT, INSERT, UPDATE ON scratch, scratch_decision TO PUBLIC")
    try:
        for number in range(rounds):
            owner.execute("INSERT INTO scratch VALUES (%s, 'waiting')", [number])
        at_once(WORKERS, rounds, _naive)
        owner.execute(
            "SELECT count(*) FROM (SELECT 1 FROM scratch_decision GROUP BY round HAVING count(*) > 1) doubled"
        )
        return int(owner.fetchone()[0])
    finally:
        owner.execute("DROP TABLE scratch, scratch_decision")


def _naive(number: int, _worker: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM scratch WHERE round = %s", [number])
        if cursor.fetchone()[0] == "waiting":
            cursor.execute("INSERT INTO scratch_decision VALUES (%s)", [number])
            cursor.execute("UPDATE scratch SET state = 'decided' WHERE round = %s", [number])


def double_submit(commands: int, *, seed: int) -> Figure:
    """The same command sixteen times at once under one key: one effect, and the same answer to the byte."""
    hospital = the_site()
    patient = patient_of(hospital)
    by = hospital.acting("clinician")

    def effect(number: int) -> StoredResponse:
        # A source id of its own each time, so that doing it twice would be seen.
        arrival = arrival_of(
            141, 88, at=hospital.now, source_id=f"{seed}-{number}-{time.perf_counter_ns()}-{random.random()}"
        )
        took = take_in(patient.pk, [arrival], by=by, now=hospital.now, received_at=hospital.now)
        enqueue("loop.reevaluate", {"patient": str(patient.pk)})
        return StoredResponse(status=200, body=json.dumps({"reading": str(took.results[0].reading_id)}).encode())

    def act(number: int, _worker: int) -> bytes:
        body = sha256(str(number).encode()).digest()
        while True:
            try:
                done = idempotent(
                    by.actor, key=f"k{seed}-{number}", route="test", body_sha256=body, work=lambda: effect(number)
                )
            except StillRunning:
                time.sleep(0.002)
            else:
                return done.body

    failed = _doubled(seed, commands, at_once(WORKERS, commands, act), patient.pk)
    without_key = at_once(WORKERS, 2, lambda number, _w: _in_transaction(lambda: effect(-1 - number)))
    caught = all(len({bytes(a) for a in given if isinstance(a, bytes)}) > 1 for given in without_key)
    return Figure(commands * WORKERS, failed, seed, defect_caught=caught)


def _in_transaction(work: Callable[[], StoredResponse]) -> bytes:
    """The seeded defect: the command without its key."""
    with transaction.atomic():
        return work().body


def _doubled(seed: int, commands: int, answers: list[list[object]], patient: object) -> int:
    failed = 0
    for number, given in enumerate(answers):
        stored = BloodPressure.objects.filter(patient=patient, source_id__startswith=f"{seed}-{number}-").count()
        failed += len(set(map(repr, given))) != 1 or stored != 1 or not isinstance(given[0], bytes)
    return failed
