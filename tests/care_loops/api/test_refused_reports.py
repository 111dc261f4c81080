"""Whatever a phone's report is refused for: danger in it is answered in the same breath (N4, decision 90)."""

import json
from collections.abc import Callable
from itertools import count

import pytest

from care_loops.danger import When, bars
from care_loops.domain.record import SymptomKind
from care_loops.models import Alert, AlertEvent, BloodPressure, ImportRefusal, Symptom
from care_loops.pathways.hypertension.tables_danger import danger_table
from care_loops.selectors.danger import danger_context
from governance.domain import Role
from tests.care_loops.api.test_reports import at, reading
from tests.care_loops.api.world import World

#: Every kind that a rule speaks of, alone and for anybody.
DANGER = sorted(
    {
        kind
        for rule in danger_table().of(When.SYMPTOM)
        if rule.population.value == "all" and not rule.drug_classes
        for kind in rule.symptoms
    }
)
SPOILT = {
    "no offset": {"felt_at": "2026-11-22T10:00:00"},
    "half an hour ahead": {"felt_at": at(minutes=-30)},
    "no time": {"felt_at": None},
    "a time of a reset clock": {"felt_at": "1970-01-01T00:05:00+00:00", "extra": 1},
    "too many words": {"text": "x" * 5000},
    "words of another type": {"text": ["x"]},
    "another field": {"extra": 1},
    "no name": {"source_id": ""},
    "a name of another type": {"source_id": 7},
    "a drug of another type": {"suspected_ingredient": 7},
    "the kind in capitals": {},
}


def felt(kind: str = "syncope", **more: object) -> dict[str, object]:
    return {"source_id": "s-1", "kind": kind, "felt_at": at(minutes=1)} | more


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_dangerous_symptom_of_which_any_other_part_is_spoiled_alarms(world, spoil):
    assert {SymptomKind.SYNCOPE, SymptomKind.SWELLING_FACE, SymptomKind.CHEST_PAIN} <= set(DANGER)
    for number, kind in enumerate(DANGER):
        said = kind.value.upper() if spoil == "the kind in capitals" else kind.value
        before = AlertEvent.objects.count()
        answer = world.marys.post("me/symptoms", felt(said, source_id=f"s-{number}") | SPOILT[spoil])
        assert answer.status_code == 400, (kind, answer.content)
        assert answer.json()["what_to_do_now"], kind
        assert AlertEvent.objects.count() > before, kind
    assert sorted(Symptom.objects.values_list("kind", flat=True)) == [kind.value for kind in DANGER]
    assert not Symptom.objects.exclude(text="", suspected_ingredient="").exists()
    assert ImportRefusal.objects.count() == len(DANGER)


def test_a_refused_symptom_of_no_danger_leaves_its_refusal_and_history_pages_nobody(world):
    answer = world.marys.post("me/symptoms", felt("cough", extra=1))
    assert (answer.status_code, "what_to_do_now" in answer.json()) == (400, False) or not answer.json()[
        "what_to_do_now"
    ]
    world.marys.post("me/symptoms", felt("syncope", extra=1, felt_at=at(days=20)))
    assert (Alert.objects.count(), Symptom.objects.count(), ImportRefusal.objects.count()) == (0, 0, 2)


def test_the_same_refused_symptom_sent_again_is_seen_once(world):
    said = felt(extra=1)
    for _ in range(2):
        assert world.marys.post("me/symptoms", said).json()["what_to_do_now"]
    assert (AlertEvent.objects.count(), Symptom.objects.count()) == (1, 1)


def test_a_valid_symptom_from_a_clock_that_was_reset_is_felt_now(world):
    answer = world.marys.post("me/symptoms", felt(felt_at="1970-01-01T00:05:00+00:00"))
    assert answer.status_code == 201
    assert answer.json()["what_to_do_now"]
    table = danger_table()
    now = Alert.objects.get().raised_at
    assert bars(danger_context(world.patient, now=now, table=table), now=now, table=table)


