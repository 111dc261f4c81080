"""An entry says who, what, when and why; what is outside the schema cannot be stored or read."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical, entries
from audit.domain import (
    Cap,
    Change,
    Device,
    Esign,
    EventInvalid,
    Job,
    Limits,
    Model,
    ModelRef,
    ObjectRef,
    OnBehalfOf,
    Person,
    RequestRef,
)
from audit.kinds import REGISTRY, UnknownKind
from tests.audit.builders import JOB, NOON, event

ORIGIN = "clinaiops.invalid/log/test"
KEY = bytes(32)
ID = UUID("01a20296-24a4-7418-a8b2-be3d0292a716")
FULL = replace(
    event(version=2, kind="recommendation.modified", reason_code="frail"),
    actor=Person("17", "clinician", "org-1", "secret-session", ("pwd", "totp"), NOON),
    on_behalf_of=OnBehalfOf("phone-app"),
    change=Change(("dose",), "00" * 32, "11" * 32),
    model=ModelRef("protocol", "1", artifact_sha256="22" * 32),
    limits=Limits((Cap("max_step", "10", "5", "mg"),), ("labs-overdue",)),
    esign=Esign("approved", "33" * 32, "password_totp", name_shown="Dr Lee"),
    cause=ID,
    req=RequestRef(id="r-1", route="decide", ip_prefix="192.0.2.0/24"),
    break_glass_id="bg-1",
)


def build(given_event, **changes):
    arguments = {
        "entry_id": ID,
        "at": NOON,
        "prev": bytes(32) if (given_event.object.version or 1) > 1 else None,
        "tenant_key": KEY,
        "payload": (ID, bytes(32)),
        "software": entries.Software("1.0"),
    }
    return entries.build(given_event, **(arguments | changes))


def test_a_full_entry_survives_the_round_trip():
    entry = build(FULL)
    leaf = entries.leaf_data(entry, origin=ORIGIN)
    assert entries.read_leaf(leaf, origin=ORIGIN) == entry
    assert entries.leaf_hash(leaf) == sha256(b"\x00" + leaf).digest()
    assert leaf.startswith(b"clinaiops/audit-entry/v1\n" + ORIGIN.encode() + b"\n{")
    assert set(entry) == set(entries.REQUIRED) | set(entries.OPTIONAL)


def test_an_entry_holds_neither_the_patient_nor_the_session():
    leaf = entries.leaf_data(build(FULL), origin=ORIGIN)
    assert b"patient-7" not in leaf
    assert b"secret-session" not in leaf
    assert b"135.5" not in leaf


def test_the_same_patient_has_the_same_pseudonym_and_another_key_another():
    assert entries.pseudonym("p", tenant_key=KEY) == entries.pseudonym("p", tenant_key=KEY)
    assert entries.pseudonym("p", tenant_key=KEY) != entries.pseudonym("p", tenant_key=b"\x01" * 32)


@pytest.mark.parametrize(
    ("actor", "kind", "name"),
    [
        (Person("17", "nurse"), "user", "17"),
        (Device("cuff-3", "k1"), "device", "cuff-3"),
        (Job("sequencer", "r"), "service", "sequencer"),
        (Model("bp", "2"), "model", "bp@2"),
    ],
)
def test_every_actor_is_named_by_kind(actor, kind, name):
    said = build(event(actor=actor))["actor"]
    assert (said["kind"], said["id"]) == (kind, name)


@pytest.mark.parametrize("actor", [None, "dr-lee", Person("", "clinician"), Device(""), Job("", "run"), Model("", "1")])
def test_nobody_is_not_an_actor(actor):
    with pytest.raises(EventInvalid, match="anonymous"):
        build(event(actor=actor))


def test_an_unknown_type_is_refused():
    with pytest.raises(UnknownKind):
        build(event(kind="window.opened_again"))


@pytest.mark.parametrize(
    ("type_", "missing", "change"),
    [
        ("window.closed", "subject", {"subject": None}),
        ("window.closed", "payload", {"payload": None}),
        ("recommendation.rejected", "reason_code", {}),
        ("observation.batch_accepted", "payload.root", {"payload": {"count": 3}}),
        ("signature.made", "esign", {}),
        ("model.registered", "model", {}),
    ],
)
def test_what_a_type_needs_may_not_be_missing(type_, missing, change):
    with pytest.raises(EventInvalid, match=missing):
        build(event(kind=type_, **change))


def test_every_type_has_a_name_the_schema_takes():
    assert all(name == kind.name and name.count(".") == 1 for name, kind in REGISTRY.items())
    assert {"log.genesis", "patient.enrolled", "recommendation.approved", "danger_lock.lifted"} <= set(REGISTRY)


def test_times_are_utc_to_the_microsecond_and_never_without_a_zone():
    local = datetime(2026, 3, 1, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert entries.stamp(local) == "2026-03-01T12:00:00.000005Z"
    assert entries.stamp(datetime(5, 1, 1, tzinfo=UTC)) == "0005-01-01T00:00:00.000000Z"
    with pytest.raises(EventInvalid, match="time-without-zone"):
        entries.stamp(datetime(2026, 3, 1))


def test_ids_carry_their_time_and_version():
    made = entries.fresh_id(NOON)
    assert made.version == 7
    assert made.int >> 80 == int(NOON.timestamp() * 1000)
    assert made != entries.fresh_id(NOON)


BROKEN = [
    ("an unknown key", lambda e: e | {"mood": "good"}),
    ("no actor", lambda e: {k: v for k, v in e.items() if k != "actor"}),
    ("another schema version", lambda e: e | {"v": 2}),
    ("true for one", lambda e: e | {"v": True}),
    ("an unknown type", lambda e: e | {"type": "window.opened_again"}),
    ("a time of day that is none", lambda e: e | {"at": "2026-03-01T25:00:00.000000Z"}),
    ("a day that is none", lambda e: e | {"at": "2026-02-30T12:00:00.000000Z"}),
    ("a time without microseconds", lambda e: e | {"at": "2026-03-01T12:00:00Z"}),
    ("a time in the digits of another script", lambda e: e | {"at": "２０２６-03-01T12:00:00.00000٣Z"}),
    ("an unknown purpose", lambda e: e | {"purpose": "curiosity"}),
    ("an unknown outcome", lambda e: e | {"outcome": "maybe"}),
    ("an id in capitals", lambda e: e | {"id": e["id"].upper()}),
    ("a fifth kind of actor", lambda e: e | {"actor": {"kind": "ghost", "id": "1"}}),
    ("an actor without a name", lambda e: e | {"actor": {"kind": "user", "id": ""}}),
    ("a version beyond all integers", lambda e: e | {"object": e["object"] | {"version": 2**53}}),
    ("a text too long", lambda e: e | {"break_glass_id": "x" * 1025}),
    ("version nought", lambda e: e | {"object": e["object"] | {"version": 0}}),
    ("a first version with a predecessor", lambda e: e | {"object": e["object"] | {"version": 1}}),
    ("a second version without one", lambda e: e | {"object": e["object"] | {"prev": None}}),
    ("a short commitment", lambda e: e | {"payload": e["payload"] | {"commit": "00"}}),
    ("no reason where one is needed", lambda e: {k: v for k, v in e.items() if k != "reason_code"}),
    ("a list for an object", lambda e: e | {"sw": ["1.0"]}),
]


@pytest.mark.parametrize(("what", "breaking"), BROKEN, ids=[what for what, _ in BROKEN])
def test_what_is_outside_the_schema_is_neither_stored_nor_read(what, breaking):
    broken = breaking(build(FULL))
    with pytest.raises((entries.EntryInvalid, UnknownKind)):
        entries.leaf_data(broken, origin=ORIGIN)
    stored = entries.leaf_of(json.dumps(broken, sort_keys=True, separators=(",", ":")).encode(), origin=ORIGIN)
    with pytest.raises((entries.EntryInvalid, UnknownKind)):
        entries.read_leaf(stored, origin=ORIGIN)


@pytest.mark.parametrize("text", ["e\u0301", "\ud800"])
def test_text_with_two_spellings_is_not_stored(text):
    with pytest.raises(canonical.NotCanonical):
        entries.leaf_data(build(FULL) | {"break_glass_id": text}, origin=ORIGIN)


@pytest.mark.parametrize("size", [1024, 1023])
def test_the_longest_texts_of_the_schema_are_inside_the_profile(size):
    entry = build(FULL) | {"break_glass_id": "\U0001f9ea" * size}
    assert canonical.dumps(entry) == canonical.spell(entry)


def test_only_an_object_is_an_entry():
    with pytest.raises(entries.EntryInvalid, match="not-an-entry"):
        entries.check_entry([1])


def test_a_leaf_of_another_log_is_refused():
    leaf = entries.leaf_data(build(FULL), origin="other.invalid/log")
    with pytest.raises(entries.EntryInvalid, match="foreign-leaf"):
        entries.read_leaf(leaf, origin=ORIGIN)


@given(st.data())
def test_a_flipped_bit_never_reads_as_the_same_entry(data):
    leaf = bytearray(entries.leaf_data(build(FULL), origin=ORIGIN))
    bit = data.draw(st.integers(0, len(leaf) * 8 - 1))
    before = bytes(leaf)
    leaf[bit // 8] ^= 1 << bit % 8
    assert entries.leaf_hash(bytes(leaf)) != entries.leaf_hash(before)
    try:
        entry = entries.read_leaf(bytes(leaf), origin=ORIGIN)
    except (entries.EntryInvalid, UnknownKind, canonical.NotCanonical):
        return
    assert entry != entries.read_leaf(before, origin=ORIGIN)


def test_an_overlong_leaf_is_refused():
    with pytest.raises(entries.EntryInvalid, match="leaf-too-long"):
        entries.leaf_of(b"x" * 65_536, origin=ORIGIN)
    with pytest.raises(entries.EntryInvalid, match="leaf-too-long"):
        entries.read_leaf(b"x" * 65_536, origin=ORIGIN)


@pytest.mark.parametrize("origin", ["", "with space", "a+b", "line\nbreak", "x" * 201])
def test_a_name_that_cannot_stand_in_a_note_is_no_origin(origin):
    with pytest.raises(entries.EntryInvalid, match="origin"):
        entries.check_origin(origin)


def test_a_commitment_hides_by_salt_and_binds_by_content():
    salt = b"\x01" * 32
    assert entries.commitment(salt, b"a") != entries.commitment(b"\x02" * 32, b"a")
    assert entries.commitment(salt, b"a") != entries.commitment(salt, b"b")
    with pytest.raises(ValueError, match="32 bytes"):
        entries.commitment(b"short", b"a")


def test_a_look_at_an_object_stands_outside_its_chain():
    entry = build(replace(event(kind="access.read"), object=ObjectRef("patient", "p", None)))
    assert entry["object"] == {"type": "patient", "id": "p", "version": None, "prev": None}
    assert build(event(actor=JOB))["actor"]["kind"] == "service"


@pytest.mark.parametrize("version", [0, -1])
def test_versions_count_from_one(version):
    with pytest.raises(EventInvalid, match="object-version"):
        build(event(version=version))
