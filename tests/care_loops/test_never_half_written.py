"""What is done and what is recorded are there together or not at all, for every act; each step has its entry (N5)."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction

from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.record import LabKind, SymptomKind
from care_loops.models import Step
from care_loops.services import (
    Answer,
    DecisionInput,
    NewIntake,
    NewLab,
    NewSymptom,
    OrderInput,
    acknowledge_alert,
    close_window,
    correct_reading,
    decide,
    deliver,
    dispose_alert,
    expire_loops,
    log_intake,
    merge_patients,
    recall,
    record_lab,
    record_symptom,
    respond,
    take_in,
    write_order,
)
from care_loops.services.moves import EVENT
from governance.services import acting_device
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import LISINOPRIL, NOW, Hospital, arrival_of, job

S = LoopState
SOON = NOW + timedelta(hours=2)


class Broke(Exception):
    """The wire was cut."""


class Cut:
    """Cuts the wire after so many writes."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, execute, statement, params, many, context):
        done = execute(statement, params, many, context)
        if statement.lstrip().startswith(("INSERT", "UPDATE", "WITH")):
            self.left -= 1
            if self.left == 0:
                raise Broke
        return done


def acts(h: Hospital) -> dict[str, object]:
    """Every act of the loop, ready to be done once."""
    clinician, patient = h.acting("clinician", now=SOON), h.patient()
    h.measures(patient, 188, 95)
    alert, row = patient.alerts.get(), patient.blood_pressures.get()
    at = {state: h.loop_at(state) for state in (S.WITH_CLINICIAN, S.APPROVED, S.DELIVERED, S.ACCEPTED)}
    fresh, other, third = h.patient(), h.patient(), h.patient()
    h.weeks(fresh, *[(150, 92)] * 5)
    delivered, accepted = at[S.DELIVERED], at[S.ACCEPTED]
    dose = NewIntake("t", "x-dose", LISINOPRIL, SOON.date(), taken=True, taken_at=SOON)
    lab = NewLab("t", "x-lab", LabKind.POTASSIUM, Decimal("6.4"), "6.4", "mmol/L", SOON)
    cough = NewSymptom("t", "x-cough", SymptomKind.COUGH, LISINOPRIL, "", SOON)
    reading = arrival_of(190, 124, at=SOON, source_id="x-reading")
    approve = DecisionInput(DecisionKind.APPROVE, "", "", 2)
    order = OrderInput("start:17767:5", "different_drug_preferred", "seen")
    return {
        "take_in": lambda: take_in(other.pk, [reading], by=acting_device("c"), now=SOON, received_at=SOON),
        "record_lab": lambda: record_lab(other.pk, lab, by=job(), now=SOON),
        "record_symptom": lambda: record_symptom(other.pk, cough, by=h.own(other, now=SOON), now=SOON),
        "close_window": lambda: close_window(fresh.pk, by=job(), now=NOW),
        "decide": lambda: decide(at[S.WITH_CLINICIAN].pk, approve, by=clinician, now=SOON),
        "deliver": lambda: deliver(at[S.APPROVED].pk, by=job(), now=SOON),
        "respond": lambda: respond(
            delivered.pk, Answer.ACCEPT, reason_code="", by=h.own(delivered.patient, now=SOON), now=SOON
        ),
        "log_intake": lambda: log_intake(accepted.patient_id, dose, by=h.own(accepted.patient, now=SOON), now=SOON),
        "acknowledge": lambda: acknowledge_alert(alert.pk, by=clinician, now=SOON),
        "dispose": lambda: dispose_alert(alert.pk, code="treated", text="", by=clinician, now=SOON),
        "correct": lambda: correct_reading(
            row.pk, reason="wrong_patient", moved_to=third.pk, text="", by=clinician, now=SOON
        ),
        "order": lambda: write_order(third.pk, order, by=clinician, now=SOON),
        "merge": lambda: merge_patients(third.pk, other.pk, reason="x", by=h.acting("admin"), now=SOON),
        "expire": lambda: expire_loops(by=job(), now=NOW + timedelta(days=30)),
    }


def everything() -> dict[str, int]:
    """Rows of every table, counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [
            t for (t,) in cursor.fetchall() if t.startswith(("care_loops_", "audit_", "governance_", "model_reg"))
        ]
        cursor.execute(" UNION ALL ".join(f"SELECT '{t}', count(*) FROM {t}" for t in sorted(tables)))
        return dict(cursor.fetchall())


def test_an_act_that_breaks_after_any_of_its_writes_leaves_nothing(hospital):  # noqa: F811
    for name, act in acts(hospital).items():
        before = everything()
        for after in range(1, 100):
            try:
                with transaction.atomic(), connection.execute_wrapper(Cut(after)):
                    act()
            except Broke:
                assert everything() == before, (name, after)
                continue
            break
        assert after > 2, f"{name} wrote nothing that could be cut"
        now = everything()
        assert now["audit_pending"] > before["audit_pending"], f"{name} left no entry"
    commits()


def test_each_step_has_exactly_one_entry_and_each_entry_its_step(hospital):  # noqa: F811
    """The projection of the record on the histories: nothing more and nothing less on either side."""
    for state in (S.DONE, S.DECLINED, S.REJECTED, S.EXPIRED, S.WITH_PATIENT):
        hospital.loop_at(state)
    loop = hospital.loop_at(S.DELIVERED)
    recall(loop.pk, reason_code="will_see_patient", free_text="", by=hospital.acting("clinician"), now=SOON)
    pass_on(SOON)
    commits()
    with connection.cursor() as cursor:
        cursor.execute("SELECT entry_id::text, leaf FROM audit_pending")
        leaves = {entry: json.loads(bytes(leaf).split(b"\n", 2)[2]) for entry, leaf in cursor.fetchall()}
    recorded = {
        (e["object"]["id"], e["object"]["version"], e["type"], entry)
        for entry, e in leaves.items()
        if e["object"]["type"] == "recommendation"
    }
    rows = Step.objects.select_related("loop")
    kept = {(str(s.loop_id), s.seq, _kind(s), str(s.entry)) for s in rows}
    assert recorded == kept
    assert {s.state for s in rows} >= {"done", "declined", "rejected", "expired", "recalled", "with_patient"}


def _kind(step: Step) -> str:
    if step.state == S.WITH_CLINICIAN.value and step.before == S.WITH_PATIENT.value:
        return "recommendation.escalated_to_clinician"
    return EVENT[S(step.state)]
