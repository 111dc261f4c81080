"""On the phone and in the worker: what rests on a regimen that changed elsewhere takes no yes, and ends by name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from care_loops.domain.loops import LoopState
from care_loops.domain.record import DrugClass
from care_loops.models import Alert, FirstIntake, IntakeLog, Loop, RegimenEntry
from care_loops.services import NewRegimenEntry, record_regimen_entry
from care_loops.tasks import look_again
from tests.care_loops.api.world import JOB, World
from tests.factories import AMLODIPINE, LISINOPRIL


def another_doctor_starts_lisinopril(world: World) -> None:
    line = NewRegimenEntry(
        source_system="elsewhere",
        source_id="line-1",
        ingredient=LISINOPRIL,
        name="lisinopril",
        drug_class=DrugClass.ACE_INHIBITOR,
        product="",
        daily_dose_mg=Decimal(10),
        step_index=1,
        stopped=False,
        starts_at=world.now,
        unknown_reason="",
        code_system="http://www.nlm.nih.gov/research/umls/rxnorm",
        code="314076",
    )
    record_regimen_entry(world.patient.pk, line, by=JOB, now=world.now)


def ended(loop: Loop) -> tuple[str, str]:
    loop.refresh_from_db()
    return loop.state, loop.steps.latest("seq").reason_code


TAKEN_BACK = (LoopState.RECALLED, "other_drugs_changed_elsewhere")


def test_the_phone_shows_it_as_over_and_its_yes_is_refused_until_the_worker_takes_it_back(world):
    loop = world.delivered()
    another_doctor_starts_lisinopril(world)
    shown = world.marys.get(f"me/recommendations/{loop.pk}").json()
    assert (shown["waits_for_you"], shown["message"]) == (False, "")
    answer = world.marys.post(f"me/recommendations/{loop.pk}/accept", key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_now")
    assert not RegimenEntry.objects.filter(loop=loop).exists()
    assert look_again() == 1
    assert ended(loop) == TAKEN_BACK
    assert Alert.objects.get(patient=world.patient, kind="regimen_changed").rules == [TAKEN_BACK[1]]
    assert world.marys.get(f"me/recommendations/{loop.pk}").json()["waits_for_you"] is False


def test_a_first_dose_logged_on_the_phone_confirms_nothing_and_somebody_is_called(world):
    loop = world.delivered()
    assert world.marys.post(f"me/recommendations/{loop.pk}/accept", key="k-1").status_code == 200
    another_doctor_starts_lisinopril(world)
    at = datetime.now(UTC)
    dose = {"source_id": "d-1", "ingredient": AMLODIPINE, "due_on": at.date().isoformat(), "taken": True}
    assert world.marys.post("me/intakes", dose | {"taken_at": at.isoformat()}).status_code == 201
    assert IntakeLog.objects.filter(patient=world.patient).latest("received_at").taken
    assert not FirstIntake.objects.filter(regimen_entry__loop=loop).exists()
    assert ended(loop) == TAKEN_BACK
    assert Alert.objects.get(patient=world.patient, kind="regimen_changed").pages
