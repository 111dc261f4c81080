"""A record opened in an emergency: for a time, to read, with an alarm, reviewed by another. And every way round it."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, InternalError, ProgrammingError, connection, transaction

from audit.domain import ObjectRef
from audit.entries import read_leaf
from audit.models import Entry, Outbox
from audit.selectors import payload_of
from audit.services import sequence_until_empty
from audit.services.keys import origin
from care_loops.break_glass import READS, EndedHow, ReviewOutcome, glass_rules
from care_loops.domain.loops import DecisionKind
from care_loops.domain.record import Sex
from care_loops.models import BreakGlass, BreakGlassRead, BreakGlassReview, Patient
from care_loops.selectors.access import loop_for, patient_for, patients_of
from care_loops.selectors.glass import overdue, who_must_hear
from care_loops.services import (
    DecisionInput,
    NewPatient,
    decide,
    enrol_patient,
    join_care_team,
    record_access,
)
from care_loops.services.break_glass import (
    NobodyToHear,
    NotNeeded,
    ReviewRefused,
    break_glass,
    close_review,
    end_break_glass,
    end_lapsed,
)
from care_loops.services.deliveries import handlers
from care_loops.services.events import note
from governance.domain import Amr, BadInput, NotAllowed, NotFound, Permission, Presence, Refusal, Relation, Role
from governance.permissions import TABLE
from governance.services import Act, Acting, acting_person, sign
from governance.services.accounts import accept_invitation, found_site, invite, revoke_role
from governance.services.sessions import close_session, open_session
from governance.services.signing import SignatureNeeded
from tests.factories import NOW, ZONE, Hospital, account, job
from tests.signing_in import signing

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

LASTS = glass_rules().lasts
WHY = {"reason_code": "emergency_treatment", "text": "unconscious in the ambulance, medication not known"}


class Ward(Hospital):
    """Its people, with officers, and Mary: a patient of the clinician and of nobody else. No model serves here."""

    def __post_init__(self) -> None:
        long_ago = NOW - timedelta(days=400)
        self.people["admin"] = found_site(account("admin"), now=long_ago)
        for name, role in (
            ("clinician", Role.CLINICIAN),
            ("other_clinician", Role.CLINICIAN),
            ("pharmacist", Role.PHARMACIST),
            ("officer", Role.COMPLIANCE_OFFICER),
            ("second_officer", Role.SECURITY_PRIVACY_ENGINEER),
        ):
            self.join(name, role, now=long_ago)
        self.mary = self.admitted("mary", "clinician")

    def admitted(self, name: str, responsible: str) -> Patient:
        """A patient with an account and one clinician."""
        admin = self.acting("admin")
        new = NewPatient("test", name, name.title(), "Test", None, Sex.FEMALE, ZONE, synthetic=True)
        patient = enrol_patient(new, by=admin, now=NOW)
        invited = invite(f"{name}@home.example", Role.PATIENT, by=admin, now=NOW, patient_ref=patient.pk)
        self.people[name], _ = accept_invitation(invited.token, account(name), now=NOW)
        join_care_team(patient.pk, self.people[responsible].pk, responsible=True, by=admin, now=NOW)
        return patient


@pytest.fixture
def hospital(built) -> Ward:
    """The ward as it stands."""
    return built.once(Ward)


def here(hospital: Ward, name: str = "other_clinician", *, session: str = "session-one", now=NOW) -> Acting:
    """This person in a session of theirs."""
    presence = Presence(session=session, amr=(Amr.PASSKEY.value,), since=now)
    return signing(acting_person(hospital.people[name], now=now, presence=presence))


def opened(hospital: Ward, **more) -> BreakGlass:
    return break_glass(hospital.mary.pk, by=here(hospital, **more), now=NOW, **WHY)


def reads(by: Acting, hospital: Ward, *, now=NOW):
    return patient_for(by, hospital.mary.pk, Permission.READ_RECORD, now=now)


def test_a_foreign_record_opens_for_an_hour_and_shuts_by_itself_in_the_same_session(hospital):
    by = here(hospital)
    with pytest.raises(NotFound):
        reads(by, hospital)
    opening = opened(hospital)
    assert reads(by, hospital).pk == hospital.mary.pk
    assert opening.until == NOW + LASTS
    assert reads(by, hospital, now=opening.until - timedelta(seconds=1))
    with pytest.raises(NotFound):
        reads(by, hospital, now=opening.until)


def test_it_opens_in_the_session_in_which_it_was_opened_and_in_no_other(hospital):
    opened(hospital)
    for other in (here(hospital, session="session-two"), acting_person(hospital.people["other_clinician"], now=NOW)):
        with pytest.raises(NotFound):
            reads(other, hospital)
    with pytest.raises(NotFound):
        reads(here(hospital, "pharmacist"), hospital)


def test_signing_out_ends_it(hospital):
    user = hospital.people["other_clinician"]
    open_session(user, key="session-one", amr=[Amr.PASSKEY], agent="", now=NOW)
    opening = opened(hospital)
    close_session(user, "session-one", reason="signed_out", now=NOW + timedelta(minutes=5))
    assert end_lapsed(by=job(), now=NOW + timedelta(minutes=6)) == 1
    opening.refresh_from_db()
    assert (opening.ended_how, opening.ended_at) == (EndedHow.SESSION.value, NOW + timedelta(minutes=5))
    with pytest.raises(NotFound):
        reads(here(hospital, now=NOW + timedelta(minutes=7)), hospital, now=NOW + timedelta(minutes=7))


def test_its_owner_ends_it_and_nobody_else_does(hospital):
    opening, after = opened(hospital), NOW + timedelta(minutes=3)
    with pytest.raises(NotFound):
        end_break_glass(opening.pk, by=here(hospital, "clinician"), now=after)
    end_break_glass(opening.pk, by=here(hospital, session="another"), now=after)
    end_break_glass(opening.pk, by=here(hospital), now=after)
    opening.refresh_from_db()
    assert (opening.ended_how, opening.ended_at) == ("by_owner", after)
    with pytest.raises(NotFound):
        reads(here(hospital), hospital, now=after)


def test_the_clock_writes_its_end_once(hospital):
    opening = opened(hospital)
    assert end_lapsed(by=job(), now=NOW + LASTS) == 1
    assert end_lapsed(by=job(), now=NOW + LASTS) == 0
    opening.refresh_from_db()
    assert (opening.ended_how, opening.ended_at) == ("time", opening.until)


# --- what it gives ----------------------------------------------------------------------------------------------------


def test_it_gives_reading_and_no_other_permission():
    given = {permission for (permission, _), relations in TABLE.items() if Relation.BREAK_GLASS in relations}
    assert given == set(READS) == {Permission.READ_RECORD}
    assert {role for (_, role), relations in TABLE.items() if Relation.BREAK_GLASS in relations} == {Role.CLINICIAN}


def test_whoever_opened_a_record_decides_nothing_and_sees_no_worklist_of_it():
    hospital = Hospital()
    hospital.mary = hospital.patient()
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW)
    hospital.weeks(hospital.mary, *[(150, 92)] * 5)
    loop = hospital.close(hospital.mary)
    by = here(hospital)
    opened(hospital)
    assert loop_for(by, loop.pk, Permission.READ_RECORD, now=NOW).pk == loop.pk
    for permission in set(Permission) - READS:
        with pytest.raises(Refusal):
            loop_for(by, loop.pk, permission, now=NOW)
    with pytest.raises(Refusal):
        decide(loop.pk, DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", loop.version), by=by, now=NOW)
    assert not patients_of(by, now=NOW).exists()
    loop.refresh_from_db()
    assert loop.state == "with_clinician"


# --- opening ----------------------------------------------------------------------------------------------------------


def test_it_is_signed_with_everything_at_the_moment_of_opening(hospital):
    by = replace(here(hospital), hand=None)
    with pytest.raises(SignatureNeeded) as needed:
        break_glass(hospital.mary.pk, by=by, now=NOW, **WHY)
    assert needed.value.asked.content["minutes"] == 60
    assert needed.value.asked.content["allows"] == ["read_record"]
    assert not BreakGlass.objects.exists()


@pytest.mark.parametrize(
    ("more", "field"),
    [({"reason_code": "curious"}, "reason_code"), ({"text": "  "}, "text"), ({"reason_code": ""}, "reason_code")],
)
def test_a_coded_reason_and_words_are_needed(hospital, more, field):
    with pytest.raises(BadInput) as refused:
        break_glass(hospital.mary.pk, by=here(hospital), now=NOW, **(WHY | more))
    assert refused.value.extra["field"] == field


@pytest.mark.parametrize("name", ["pharmacist", "admin", "officer", "mary"])
def test_only_clinicians_open_records_so(hospital, name):
    with pytest.raises(NotAllowed):
        break_glass(hospital.mary.pk, by=here(hospital, name), now=NOW, **WHY)


def test_a_command_has_no_session_and_opens_nothing(hospital):
    with pytest.raises(NotAllowed) as refused:
        break_glass(hospital.mary.pk, by=hospital.acting("other_clinician"), now=NOW, **WHY)
    assert refused.value.extra["missing"] == "session"


def test_the_care_team_needs_none_and_a_record_that_is_not_there_stays_so(hospital):
    with pytest.raises(NotNeeded):
        break_glass(hospital.mary.pk, by=here(hospital, "clinician"), now=NOW, **WHY)
    with pytest.raises(NotFound):
        break_glass(uuid4(), by=here(hospital), now=NOW, **WHY)
    opened(hospital)
    with pytest.raises(NotNeeded):
        opened(hospital)


def test_after_it_has_ended_it_is_opened_anew_with_its_own_signature(hospital):
    first, later = opened(hospital), NOW + LASTS + timedelta(minutes=1)
    second = break_glass(hospital.mary.pk, by=here(hospital, now=later), now=later, **WHY)
    assert second.pk != first.pk
    assert second.signature_id != first.signature_id
    assert BreakGlass.objects.get(pk=first.pk).ended_how == "time"


# --- the alarm --------------------------------------------------------------------------------------------------------


def test_the_alarm_reaches_officers_and_the_responsible_clinician_through_the_outbox(hospital):
    opening = opened(hospital)
    people = hospital.people
    told = {line.payload["to"]: line.payload["as"] for line in Outbox.objects.filter(topic="break_glass.alarm")}
    assert told == {
        str(people["officer"].pk): "compliance_officer",
        str(people["second_officer"].pk): "security_privacy_engineer",
        str(people["clinician"].pk): "responsible_clinician",
    }
    assert {line.payload["opening"] for line in Outbox.objects.filter(topic="break_glass.alarm")} == {str(opening.pk)}
    assert "break_glass.alarm" in handlers(by=job(), clock=lambda: NOW)


def test_without_officers_an_administrator_hears_it(hospital):
    """And somebody who is responsible does not hear of their own."""
    by = hospital.acting("admin")
    otto = hospital.admitted("otto", "other_clinician")
    for name, role in (("officer", Role.COMPLIANCE_OFFICER), ("second_officer", Role.SECURITY_PRIVACY_ENGINEER)):
        revoke_role(hospital.people[name].pk, role, by=by, now=NOW)
    own = BreakGlass(patient=otto, opened_by=hospital.people["other_clinician"])
    assert who_must_hear(own) == [(hospital.people["admin"].pk, "administrator")]
    other = BreakGlass(patient=otto, opened_by=hospital.people["clinician"])
    assert who_must_hear(other) == [(hospital.people["other_clinician"].pk, "responsible_clinician")]


def test_without_anybody_to_hear_it_the_record_stays_shut(hospital):
    """The last administrator, a clinician too, opens the record of somebody for whom nobody is responsible."""
    hospital.also("admin", Role.CLINICIAN)
    by = hospital.acting("admin")
    roles = {"officer": Role.COMPLIANCE_OFFICER, "second_officer": Role.SECURITY_PRIVACY_ENGINEER}
    for name, role in (roles | {"other_admin": Role.ADMINISTRATOR}).items():
        revoke_role(hospital.people[name].pk, role, by=by, now=NOW)
    alone = NewPatient("test", "alone", "Alone", "Test", None, Sex.FEMALE, ZONE, synthetic=True)
    patient = enrol_patient(alone, by=by, now=NOW)
    with pytest.raises(NobodyToHear):
        break_glass(patient.pk, by=here(hospital, "admin"), now=NOW, **WHY)
    assert not BreakGlass.objects.exists()


# --- what is left behind ----------------------------------------------------------------------------------------------


def test_every_read_under_it_says_so_with_the_person_and_the_client(hospital):
    opening = opened(hospital)
    record_access(hospital.mary.pk, what="patient page", by=here(hospital), now=NOW)
    record_access(hospital.mary.pk, what="by tool", by=replace(here(hospital), client="ward-app"), now=NOW)
    record_access(hospital.mary.pk, what="patient page", by=here(hospital, "clinician"), now=NOW)
    assert [(row.what, row.client) for row in BreakGlassRead.objects.order_by("what")] == [
        ("by tool", "ward-app"), ("patient page", "")]  # fmt: skip
    sequence_until_empty()
    rows = Entry.objects.filter(type="access.read").order_by("position")
    said = [{"break_glass_id": None} | read_leaf(bytes(row.leaf), origin=origin()) for row in rows]
    assert [(one["purpose"], one["break_glass_id"]) for one in said] == [
        ("break_glass", str(opening.pk)), ("break_glass", str(opening.pk)), ("treatment", None)]  # fmt: skip
    assert said[1]["on_behalf_of"] == {"kind": "client", "id": "ward-app"}
    entry = Entry.objects.get(type="access.break_glass")
    assert payload_of(entry.entry_id)["text"] == WHY["text"]


# --- the review -------------------------------------------------------------------------------------------------------


def review(hospital: Ward, opening: BreakGlass, name: str = "officer", *, now=NOW + LASTS):
    return close_review(
        opening.pk, outcome=ReviewOutcome.JUSTIFIED, text="looked at with the ward", by=here(hospital, name), now=now
    )


def test_another_person_closes_the_review_once_it_is_over(hospital):
    opening = opened(hospital)
    with pytest.raises(Refusal, match="still open"):
        review(hospital, opening, now=NOW + timedelta(minutes=1))
    with pytest.raises(NotAllowed):
        review(hospital, opening, "clinician")
    closed = review(hospital, opening)
    assert closed.reviewed_by == hospital.people["officer"]
    with pytest.raises(Refusal, match="closed already"):
        review(hospital, opening, "second_officer")


def test_nobody_reviews_their_own_even_with_the_role(hospital):
    hospital.also("other_clinician", Role.COMPLIANCE_OFFICER)
    opening = opened(hospital)
    with pytest.raises(ReviewRefused):
        review(hospital, opening, "other_clinician")


def test_nobody_reviews_whoever_gave_them_the_role(hospital):
    hospital.also("other_clinician", Role.ADMINISTRATOR)
    by = acting_person(hospital.people["other_clinician"], now=NOW)
    token = invite("friend@site.example", Role.COMPLIANCE_OFFICER, by=by, now=NOW).token
    hospital.people["friend"], _ = accept_invitation(token, account("friend"), now=NOW)
    opening = opened(hospital)
    with pytest.raises(ReviewRefused):
        review(hospital, opening, "friend")
    review(hospital, opening, "officer")


def test_an_overdue_review_is_counted(hospital):
    opening = opened(hospital)
    due = opening.until + glass_rules().review_within
    assert overdue(now=due - timedelta(seconds=1)) == 0
    assert overdue(now=due) == 1
    review(hospital, opening, now=due)
    assert overdue(now=due) == 0


# --- the database -----------------------------------------------------------------------------------------------------

_COLUMNS = (
    "id, patient_id, opened_by_id, reason_code, text, client, session_sha256, opened_at, until, ended_how,"
    " signature_id, entry"
)


def _copied(opening: BreakGlass, **other: object) -> None:
    """A row like this one by the application's role, with another identifier and what is given."""
    given = {"id": f"'{uuid4()}'"} | {name: f"'{value}'" for name, value in other.items()}
    said = ", ".join(given.get(name, name) for name in _COLUMNS.split(", "))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO care_loops_breakglass ({_COLUMNS}) SELECT {said} FROM care_loops_breakglass WHERE id = %s",
            [opening.pk],
        )