@pytest.mark.parametrize("when", ["1970-01-01T00:05:00+00:00", "2000-01-01T00:05:00+00:00"])
@pytest.mark.parametrize("more", [{}, {"pulse": "E"}], ids=["valid", "spoiled"])
def test_a_dangerous_reading_from_a_clock_that_was_reset_counts_as_now(world, when, more):
    answer = world.marys.post("me/readings", reading(210, 130, taken_at=when, **more))
    assert answer.status_code == (400 if more else 201)
    assert answer.json()["what_to_do_now"]
    row, alert = BloodPressure.objects.get(), Alert.objects.get()
    assert (alert.kind, row.quarantined != "", "clock_uncertain" in row.flags) == ("crisis", True, True)


REPORTS = {
    "me/readings": lambda name: reading(210, 130, source_id=name),
    "me/symptoms": lambda name: felt(source_id=name),
}
HARMLESS = {"me/readings": lambda: reading(source_id="h"), "me/symptoms": lambda: felt("cough", source_id="h")}


def _key_used(world: World, door: str, body: dict) -> object:
    world.marys.post(door, HARMLESS[door](), key="k-1")
    return world.marys.post(door, body, key="k-1")


def _typed(kind: str) -> Callable[[World, str, dict], object]:
    def send(world: World, door: str, body: dict) -> object:
        phone = world.marys
        return phone.web.post(
            f"/api/v1/{door}", data=json.dumps(body).encode(), content_type=kind, headers=phone._headers({})
        )

    return send


def _put(world: World, door: str, body: dict) -> object:
    phone = world.marys
    return phone.web.put(
        f"/api/v1/{door}", data=json.dumps(body).encode(), content_type="application/json", headers=phone._headers({})
    )


REFUSED = {
    "a key used before": (422, _key_used),
    "an unusable key": (400, lambda world, door, body: world.marys.post(door, body, key="k 1")),
    "an unknown query": (400, lambda world, door, body: world.marys.post(f"{door}?app=2", body)),
    "a record misnamed": (400, lambda world, door, body: world.marys.post(f"{door}?patient=me", body)),
    "fhir": (415, _typed("application/fhir+json")),
    "text": (415, _typed("text/plain")),
    "another method": (405, _put),
}


@pytest.mark.parametrize("door", sorted(REPORTS))
@pytest.mark.parametrize("why", REFUSED)
def test_a_dangerous_report_is_looked_at_whatever_it_is_refused_for(world, door, why):
    status, send = REFUSED[why]
    answer = send(world, door, REPORTS[door]("q"))
    assert answer.status_code == status, answer.content
    assert answer.json()["what_to_do_now"]
    assert Alert.objects.filter(patient=world.patient).exists()
    assert ImportRefusal.objects.count() == 1


def test_who_is_not_let_in_pages_nobody(world):
    world.marys.token, numbers = "nobody", count(1)
    for door, report in REPORTS.items():
        for query in ("", "?app=2"):
            assert world.marys.post(f"{door}{query}", report(f"q{next(numbers)}")).status_code == 401
    assert not Alert.objects.exists()
    assert not ImportRefusal.objects.exists()


def test_a_refused_report_goes_to_no_other_record_than_the_one_meant(world):
    other, _ = world.stranger()
    for query in (
        f"?patient={other.pk}&app=2",
        f"?patient={other.pk}",
        f"?patient={other.pk}&patient={world.patient.pk}",
    ):
        world.marys.post(f"me/readings{query}", reading(210, 130, source_id="q"))
    assert not Alert.objects.exists()
    carer = world.phone(world.joined(world.patient.pk, Role.CARER))
    assert carer.post("me/readings?app=2", reading(210, 130, source_id="c")).status_code == 400
    assert set(Alert.objects.values_list("patient", flat=True)) == {world.patient.pk}


@pytest.mark.parametrize(("upper", "more"), [("2.1e2", {"extra": 1}), ("210.0E0", {"extra": 1})])
def test_a_number_with_an_exponent_is_one(world, upper, more):
    body = json.dumps(reading(777, 95, **more)).replace("777", upper)
    assert world.marys.post("me/readings", raw=body.encode()).status_code == 400
    assert Alert.objects.get().kind == "crisis"


@pytest.mark.parametrize("upper", ["1e999999999", "-1e-999999999", "1e31"])
def test_a_number_of_no_size_is_none(world, upper):
    body = json.dumps(reading(777, 80, extra=1)).replace("777", upper)
    assert world.marys.post("me/readings", raw=body.encode()).status_code == 400
    assert not Alert.objects.exists()
