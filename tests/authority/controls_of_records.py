"""The controls over who reads a record and what its patient agrees to, and the ways around that are their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.test import Client

from care_loops.models import CareTeamMember
from care_loops.selectors.access import patient_for
from care_loops.services import leave_care_team
from care_loops.services.consents import give_consent
from care_loops.services.exports import run_export
from governance.domain import Permission, Standing
from governance.services import Acting, acting_job
from tests.authority.forged_rows import FORGED
from tests.authority.house import House, after_the_glass, job
from tests.authority.paths import Control
from tests.authority.trying import Bypass, NotHere, Try
from tests.authority.ways import gone_stale, run

Side = Mapping[str, Any]
B, P = Bypass, Permission
NO_TERM = NotHere("it rests on no approval that could run out")


# -- a record is read by its care team ---------------------------------------------------------------------------------


def _reads(_: House, by: Acting, o: Side, now: datetime) -> object:
    return patient_for(by, o["patient"].pk, P.READ_RECORD, now=now)


def _after_sign_out(house: House) -> object:
    """The cookie of a session that was signed out."""
    browser = house.browsers["pharmacist"]
    stolen = browser.cookies["sessionid"].value
    browser.post("/accounts/logout/")
    thief = Client()
    thief.cookies["sessionid"] = stolen
    return thief.get(f"/patients/{house.own['patient'].pk}/")


def _glass_over(house: House) -> object:
    by, over = house.in_session("clinician"), after_the_glass(house)
    assert patient_for(by, house.foreign["other_patient"].pk, P.READ_RECORD, now=house.now)
    return patient_for(by, house.foreign["other_patient"].pk, P.READ_RECORD, now=over)


def _left(house: House) -> None:
    team = CareTeamMember.objects.filter(patient=house.own["patient"], user=house.hospital.people["pharmacist"])
    leave_care_team(house.own["patient"].pk, team.get().user_id, by=house.acting("admin"), now=house.now)


def _lends_itself_the_team(house: House) -> object:
    person = house.hospital.people["outsider"]
    lent = Standing(str(person.pk), frozenset(house.acting("clinician").standing.roles))
    return _reads(house, Acting(acting_job("night", "1").actor, lent, user=person), house.own, house.now)


READING = Control(
    "reading",
    "a record is read by its care team, by break-glass for a time, and by nobody else",
    frozenset(
        {
            P.READ_RECORD,
            P.BREAK_GLASS,
            P.REVIEW_BREAK_GLASS,
            P.INVITE_TO_RECORD,
            P.MANAGE_CARE_TEAM,
            P.SEE_WORKLIST,
            P.SEE_QUARANTINE,
            P.EXPORT_AUDIT,
            P.EXPORT_ACCESS_REPORT,
            P.SEARCH_RECORD,
            P.VERIFY_RECORD,
            P.SEE_COVER,
            P.SEE_OVERSIGHT,
            P.SEE_DECISION_FIGURES,
            P.SEE_OWN_DECISIONS,
        }
    ),
    (
        *("care_loops_careteammember", "care_loops_carerlink", "care_loops_breakglass", "care_loops_breakglassread"),
        "care_loops_breakglassreview",
    ),
    _reads,
    "pharmacist",
    signed=False,
    mine={
        B.COMMAND: (
            run(
                "by an outsider",
                "care_team",
                "join",
                "{patient}",
                "--member",
                "{other_clinician}",
                "--by",
                "{outsider}",
            ),
            run(
                "by themself",
                "care_team",
                "join",
                "{patient}",
                "--member",
                "{other_clinician}",
                "--by",
                "{other_clinician}",
                named="command: not_(allowed|found)",
            ),
            run(
                "by an outsider",
                "invite_to_record",
                "{patient}",
                "--as",
                "carer",
                "--email",
                "x@example.org",
                "--by",
                "{outsider}",
            ),
            run(
                "by an outsider",
                "export_audit",
                "--out",
                ".",
                "--as",
                "{outsider}",
                "--patient",
                "{patient}",
                named="command: not_(allowed|found)",
            ),
            run(
                "by an outsider",
                "reidentify",
                "p-1",
                "--reason",
                "x",
                "--by",
                "{outsider}",
                named="command: not_(allowed|found)",
            ),
        ),
        B.SHELL: (
            Try("by a job", lambda house: _reads(house, job(), house.own, house.now), "not_allowed|not_found"),
            Try(
                "by an outsider",
                lambda house: _reads(house, house.acting("outsider"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "by a clinician of another team",
                lambda house: _reads(house, house.acting("other_clinician"), house.own, house.now),
                "not_found",
            ),
            Try("by an outsider who lends themself a role", _lends_itself_the_team, "not_found"),
            Try(
                "in an opening of another session",
                lambda house: _reads(
                    house, house.acting("clinician"), {"patient": house.foreign["other_patient"]}, house.now
                ),
                "not_found",
            ),
        ),
        B.FORGED_TASK: (
            Try(
                "an export that nobody asked for",
                lambda house: f"written: {run_export(uuid4(), now=house.now)}",
                "^written: False",
            ),
        ),
        B.REPLAYED_TOKEN: (Try("the cookie of a session that ended", _after_sign_out, "^302 /accounts/login/"),),
        B.EXPIRED_APPROVAL: (Try("an opening that is over", _glass_over, "not_found"),),
    },
    beside={
        B.RAW_SQL: FORGED["reading"],
        B.FORGED_CLIENT: (
            Try(
                "a client that nobody registered",
                lambda house: house.browsers["patient"].get(
                    "/o/authorize/?response_type=code&client_id=made-up&scope=patient&state=s"
                    "&redirect_uri=https://phone.example.org/back&code_challenge=c&code_challenge_method=S256"
                ),
                "^400",
            ),
        ),
    },
)
READING.mine[B.STALE_FORM] = (gone_stale(READING, _left, "not_found"),)


# -- a patient's word is the patient's ---------------------------------------------------------------------------------


def _agrees(_: House, by: Acting, o: Side, now: datetime) -> object:
    return give_consent(o["patient"].pk, "research", given=True, by=by, now=now)


def _other_answer(house: House) -> object:
    """The same key with the opposite word, at the phone's door."""
    answers = []
    for given in ("false", "true"):
        headers = {"Authorization": f"Bearer {house.tokens['patient']}", "Idempotency-Key": "one-key"}
        body = f'{{"scope": "research", "given": {given}}}'.encode()
        answers.append(Client().post("/api/v1/me/consents", body, content_type="application/json", headers=headers))
    assert answers[0].status_code == 200, answers[0].content
    return answers[1]


CONSENT = Control(
    "consent",
    "a consent is the patient's own word, to the text they were shown",
    frozenset({P.GIVE_CONSENT}),
    ("care_loops_consent",),
    _agrees,
    "of-clinician",
    signed=False,
    mine={
        B.REPLAYED_TOKEN: (Try("the same key with the opposite word", _other_answer, "^(409|422) .*idempotency"),),
        B.STALE_FORM: (
            Try(
                "to a text of before",
                lambda house: give_consent(
                    house.own["patient"].pk,
                    "research",
                    given=True,
                    by=house.acting("of-clinician"),
                    now=house.now,
                    version="0",
                ),
                "consent_text_changed",
            ),
        ),
        B.EXPIRED_APPROVAL: NotHere("a consent holds until it is withdrawn, and is asked for at every act"),
    },
    beside={
        B.RAW_SQL: FORGED["consent"],
        B.SHELL: (
            Try(
                "by their clinician",
                lambda house: _agrees(house, house.acting("clinician"), house.own, house.now),
                "not_allowed",
            ),
            Try(
                "by their carer",
                lambda house: _agrees(house, house.acting("second_admin"), house.own, house.now),
                "not_allowed",
            ),
        ),
    },
)


OF_RECORDS = (READING, CONSENT)