@pytest.mark.parametrize(
    "change",
    [
        "until = until + interval '1 minute'",
        "session_sha256 = 'x'",
        "opened_by_id = %s",
        "ended_at = NULL, ended_how = ''",
    ],
)
def test_an_opening_is_not_prolonged_or_handed_on_by_anybody(hospital, owner_db, app_db, change):
    opening = opened(hospital)
    end_break_glass(opening.pk, by=here(hospital), now=NOW + timedelta(minutes=1))
    given = [hospital.people["pharmacist"].pk] if "%s" in change else []
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
        app_db.execute(f"UPDATE care_loops_breakglass SET {change}", given)
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_db.execute(f"UPDATE care_loops_breakglass SET {change}", given)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner_db.execute("DELETE FROM care_loops_breakglass")


def test_the_application_ends_no_opening_without_an_entry(hospital, app_db):
    opened(hospital)
    with pytest.raises(psycopg.errors.CheckViolation, match="without an entry"):
        app_db.execute("UPDATE care_loops_breakglass SET ended_at = now(), ended_how = 'time'")


def test_no_row_opens_a_record_without_signature_alarm_or_limit(hospital):
    opening = opened(hospital)
    end_break_glass(opening.pk, by=here(hospital), now=NOW + timedelta(minutes=1))
    with pytest.raises(IntegrityError, match="not signed over this very record"):
        _copied(opening)
    with pytest.raises(IntegrityError, match="an hour at most"):
        _copied(opening, until=NOW + timedelta(hours=2))
    with pytest.raises(IntegrityError, match="an hour at most"):
        _copied(opening, opened_at="2199-01-01T00:00:00Z", until="2199-01-01T00:30:00Z")


