"""Legal holds: what is held is not destroyed, by no road; they are placed and released beside their entries only."""

import json
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command

from audit.models import DataKey, LegalHold, PayloadKey
from audit.selectors import payload_of
from audit.services.holds import HoldRefused, all_holds, place_hold, release_hold
from audit.services.shredding import Lawful, ShreddingRefused, holds_for, shred_payload, shred_person
from tests.audit.builders import DR_LEE, JOB, NOON, event, first_bad, number, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

COURT = Lawful("court-order-2026-4", "dr-noor")
HOW = {"lawful": COURT, "by": JOB, "now": NOON}
DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def held():
    """A payload of a person who is under a hold."""
    (kept,) = record(event("a"))
    place_hold("litigation-1", subject="patient-7", **HOW)
    return kept


def test_what_is_held_is_not_shredded_and_the_hold_is_named(held):
    (other,) = record(event("b", subject="patient-8"))
    for act in (lambda: shred_payload(held.payload_id, **HOW), lambda: shred_person("patient-7", **HOW)):
        with pytest.raises(ShreddingRefused, match="legal-hold: litigation-1"):
            act()
    shred_payload(other.payload_id, **HOW)
    assert payload_of(held.entry_id) is not None


def test_a_hold_on_everything_holds_everybody():
    (kept,) = record(event("a", subject="patient-8"))
    place_hold("inquiry-1", subject=None, **HOW)
    assert holds_for("anybody") == ("inquiry-1",)
    with pytest.raises(ShreddingRefused, match="legal-hold"):
        shred_payload(kept.payload_id, **HOW)


def test_a_released_hold_holds_nothing_and_keeps_its_name(held):
    released = release_hold("litigation-1", **HOW)
    assert payload_of(released.entry_id) == {"approver": "dr-noor", "basis": "court-order-2026-4"}
    shred_payload(held.payload_id, **HOW)
    for act, code in (
        (lambda: release_hold("litigation-1", **HOW), "already-released"),
        (lambda: release_hold("litigation-9", **HOW), "no-such-hold"),
        (lambda: place_hold("litigation-1", subject=None, **HOW), "name-taken"),
    ):
        with pytest.raises(HoldRefused) as refused:
            act()
        assert refused.value.code == code
    number()
    assert first_bad() is None


@pytest.mark.parametrize(
    ("name", "how", "code"),
    [
        ("no spaces please", {}, "name"),
        ("h", {"lawful": Lawful("because I say so", "a")}, "basis"),
        ("h", {"lawful": Lawful("law-1", " ")}, "approver"),
        ("h", {"lawful": Lawful("law-1", DR_LEE.id), "by": DR_LEE}, "approver"),
    ],
)
def test_a_hold_has_a_name_a_basis_and_another_persons_approval(name, how, code):
    for act in (lambda: place_hold(name, subject=None, **HOW | how), lambda: release_hold(name, **HOW | how)):
        with pytest.raises(HoldRefused) as refused:
            act()
        assert refused.value.code == code
    assert all_holds() == ()


# --- round it ---------------------------------------------------------------------------------------------------------


def test_the_applications_role_neither_places_nor_releases_by_hand(held, app_db):
    for statement, why in (
        ("INSERT INTO audit_legalhold (name, subject) VALUES ('mine', NULL)", "no entry of this transaction"),
        ("UPDATE audit_legalhold SET released_at = now()", "no entry says"),
        ("UPDATE audit_legalhold SET subject = 'x'", "permission denied"),
        ("DELETE FROM audit_legalhold", "permission denied"),
    ):
        with pytest.raises(DENIED, match=why):
            app_db.execute(statement)
    assert [hold.name for hold in all_holds() if hold.released_at is None] == ["litigation-1"]


def test_the_owner_does_not_undo_a_hold_by_accident(held, owner_db):
    for statement in (
        "UPDATE audit_legalhold SET released_at = now()",
        "UPDATE audit_legalhold SET subject = 'x', released_at = now()",
        "DELETE FROM audit_legalhold",
        "TRUNCATE audit_legalhold",
    ):
        with pytest.raises(DENIED):
            owner_db.execute(statement)
    assert LegalHold.objects.get().released_at is None


def test_a_key_under_a_hold_does_not_go_even_beside_its_entry(held, app_db):
    """The service is gone round: the entry is there, the hold is too, and the database asks for both."""
    from tests.audit.test_shredding import _about

    key = DataKey.objects.get(subject__isnull=False)
    for kind, of in (("payload.shredded", ("payload", held.payload_id)), ("key.destroyed", ("data_key", key.pk))):
        said = event(kind=kind, reason_code="law-1", subject=None, payload={"approver": "a"})
        record(_about(said, of[0], str(of[1])))
    with pytest.raises(DENIED, match="under legal hold: litigation-1"):
        app_db.execute("DELETE FROM audit_payloadkey WHERE payload_id = %s", [held.payload_id])
    with pytest.raises(DENIED, match="under legal hold: litigation-1"):
        app_db.execute("UPDATE audit_datakey SET wrapped = '', destroyed_at = now() WHERE id = %s", [key.pk])
    assert PayloadKey.objects.filter(payload_id=held.payload_id).exists()
    release_hold("litigation-1", **HOW)
    app_db.execute("DELETE FROM audit_payloadkey WHERE payload_id = %s", [held.payload_id])


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_places_lists_and_releases(capsys):
    call_command("legal_hold", "list")
    assert "No legal hold" in capsys.readouterr().out
    why = ("--basis", "court-1", "--approver", "dr-noor")
    call_command("legal_hold", "place", "suit-1", "--person", str(uuid4()), *why)
    call_command("legal_hold", "place", "audit-1", "--everything", *why)
    call_command("legal_hold", "release", "audit-1", *why)
    capsys.readouterr()
    call_command("legal_hold", "list", "--json")
    said = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert (said["suit-1"]["released_at"], said["audit-1"]["subject"]) == (None, None)
    assert said["audit-1"]["released_at"] is not None
    call_command("legal_hold", "list")
    assert "suit-1  OPEN  on person" in capsys.readouterr().out
    with pytest.raises(CommandError, match="already-released"):
        call_command("legal_hold", "release", "audit-1", *why)
    with pytest.raises(CommandError, match="--person"):
        call_command("legal_hold", "place", "x", *why)
    with pytest.raises(CommandError, match="invalid"):
        call_command("legal_hold", "place", "x", "--person", "patient seven", *why)
