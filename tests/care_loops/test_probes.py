"""Probes: known-wrong, about nobody, met by one person, told right after, and kept from every patient by every road."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from audit.selectors import payload_of
from audit.services import enqueue
from care_loops.domain.evidence import candidate_key
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.models import Decision, Loop, Message, Patient, Probe, ProbeAnswer, ProbePerson, Step
from care_loops.oversight.probes import Library, chosen, gap
from care_loops.pathways.hypertension.tables_drugs import formulary
from care_loops.pathways.hypertension.tables_probes import parse, probe_library
from care_loops.policies import Changed, NotNow
from care_loops.selectors.oversight import oversight, own_figures
from care_loops.services import DecisionInput, close_due_windows, deliver, due_windows, recall, respond
from care_loops.services.probes import answer_probe, begin_probes, place_probe, place_probes
from care_loops.services.respond import Answer
from care_loops.services.signed_rows import check_signatures
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.selectors.sight import EVERYTHING, NOTHING, seeing
from governance.services.suspensions import throw_switch
from governance.suspension import Ref, Scope
from tests.factories import Hospital, job
from tests.signing_in import signed_in

LIBRARY = probe_library()
KEY = bytes(range(32))


# --- the library ------------------------------------------------------------------------------------------------------


def test_every_case_says_why_it_is_wrong_and_by_whom_and_its_dose_is_a_real_one():
    assert len(LIBRARY.cases) >= 8
    assert len({case.name for case in LIBRARY.cases}) == len(LIBRARY.cases)
    for case in LIBRARY.cases:
        assert "CLINICAL" in case.source
        drug = formulary().drug(case.proposed.ingredient)
        assert (drug.name, drug.drug_class) == (case.proposed.drug, case.proposed.drug_class)
        taken = {one.name: one.daily_dose for one in case.drugs}
        old = case.proposed.old_daily_dose
        assert (taken.get(drug.name) is None) == (old is None), case.name
        assert len({candidate_key(change) for change in (case.proposed, *case.others)}) == 1 + len(case.others)


def test_between_two_and_five_percent_of_the_queue_and_nothing_else_loads():
    gaps = [gap(KEY, str(UUID(int=n)), 0, LIBRARY) for n in range(3000)]
    assert (min(gaps), max(gaps)) == (LIBRARY.least_gap, LIBRARY.most_gap)
    assert 0.02 <= 1 / (max(gaps) + 1) < 1 / (min(gaps) + 1) <= 0.05
    assert [gap(KEY, "a", n, LIBRARY) for n in range(9)] != [gap(KEY[::-1], "a", n, LIBRARY) for n in range(9)]
    for bounds in ((18, 40), (20, 50), (30, 20)):
        with pytest.raises(ValueError, match="between 2 and 5"):
            Library("x", *bounds, ())
    with pytest.raises(ValueError, match="needs a mark"):
        parse(b'{"version": "x", "gap": {"least": 20, "most": 40, "mark": ""}, "cases": []}')


def test_nobody_meets_a_case_twice_while_there_is_another():
    seen: list[str] = []
    for number in range(len(LIBRARY.cases)):
        seen.append(chosen(KEY, "a", number, LIBRARY, seen=seen).name)
    assert len(set(seen)) == len(LIBRARY.cases)
    assert chosen(KEY, "a", 99, LIBRARY, seen=seen)


# --- met and decided --------------------------------------------------------------------------------------------------

house = pytest.mark.django_db


@pytest.fixture
def site(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    hospital = Hospital(now=timezone.now().replace(microsecond=0) - timedelta(days=10))
    hospital.probe = place(hospital)
    return hospital


def place(site, who="clinician", number=0, now=None) -> Probe:
    case = LIBRARY.cases[number % len(LIBRARY.cases)]
    return place_probe(site.people[who], case, number=number, by=job(), now=now or site.now)


def says(kind=DecisionKind.APPROVE, key=None, version=2):
    return DecisionInput(kind, "agrees_with_plan" if kind is DecisionKind.APPROVE else "side_effect", "", version, key)


def decides(site, kind=DecisionKind.APPROVE, who="clinician", probe=None):
    return answer_probe((probe or site.probe).pk, says(kind), by=site.acting(who), now=site.now)


def nothing_of_it(site) -> None:
    """No row of care, and no line that leaves, came of the probe."""
    assert not any(each.objects.exists() for each in (Loop, Decision, Step, Message, Patient))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_outbox WHERE payload::text LIKE %s", [f"%{site.probe.pk}%"])
        assert cursor.fetchone() == (0,)


@house
def test_approved_it_was_not_noticed_and_goes_nowhere(site):
    answer = decides(site)
    assert (answer.noticed, answer.role) == (False, "clinician")
    assert payload_of(answer.entry)["case"] == site.probe.case
    nothing_of_it(site)
    checked = check_signatures()
    assert not checked.found
    assert dict(checked.kinds)["probe"] == 1


@house
@pytest.mark.parametrize("kind", [DecisionKind.REJECT, DecisionKind.MODIFY], ids=str)
def test_rejected_or_modified_it_was_noticed(site, kind):
    case = LIBRARY.case(site.probe.case)
    key = candidate_key(case.others[0]) if kind is DecisionKind.MODIFY else None
    answer = answer_probe(site.probe.pk, says(kind, key), by=site.acting("clinician"), now=site.now)
    assert answer.noticed
    nothing_of_it(site)


@house
def test_it_is_decided_once_in_time_by_its_person_and_as_it_was_shown(site):
    for who in ("other_clinician", "pharmacist", "admin", "engineer"):
        with pytest.raises((NotFound, NotAllowed)):
            decides(site, who=who)
    with pytest.raises(NotFound):
        answer_probe(uuid4(), says(), by=site.acting("clinician"), now=site.now)
    with pytest.raises(Changed):
        answer_probe(site.probe.pk, says(version=1), by=site.acting("clinician"), now=site.now)
    with pytest.raises(BadInput):
        answer_probe(
            site.probe.pk, DecisionInput(DecisionKind.REJECT, "", "", 2), by=site.acting("clinician"), now=site.now
        )
    decides(site)
    with pytest.raises(NotNow):
        decides(site)


@house
def test_on_the_page_it_is_one_of_the_queue_and_right_after_it_is_told(site):
    probe = place(site, number=1, now=timezone.now() - timedelta(minutes=5))
    client, name = signed_in(site.people["clinician"]), probe.about.family_name
    address = reverse("recommendation", args=[probe.pk])
    listed = client.get(reverse("worklist")).content.decode()
    assert name in listed
    assert address in listed
    shown = client.get(address).content.decode()
    assert "Sign and record my decision" in shown
    assert "probe" not in shown.casefold().replace(reverse("own-decisions"), "")
    page = client.get(reverse("patient", args=[probe.about_id])).content.decode()
    assert LIBRARY.case(probe.case).labs[0][1] in page
    assert "probe" not in page.casefold()
    answer_probe(probe.pk, says(), by=site.acting("clinician", now=timezone.now()), now=timezone.now())
    told = client.get(address).content.decode()
    assert "This was a probe" in told
    assert "Not noticed" in told
    assert LIBRARY.case(probe.case).wrong[:30] in told
    assert name not in client.get(reverse("worklist")).content.decode()


@house
def test_for_everybody_else_and_every_tool_it_is_not_there(site):
    probe = place(site, number=1, now=timezone.now() - timedelta(minutes=5))
    pages = [
        reverse("recommendation", args=[probe.pk]),
        reverse("patient", args=[probe.about_id]),
        reverse("patient-trend", args=[probe.about_id]),
        reverse("patient-order", args=[probe.about_id]),
        f"/api/v1/recommendations/{probe.pk}",
    ]
    other = signed_in(site.people["other_clinician"])
    assert [other.get(page).status_code for page in pages] == [404] * 5
    mine = signed_in(site.people["clinician"])
    assert [mine.get(page).status_code for page in pages[2:]] == [404] * 3
    tool = mine.get("/api/v1/worklist").json()["items"]
    assert str(probe.pk) not in json.dumps(tool)
    assert probe.about.family_name not in other.get(reverse("worklist")).content.decode()


@house
def test_nothing_counts_it_and_no_job_takes_it_up(site):
    decides(site)
    assert due_windows(now=timezone.now()) == []
    assert close_due_windows(by=job(), now=timezone.now()).closed == 0
    found = oversight(now=timezone.now())
    assert found.groups == ()
    assert found.first.proposals == 0
    assert found.noticed[0].share is None, "one person's figure is shown to nobody"
    own = own_figures(site.acting("clinician"), now=timezone.now())
    assert (own.figures.decided, own.noticed.k, own.noticed.n) == (0, 0, 1)


@house
def test_how_often_probes_are_noticed_is_told_by_role_with_its_interval(site):
    site.join("third", Role.CLINICIAN, now=site.now)
    decides(site, DecisionKind.REJECT)
    for who, kind in (("other_clinician", DecisionKind.REJECT), ("third", DecisionKind.APPROVE)):
        decides(site, kind, who, place(site, who))
    (clinicians,) = oversight(now=timezone.now()).noticed
    assert (clinicians.role, clinicians.people) == ("clinician", 3)
    assert (clinicians.share.k, clinicians.share.n) == (2, 3)
    assert 0.2 < clinicians.share.low < 0.22


# --- placing ----------------------------------------------------------------------------------------------------------


@house
def test_one_is_placed_when_its_turn_has_come_and_not_while_another_waits(site):
    from audit.services import keys

    begin_probes(by=job(), now=site.now)
    patient = site.patient()
    waits = gap(keys.tenant_key(), str(site.people["clinician"].pk), 1, LIBRARY)
    assert waits >= 20
    assert place_probes(by=job(), now=site.now + timedelta(hours=1)) == 0, "one waits, and no proposal came"
    decides(site)
    assert place_probes(by=job(), now=site.now + timedelta(hours=1)) == 0
    assert patient.pk
    site.weeks(patient, *[(150, 92)] * 5)
    site.close(patient, now=site.now + timedelta(minutes=1))
    assert place_probes(by=job(), now=site.now + timedelta(hours=1)) == 0, "one proposal is not its turn"
    assert Probe.objects.count() == 1


@house
def test_while_anything_is_stopped_none_is_placed(site):
    site.join("lead", Role.RESPONSIBLE_AI_LEAD, now=site.now)
    connection.check_constraints()  # what was begun before is not of this moment
    throw_switch(Ref(Scope.EVERYTHING, ""), reason="drill", by=site.acting("lead"), now=site.now)
    assert place_probes(by=job(), now=site.now) == 0


# --- ways around ------------------------------------------------------------------------------------------------------


@house
def test_no_service_of_care_takes_its_number(site):
    by = site.acting("clinician")
    with pytest.raises(NotFound):
        recall(site.probe.pk, reason_code="side_effect", free_text="", by=by, now=site.now)
    with pytest.raises(NotFound):
        respond(site.probe.pk, Answer.ACCEPT, reason_code="", by=by, now=site.now)
    with pytest.raises(Loop.DoesNotExist):
        deliver(site.probe.pk, by=job(), now=site.now)
    nothing_of_it(site)


@house
def test_no_line_of_the_outbox_and_no_message_names_it(site):
    for payload in (
        {"loop": str(site.probe.pk)},
        {"patient": str(site.probe.about_id)},
        {"deep": [{"x": f"re {site.probe.pk} now"}]},
        {"loop": str(site.probe.pk).upper()},
    ):
        with pytest.raises(DatabaseError, match="names a probe"), transaction.atomic():
            enqueue("loop.deliver", payload)
    with transaction.atomic():
        enqueue("loop.deliver", {"loop": str(uuid4())})
    with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
        cursor.execute("UPDATE audit_outbox SET payload = jsonb_build_object('loop', %s::text)", [str(site.probe.pk)])
    patient = site.patient()
    with pytest.raises(DatabaseError, match="names a probe"), transaction.atomic():
        Message.objects.create(
            patient=patient, kind="x", text=f"see {site.probe.pk}", sent_at=site.now, entry=site.probe.entry
        )


@house
def test_no_probe_is_about_a_patient_and_no_row_of_care_becomes_one(site):
    loop = site.loop_at(LoopState.WITH_CLINICIAN)
    row = {f.attname: getattr(site.probe, f.attname) for f in Probe._meta.fields} | {"number": 7}
    person = {f.attname: getattr(site.probe.about, f.attname) for f in ProbePerson._meta.fields}
    for sees in (EVERYTHING, NOTHING):
        with seeing(sees):
            with pytest.raises(DatabaseError, match="is a patient"), transaction.atomic():
                ProbePerson.objects.create(**person | {"id": loop.patient_id})
            with pytest.raises(DatabaseError, match="about a patient"), transaction.atomic():
                Probe.objects.create(**row | {"id": uuid4(), "about_id": loop.patient_id})
            with pytest.raises(DatabaseError, match="about a patient"), transaction.atomic():
                Probe.objects.create(**row | {"id": loop.pk})
    with pytest.raises(DatabaseError), transaction.atomic():
        ProbePerson.objects.create(**person | {"id": uuid4(), "synthetic": False})
    copy = {f.attname: getattr(loop, f.attname) for f in Loop._meta.fields}
    with pytest.raises(DatabaseError, match="is a probe"), transaction.atomic():
        Loop.objects.create(**copy | {"id": site.probe.pk, "window_key": "x"})
    who = {f.attname: getattr(loop.patient, f.attname) for f in Patient._meta.fields} | {"account_id": None}
    with pytest.raises(DatabaseError, match="is a probe"), transaction.atomic():
        Patient.objects.create(**who | {"id": site.probe.about_id, "source_index": None})


@house
def test_what_was_placed_stays_and_nobody_answers_for_another(site):
    answer = decides(site)
    for sql in (
        "UPDATE care_loops_probeperson SET synthetic = false",
        "UPDATE care_loops_probe SET about_id = id",
        "UPDATE care_loops_probeanswer SET noticed = true, kind = 'reject'",
        "DELETE FROM care_loops_probeanswer",
    ):
        with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute(sql)
    other = place(site, "other_clinician")
    row = {f.attname: getattr(answer, f.attname) for f in ProbeAnswer._meta.fields}
    with pytest.raises(DatabaseError), transaction.atomic():
        ProbeAnswer.objects.create(**row | {"id": uuid4(), "probe_id": other.pk})
    with pytest.raises(DatabaseError), transaction.atomic():
        ProbeAnswer.objects.create(**row | {"id": uuid4(), "probe_id": other.pk, "person_id": other.person_id})