def test_no_opening_commits_without_its_alarm(hospital):
    """By hand, as a service would that forgets to tell anybody: signed, entered, and nobody hears."""
    by = here(hospital).under(Role.CLINICIAN)
    key, patient = uuid4(), hospital.mary
    said = {"opening": str(key), "patient": str(patient.pk)}
    act = Act("access.break_glass", ObjectRef("break_glass", str(key), 1), str(patient.pk))
    with pytest.raises(IntegrityError, match="without an alarm"), transaction.atomic():  # noqa: PT012 - at commit
        signature, esign = sign(said, act=act, meaning="opens this record in an emergency", by=by, now=NOW)
        about = {"of": ("break_glass", key, 1), "patient_id": patient.pk, "payload": said}
        entry = note("access.break_glass", by=by, now=NOW, reason=WHY["reason_code"], esign=esign, **about)
        BreakGlass.objects.create(
            id=key,
            patient=patient,
            opened_by=by.person(),
            session_sha256=hashlib.sha256(b"session-one").hexdigest(),
            opened_at=NOW,
            until=NOW + LASTS,
            signature=signature,
            entry=entry.entry_id,
            **WHY,
        )


@pytest.mark.parametrize(
    ("who", "at", "says"),
    [
        ("other_clinician", NOW + LASTS, "their own"),
        ("pharmacist", NOW + LASTS, "holds the role"),
        ("officer", NOW + timedelta(minutes=1), "when it is over"),
    ],
)
def test_no_row_closes_a_review_that_the_service_would_refuse(hospital, who, at, says):
    opening = opened(hospital)
    with pytest.raises((IntegrityError, InternalError, ProgrammingError), match=says), transaction.atomic():
        BreakGlassReview.objects.create(
            opening=opening, outcome="justified", text="x", reviewed_by=hospital.people[who], reviewed_at=at,
            entry=opening.entry,
        )  # fmt: skip


def test_a_review_row_by_a_chosen_friend_is_refused(hospital):
    hospital.also("other_clinician", Role.ADMINISTRATOR)
    by = acting_person(hospital.people["other_clinician"], now=NOW)
    token = invite("friend@site.example", Role.COMPLIANCE_OFFICER, by=by, now=NOW).token
    friend, _ = accept_invitation(token, account("friend"), now=NOW)
    opening = opened(hospital)
    with pytest.raises(IntegrityError, match="not chosen"), transaction.atomic():
        BreakGlassReview.objects.create(
            opening=opening, outcome="justified", text="x", reviewed_by=friend, reviewed_at=NOW + LASTS,
            entry=opening.entry,
        )  # fmt: skip


def test_joining_the_care_team_makes_it_unnecessary(hospital):
    opened(hospital)
    join_care_team(
        hospital.mary.pk, hospital.people["other_clinician"].pk, responsible=False, by=hospital.acting("admin"), now=NOW
    )
    assert reads(acting_person(hospital.people["other_clinician"], now=NOW), hospital)


def test_what_is_kept_of_the_session_opens_nothing(hospital):
    assert opened(hospital).session_sha256 == hashlib.sha256(b"session-one").hexdigest()
