"""Nothing on record is not nothing taken: without a list of medicines, or the word that there are none, no change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command

from care_loops.domain.loops import LoopState
from care_loops.domain.record import NO_LIST, DrugClass, Regimen
from care_loops.models import Patient, RegimenEntry
from care_loops.policies import LimitStops
from care_loops.selectors.regimen import regimen_now
from care_loops.services import (
    Answer,
    NewRegimenEntry,
    OrderInput,
    deliver,
    record_no_medicines,
    record_regimen_entry,
    replay,
    respond,
    say_no_medicines,
    write_order,
)
from governance.domain import NotAllowed, NotFound
from tests.care_loops.fhir_cases import LOINC, SNOMED, bundle, concept, daily, order, patient
from tests.care_loops.importing import LISINOPRIL_10, regimen, the_patient
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import LISINOPRIL, NOW, job

pytestmark = pytest.mark.django_db
HIGH = [(150, 92)] * 5
CONTRADICTS = "record_disagrees: no medicines"


def closed(hospital, **how):  # noqa: F811
    person = hospital.patient(drugs=(), **how)
    hospital.weeks(person, *HIGH)
    return hospital.close(person)


def test_without_any_list_nothing_is_proposed_and_why_is_named_and_replays(hospital):  # noqa: F811
    loop = closed(hospital, listed=False)
    assert (loop.state, loop.withheld_reason) == (LoopState.WITHHELD, "no_list_of_medicines")
    assert regimen_now(loop.patient, now=NOW).unknown == (NO_LIST,)
    assert replay(loop.pk).identical
    commits()


def test_where_it_is_on_record_that_none_are_taken_treatment_may_begin(hospital):  # noqa: F811
    loop = closed(hospital)
    assert (loop.state, loop.change_kind) == (LoopState.WITH_CLINICIAN, "start")
    assert regimen_now(loop.patient, now=NOW).fully_known
    commits()


def test_a_list_of_which_all_was_stopped_is_a_list(hospital):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False)
    hospital.takes(person, LISINOPRIL, "10", since=NOW - timedelta(days=90))
    stopped = NewRegimenEntry(
        source_system="test",
        source_id="stopped",
        ingredient=LISINOPRIL,
        name="lisinopril",
        drug_class=DrugClass.ACE_INHIBITOR,
        product="",
        daily_dose_mg=None,
        step_index=None,
        stopped=True,
        starts_at=NOW - timedelta(days=50),
        unknown_reason="",
        code_system="",
        code="",
    )
    record_regimen_entry(person.pk, stopped, by=job("import"), now=NOW)
    assert regimen_now(person, now=NOW) == Regimen((), ())


def test_a_start_cannot_be_ordered_blindly_either(hospital):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False)
    order_it = OrderInput(f"start:{LISINOPRIL}:10", "agrees_with_plan", "")
    with pytest.raises(LimitStops) as refusal:
        write_order(person.pk, order_it, by=hospital.acting("clinician"), now=NOW)
    assert "all-regimen-unknown" in {said["rule"] for said in refusal.value.extra["rules"]}


def test_what_our_own_loop_wrote_is_no_list(hospital):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False)
    by = hospital.acting("clinician")
    told = OrderInput(f"start:{LISINOPRIL}:10", "agrees_with_plan", "asked by phone", override=("all-regimen-unknown",))
    loop = write_order(person.pk, told, by=by, now=NOW)
    deliver(loop.pk, by=job(), now=NOW)
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(person), now=NOW)
    hospital.doses(person, [LISINOPRIL], days=7, until=NOW + timedelta(days=8))
    later = regimen_now(person, now=NOW + timedelta(days=9))
    assert ([drug.ingredient for drug in later.drugs], later.unknown) == ([LISINOPRIL], (NO_LIST,))


# --- who says so ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["clinician", "pharmacist"])
def test_somebody_of_the_care_team_says_so(hospital, who):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False, team=("clinician", "pharmacist"))
    say_no_medicines(person.pk, by=hospital.acting(who), now=NOW)
    assert regimen_now(person, now=NOW).fully_known
    commits()


def test_nobody_else_does(hospital):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False)
    with pytest.raises(NotFound):
        say_no_medicines(person.pk, by=hospital.acting("other_clinician"), now=NOW)
    for by in (hospital.acting("admin"), hospital.acting("engineer"), hospital.own(person)):
        with pytest.raises((NotAllowed, NotFound)):
            say_no_medicines(person.pk, by=by, now=NOW)
    assert not RegimenEntry.objects.filter(patient=person).exists()


def test_beside_a_drug_that_stands_the_two_contradict_each_other_and_a_drug_begun_later_does_not(hospital):  # noqa: F811
    person = hospital.patient()
    record_no_medicines(person.pk, by=job("import"), now=NOW)
    found = regimen_now(person, now=NOW)
    assert (len(found.drugs), found.unknown) == (1, (CONTRADICTS,))
    other = hospital.patient(drugs=())
    hospital.takes(other, LISINOPRIL, "10", since=NOW)
    assert regimen_now(other, now=NOW).fully_known


def test_said_after_the_signature_it_takes_an_increase_back(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    record_no_medicines(loop.patient_id, by=job("import"), now=NOW + timedelta(hours=1))
    assert deliver(loop.pk, by=job("relay"), now=NOW + timedelta(hours=2)) is None
    assert loop.steps.latest("seq").reason_code == "regimen_no_longer_fully_known"


# --- by hand in the database ------------------------------------------------------------------------------------------


def test_by_sql_the_word_that_nothing_is_taken_names_no_drug(hospital):  # noqa: F811
    person = hospital.patient(drugs=())
    row = RegimenEntry.objects.get(patient=person)
    for column, value in (("ingredient", LISINOPRIL), ("daily_dose_mg", "10"), ("unknown_reason", "x")):
        with refused("regimen_"):
            copy_with(row, column, value)


def copy_with(row: RegimenEntry, column: str, value: str) -> None:
    names = [field.column for field in RegimenEntry._meta.concrete_fields]
    new = {"id": "%s", "source_id": "%s", column: "%s"}
    sql(
        f"INSERT INTO care_loops_regimenentry ({', '.join(names)})"
        f" SELECT {', '.join(new.get(name, name) for name in names)} FROM care_loops_regimenentry WHERE id = %s",
        *[{"id": uuid4(), "source_id": "by hand", column: value}[name] for name in names if name in new],
        row.pk,
    )


# --- from elsewhere ---------------------------------------------------------------------------------------------------


def statement(system: str, code: str, **more: object) -> dict:
    said = order("none", (system, code), **more)
    said["resourceType"] = "MedicationStatement"
    return said


def empty(reason: str = "nilknown", **more: object) -> dict:
    return {
        "resourceType": "List",
        "id": "l1",
        "status": "current",
        "mode": "snapshot",
        "code": concept(LOINC, "10160-0"),
        "subject": {"reference": "Patient/p1"},
        "date": "2026-01-05T08:00:00+01:00",
        "emptyReason": concept("http://terminology.hl7.org/CodeSystem/list-empty-reason", reason),
        **more,
    }


@pytest.mark.parametrize(
    "said",
    [
        statement(SNOMED, "787481004"),
        statement("http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "no-known-medications"),
        empty(),
    ],
    ids=["snomed", "ips", "list"],
)
def test_an_import_that_says_none_are_taken(imported, said):
    counts = imported(bundle(patient(), said))
    assert counts["medications"] == {"known": 0, "unknown": 0}
    assert (regimen().drugs, regimen().unknown) == ((), ())
    row = RegimenEntry.objects.get()
    assert (row.status, row.drug_class, row.ingredient) == ("nothing", "", "")
    imported(bundle(patient(), said))
    assert RegimenEntry.objects.count() == 1, "importing twice changes nothing"


@pytest.mark.parametrize(
    "said",
    [
        empty("notasked"),
        empty("unavailable"),
        empty("withheld"),
        empty(entry=[{"item": {"reference": "MedicationStatement/1"}}]),
        empty(code=concept(LOINC, "48765-2")),
        empty(status="retired"),
        {key: value for key, value in empty().items() if key != "emptyReason"},
    ],
    ids=["not asked", "unavailable", "withheld", "has entries", "of allergies", "retired", "no reason"],
)
def test_a_list_that_is_empty_for_another_reason_says_nothing(imported, said):
    imported(bundle(patient(), said))
    assert regimen().unknown == (NO_LIST,)


def test_a_statement_nobody_is_sure_of_leaves_it_unknown(imported):
    imported(bundle(patient(), statement(SNOMED, "787481004", status="unknown")))
    assert not regimen().fully_known
    assert regimen().listed


def test_an_import_without_a_word_on_medicines_leaves_them_unknown(imported):
    imported(bundle(patient()))
    assert regimen().unknown == (NO_LIST,)
    imported(bundle(patient("b"), order("m1", LISINOPRIL_10, status="stopped", who="Patient/b")))
    assert regimen("b").unknown == ()


# --- no longer said ---------------------------------------------------------------------------------------------------

NONE = "787481004"
OVER = ["completed", "stopped", "not-taken", "cancelled"]
OTHERWISE = {
    **{status: statement(SNOMED, NONE, status=status) for status in [*OVER, "unknown", "on-hold", "entered-in-error"]},
    "draft": statement(SNOMED, NONE, status="draft"),
    "not to be done": statement(SNOMED, NONE, doNotPerform=True),
    "ended in 2019": statement(SNOMED, NONE, effectivePeriod={"start": "2019-01-01", "end": "2019-03-01"}),
    "a drug that was stopped": statement(*LISINOPRIL_10, status="stopped"),
    "a drug entered in error": statement(*LISINOPRIL_10, status="entered-in-error"),
    "without a time": {key: value for key, value in statement(SNOMED, NONE).items() if key != "authoredOn"},
}
LISTS_OTHERWISE = {
    "retired": empty(status="retired"),
    "entered in error": empty(status="entered-in-error"),
    "with entries": empty(entry=[{"item": {"reference": "MedicationStatement/1"}}]),
    "not asked": empty("notasked"),
    "of allergies": empty(code=concept(LOINC, "48765-2")),
}


def after(key="p1"):
    """The regimen at a time after every import, whenever this runs."""
    return regimen_now(the_patient(key), now=datetime(2100, 1, 1, tzinfo=UTC))


def lines():
    return set(RegimenEntry.objects.values_list("pk", "source_id", "status", "starts_at"))


def twice(imported, said):
    imported(bundle(patient(), said))
    once = lines()
    imported(bundle(patient(), said))
    assert lines() == once, "importing twice changes nothing"


@pytest.mark.parametrize("status", [*OVER, "not to be done", "ended in 2019"])
def test_that_none_are_taken_no_longer_holds_is_no_list(imported, status):
    twice(imported, OTHERWISE[status])
    assert after().unknown == (NO_LIST,)
    row = RegimenEntry.objects.get()
    assert (row.status, row.known, row.unknown_reason) == ("stopped", False, "no_longer_said")


@pytest.mark.parametrize("said", OTHERWISE.values(), ids=OTHERWISE)
def test_a_statement_that_none_are_taken_is_taken_back(imported, said):
    imported(bundle(patient(), statement(SNOMED, NONE)))
    assert after().fully_known
    twice(imported, said)
    assert NO_LIST in after().unknown


@pytest.mark.parametrize("said", LISTS_OTHERWISE.values(), ids=LISTS_OTHERWISE)
def test_an_empty_list_is_taken_back(imported, said):
    twice(imported, said)
    assert not RegimenEntry.objects.exists()
    imported(bundle(patient(), empty()))
    assert after().fully_known
    twice(imported, said)
    assert after().unknown == (NO_LIST,)


def test_what_is_over_said_again_and_over_again_is_over(imported):
    for status, known in (("stopped", False), ("active", True), ("stopped", False), ("active", False)):
        twice(imported, statement(SNOMED, NONE, status=status))
        assert after().fully_known is known


def test_one_file_that_says_both_under_one_identifier_says_it_not(imported):
    both = [statement(SNOMED, NONE), statement(SNOMED, NONE, status="stopped")]
    for said in (both, both[::-1], both):
        imported(bundle(patient(), *said))
        assert after().unknown == (NO_LIST,)
    assert RegimenEntry.objects.count() == 1


def test_it_holds_until_its_stated_end(imported):
    ends = {"start": "2026-01-05", "end": "2026-06-01"}
    twice(imported, statement(SNOMED, NONE, effectivePeriod=ends))
    assert RegimenEntry.objects.count() == 2
    assert regimen_now(the_patient(), now=datetime(2026, 5, 1, tzinfo=UTC)).fully_known
    assert regimen_now(the_patient(), now=datetime(2026, 7, 1, tzinfo=UTC)).unknown == (NO_LIST,)
    twice(imported, statement(SNOMED, NONE, status="unknown", effectivePeriod=ends))
    assert NO_LIST in regimen_now(the_patient(), now=datetime(2026, 5, 1, tzinfo=UTC)).unknown


@pytest.mark.parametrize("status", ["active", "stopped"])
def test_beside_the_code_of_a_drug_it_is_not_said(imported, status):
    said = statement(SNOMED, NONE, status=status)
    said["medicationCodeableConcept"]["coding"] += concept(*LISINOPRIL_10)["coding"]
    twice(imported, said)
    assert not after().fully_known
    assert RegimenEntry.objects.get().unknown_reason == "codes_disagree"


def test_an_older_word_that_is_over_takes_nothing_from_a_newer_one_nor_from_a_drug_that_stands(imported):
    old = statement(SNOMED, NONE, status="completed", effectivePeriod={"start": "2019-01-01", "end": "2019-03-01"})
    imported(bundle(patient(), old | {"id": "old"}, statement(SNOMED, NONE)))
    assert after().fully_known
    over = statement(SNOMED, NONE, status="completed")
    taken = order("m2", LISINOPRIL_10, dosageInstruction=daily(10))
    imported(bundle(patient("b"), of(taken, "b"), of(over, "b")))
    assert (len(after("b").drugs), after("b").unknown) == (1, ())


def of(said: dict, who: str) -> dict:
    return {**said, "id": f"{said['id']}-{who}", "subject": {"reference": f"Patient/{who}"}}


def test_a_stopped_drug_that_could_not_be_read_is_no_list_and_starts_nothing(hospital):  # noqa: F811
    person = hospital.patient(drugs=(), listed=False)
    line = NewRegimenEntry(
        source_system="ehr",
        source_id="none",
        ingredient="",
        name="No known medications",
        drug_class=None,
        product="",
        daily_dose_mg=None,
        step_index=None,
        stopped=True,
        starts_at=NOW - timedelta(days=50),
        unknown_reason="unknown_code",
        code_system=SNOMED,
        code=NONE,
    )
    record_regimen_entry(person.pk, line, by=job("import"), now=NOW - timedelta(days=49))
    hospital.weeks(person, *HIGH)
    loop = hospital.close(person)
    assert (loop.state, loop.withheld_reason) == (LoopState.WITHHELD, "no_list_of_medicines")


# --- doors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "known"), [(["--takes-no-medicines"], True), ([], False)], ids=["said", "silent"])
def test_the_command_that_enrols_says_it_or_leaves_it_unknown(hospital, capsys, flag, known):  # noqa: F811
    names = ["--given-name", "Ann", "--family-name", "Lee", "--born-on", "1961-04-02", "--sex", "female"]
    who = ["--by", hospital.people["admin"].username, "--responsible", hospital.people["clinician"].username]
    call_command("enrol_patient", *names, *who, "--zone", "Europe/Berlin", *flag, "--json")
    person = Patient.objects.get(pk=json.loads(capsys.readouterr().out)["patient"])
    assert regimen_now(person, now=person.enrolled_at).fully_known is known
