"""The controls over people and the record, and the ways around that are their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from audit.models import Entry
from governance.domain import Permission
from governance.services import Acting
from governance.services.accounts import accept_invitation
from governance.services.roles import answer_role
from tests.authority.forged_rows import FORGED
from tests.authority.house import House, account
from tests.authority.paths import Control
from tests.authority.trying import Bypass, NotHere, Try, sql
from tests.authority.ways import gone_stale, row, run

Side = Mapping[str, Any]
B, P = Bypass, Permission
DENIED = "permission denied|only grows"


# -- people ------------------------------------------------------------------------------------------------------------


def _grants(_: House, by: Acting, o: Side, now: datetime) -> object:
    return answer_role(o["asked_role"].pk, grant=True, by=by, now=now)


def _invited(house: House, later: timedelta, *, twice: bool = False) -> object:
    token, now = house.own["invitation"].token, house.now + later
    if twice:
        accept_invitation(token, account("first"), now=now)
    return accept_invitation(token, account("second"), now=now)


ACCOUNTS = Control(
    "accounts",
    "who is here and in which role is said by two people, and a credential is confirmed by another",
    frozenset({P.MANAGE_STAFF, P.CONFIRM_PEOPLE, P.MANAGE_COVER, P.STAND_IN}),
    (
        *("governance_credential", "governance_credentialconfirmed", "governance_credentialrevoked"),
        *("governance_failedattempt", "governance_tokenunder", "governance_credentialuse", "governance_recoverycode"),
        *("governance_roleasked", "governance_roleheld", "governance_invitation", "governance_signedin"),
        *("governance_signingchallenge", "governance_wayback", "governance_signature", "governance_signatureevidence"),
        *("governance_oncallshift", "governance_shiftcover", "governance_contactpoint", "governance_notice"),
        "governance_noticetry",
    ),
    _grants,
    "admin",
    signed=False,
    mine={
        B.COMMAND: (
            run(
                "by an outsider",
                "invite_staff",
                "--role",
                "clinician",
                "--email",
                "x@example.org",
                "--by",
                "{outsider}",
            ),
            run("a second ceremony", "key_ceremony", "--username", "{second_admin}", "--witness", "Grace Ward"),
            run(
                "by an outsider",
                "hand_over",
                "--from",
                "{clinician}",
                "--to",
                "{other_clinician}",
                "--by",
                "{outsider}",
            ),
        ),
        B.REPLAYED_TOKEN: (
            Try("an invitation used twice", lambda house: _invited(house, timedelta(0), twice=True), "invitation_over"),
        ),
        B.EXPIRED_APPROVAL: (
            Try("an invitation of last month", lambda house: _invited(house, timedelta(days=30)), "invitation_over"),
        ),
        B.SWAPPED_OBJECT: (
            Try(
                "what one asked for oneself",
                lambda house: answer_role(
                    house.foreign["asked_role"].pk, grant=True, by=house.acting("second_admin"), now=house.now
                ),
                "not_allowed",
            ),
        ),
    },
    beside={
        B.RAW_SQL: FORGED["accounts"],
        B.SHELL: (
            Try(
                "by who asked",
                lambda house: _grants(house, house.acting("second_admin"), house.own, house.now),
                "not_allowed",
            ),
        ),
    },
)
ACCOUNTS.mine[B.STALE_FORM] = (
    gone_stale(
        ACCOUNTS,
        lambda house: answer_role(house.own["asked_role"].pk, grant=False, by=house.acting("officer"), now=house.now),
        "not_found",
    ),
)


# -- the record --------------------------------------------------------------------------------------------------------


def _rewrites(_: House, by: Acting, __: Side, now: datetime) -> object:
    entry = Entry.objects.first() or Entry()
    entry.save(force_update=True)
    return by, now


RECORD = Control(
    "record",
    "the record grows, and nothing of it is changed or taken away",
    frozenset(),
    (
        *("audit_entry", "audit_pending", "audit_objectversion", "audit_payload", "audit_treestate", "audit_tile"),
        *("audit_checkpoint", "audit_cosignature", "audit_timestamp", "audit_segment", "audit_detached"),
    ),
    _rewrites,
    "auditor",
    signed=False,
    mine={
        B.PAGE: NotHere("no page writes into it but by an act of another control"),
        B.API: NotHere("no address writes into it but by an act of another control"),
        B.COMMAND: (
            run(
                "applied ahead of time",
                "apply_retention",
                "--now",
                "2100-01-01T00:00:00+00:00",
                named="command: .*future",
            ),
            run(
                "shredded without being anybody's",
                "shred",
                "--person",
                "nobody",
                "--basis",
                "x",
                "--approver",
                "x",
                named="command: .*not an id",
            ),
        ),
        B.SHELL: (
            Try("an entry written over", lambda _: sql("UPDATE audit_pending SET leaf = leaf"), DENIED),
            Try("an entry left out of its log", lambda _: sql("DELETE FROM audit_pending"), DENIED),
            Try(
                "an entry made up in the log",
                lambda _: sql("INSERT INTO audit_entry SELECT * FROM audit_entry"),
                DENIED,
            ),
        ),
        B.REPLAYED_TOKEN: NotHere("an entry is written by the act that it is of, and by no token"),
        B.STALE_FORM: NotHere("there is no form"),
        B.EXPIRED_APPROVAL: NotHere("no approval lets anybody change it"),
        B.SWAPPED_OBJECT: (
            row(
                "the content of another entry",
                "INSERT INTO audit_objectversion SELECT * FROM audit_objectversion LIMIT 1",
                named="duplicate",
            ),
        ),
        B.DOWNGRADED_MFA: (
            Try(
                "read with one factor", lambda house: house.browsers["single"].get("/audit/search/"), "^302 /security/"
            ),
        ),
        B.FORGED_CLIENT: (
            Try(
                "read by a token",
                lambda house: Client().get(
                    "/audit/search/", headers={"Authorization": f"Bearer {house.tokens['staff']}"}
                ),
                "^302 /accounts/login/",
            ),
        ),
        B.FORGED_TASK: NotHere("its tasks take no arguments"),
    },
)


OF_PEOPLE = (ACCOUNTS, RECORD)
