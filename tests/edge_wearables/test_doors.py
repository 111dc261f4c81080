"""Who may knock, and what is answered to what cannot be read: a named refusal, never a failure (SECURITY A17, B)."""

import base64
import gzip
import json
import random
from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import Pending
from care_loops.models import BloodPressure
from edge_wearables.envelope import MAX_BODY
from edge_wearables.models import DeviceKey, RefusedReading
from edge_wearables.services import issue_code
from edge_wearables.signatures import enrolment_bytes, pack, public_of, sign
from governance.domain import Role
from governance.services.accounts import accept_invitation
from tests.edge_wearables.entrance import (
    BATCHES,
    ENROL,
    JOB,
    REFUSED,
    Sender,
    a_sender,
    enrolled_key,
    new_device,
    pressure,
)
from tests.governance.people import account, founded, invited_to, staff
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


def refused_with(answer, status, code):
    """The answer is a problem document with this code, and nothing was stored."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.content
    assert answer.json()["code"] == code
    assert not BloodPressure.objects.exists()


def kinds_recorded():
    """The types of all entries, from their leaves."""
    return [
        json.loads(bytes(leaf).split(b"\n", 2)[2])["type"] for leaf in Pending.objects.values_list("leaf", flat=True)
    ]


# -- the signature -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "missing", ["Signature", "Device-Id", "Device-Key", "Boot-Id", "First-Seq", "Last-Seq", "Sent-At"]
)
def test_an_unsigned_message_is_refused_recorded_and_kept(missing):
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    refused_with(sender.post(body, {k: v for k, v in headers.items() if k != missing}), 401, "unsigned")
    kept = RefusedReading.objects.get()
    assert (kept.code, bytes(kept.body)) == ("unsigned", body)
    assert "batch.rejected" in kinds_recorded()


def test_every_part_of_the_message_is_under_the_signature():
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    refused_with(sender.post(body.replace(b"128", b"118"), headers), 401, "bad_signature")
    bent = {
        "Boot-Id": str(uuid4()),
        "First-Seq": "2",
        "Last-Seq": "2",
        "Sent-At": "2026-11-22T07:00:00.000Z",
    }
    for name, value in bent.items():
        changed = headers | {name: value}
        if name == "First-Seq":
            changed |= {"Last-Seq": "3"}
        refused_with(sender.post(body, changed), 401, "bad_signature")


def test_an_unknown_device_is_refused():
    sender = Sender(uuid4(), Ed25519PrivateKey.generate().private_bytes_raw())
    refused_with(sender.send(pressure(1)), 401, "unknown_device")


def test_an_unknown_key_of_a_known_device_is_refused():
    known = a_sender()
    sender = Sender(known.device_id, Ed25519PrivateKey.generate().private_bytes_raw())
    refused_with(sender.send(pressure(1)), 401, "unknown_key")


def test_another_device_s_key_is_refused():
    one, two = a_sender(), a_sender()
    refused_with(one.send(pressure(1), device_id=two.device_id), 403, "foreign_device")


def test_a_known_key_with_a_stranger_s_signature_is_refused():
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    stranger = Sender(sender.device_id, Ed25519PrivateKey.generate().private_bytes_raw(), boot_id=sender.boot_id)
    _, other = stranger.message([pressure(1)], body=body)
    refused_with(sender.post(body, headers | {"Signature": other["Signature"]}), 401, "bad_signature")


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "A",
        "AAAA",
        "=" * 88,
        "A" * 86 + "==",
        "A" * 85 + "B==",
        pack(bytes(64)),
        pack(bytes(63)),
        pack(bytes(65)),
        "é" * 88,
    ],
)
def test_a_bent_signature_is_refused(signature):
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    answer = sender.post(body, headers | {"Signature": signature})
    assert answer.status_code in (400, 401)
    assert answer.json()["code"] in ("unsigned", "bad_base64", "bad_signature")
    assert not BloodPressure.objects.exists()


def test_a_signature_in_url_safe_or_unpadded_base64_is_refused():
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    raw = base64.b64decode(headers["Signature"])
    for spelled in (
        base64.b64encode(raw).decode().rstrip("="),
        headers["Signature"] + "\n",
        " " + headers["Signature"] + "=",
    ):
        assert sender.post(body, headers | {"Signature": spelled}).status_code in (200, 400)
    assert sender.post(body, headers | {"Signature": base64.b64encode(raw).decode().rstrip("=")}).status_code == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Device-Id", "1"),
        ("Device-Id", "{0}"),
        ("Device-Key", "../../etc"),
        ("Boot-Id", "boot' OR 1=1"),
        ("First-Seq", "0"),
        ("First-Seq", "-1"),
        ("First-Seq", "1.0"),
        ("First-Seq", "99999999999999999999"),
        ("First-Seq", "٣"),
        ("Last-Seq", "0x10"),
        ("Sent-At", "now"),
        ("Sent-At", "2026-11-22T07:00:00"),
    ],
)
def test_a_bent_header_is_refused_by_name(name, value):
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    if name == "Device-Id" and value == "{0}":
        value = str(sender.device_id).upper()
    refused_with(sender.post(body, headers | {name: value}), 400, "bad_header")


def test_the_body_is_not_opened_before_the_signature_holds():
    sender = a_sender()
    body, headers = sender.message([], body=b'{"broken')
    refused_with(sender.post(body, headers | {"Signature": pack(bytes(64))}), 401, "bad_signature")
    refused_with(sender.post(body, headers), 400, "not_json")


def test_a_flood_of_refusals_is_counted_and_does_not_fill_the_house():
    body = b"x" * 1000
    for _ in range(40):
        refused_with(Client().post(BATCHES, data=body, content_type="application/json"), 401, "unsigned")
    assert RefusedReading.objects.count() <= 20


# -- the body ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"[]", 400, "not_an_object"),
        (b"null", 400, "not_an_object"),
        (b"{}", 400, "missing_field"),
        (b'{"format":"clinaiops/readings/v2","readings":[]}', 400, "unknown_format"),
        (b'{"format":["fhir"],"readings":[]}', 400, "unknown_format"),
        (b'{"format":"clinaiops/readings/v1"}', 400, "missing_field"),
        (b'{"format":"clinaiops/readings/v1","readings":{}}', 400, "not_a_list"),
        (b'{"format":"clinaiops/readings/v1","readings":[]}', 400, "no_readings"),
        (b'{"format":"clinaiops/readings/v1","readings":[1]}', 400, "not_an_object"),
        (b'{"format":"clinaiops/readings/v1","readings":[{}]}', 400, "bad_sequence"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":"1"}]}', 400, "bad_sequence"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":true}]}', 400, "bad_sequence"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":2}]}', 400, "bad_sequence"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":1.0}]}', 400, "bad_sequence"),
        (b'{"format":"clinaiops/readings/v1","zone":"Mars","readings":[{"seq":1}]}', 400, "unknown_zone"),
        (b'{"format":"clinaiops/readings/v1","x":1,"readings":[{"seq":1}]}', 400, "unknown_field"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":1,"systolic":NaN}]}', 400, "not_finite"),
        (b'{"format":"clinaiops/readings/v1","readings":[{"seq":1,"seq":1}]}', 400, "duplicate_key"),
        (b"[" * 50_000, 400, "too_deep"),
        (b" " * (MAX_BODY + 1), 413, "body_too_large"),
        (
            b'{"format":"clinaiops/readings/v1","readings":[' + b'{"seq":1},' * 1000 + b'{"seq":1}]}',
            413,
            "too_many_readings",
        ),
    ],
)
def test_a_message_that_cannot_be_read_is_refused_by_name_and_kept(body, status, code):
    sender = a_sender()
    refused_with(sender.send(body=body), status, code)
    kept = RefusedReading.objects.get()
    assert kept.code == code
    assert kept.body_size <= MAX_BODY + 1
    assert len(bytes(kept.body)) <= 64 * 1024
    assert str(kept.device_id) == str(sender.device_id) or status == 413


def test_a_gzip_message_is_read_and_a_bomb_is_refused():
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    assert sender.post(gzip.compress(body), headers, **{"Content-Encoding": "gzip"}).json()["accepted"] == [1]
    other = a_sender()
    bomb = gzip.compress(b" " * 50_000_000)
    answer = other.post(bomb, other.message([], body=bomb)[1], **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("encoding", "bend", "code"),
    [
        ("gzip", lambda b: b, "not_gzip"),
        ("gzip", lambda b: gzip.compress(b)[:-9], "not_gzip"),
        ("gzip", lambda b: gzip.compress(b) + b"more", "not_gzip"),
        ("br", lambda b: b, "unknown_encoding"),
        ("gzip, gzip", gzip.compress, "unknown_encoding"),
    ],
)
def test_a_bent_compression_is_refused_by_name(encoding, bend, code):
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    refused_with(sender.post(bend(body), headers, **{"Content-Encoding": encoding}), 400, code)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_only_post_is_answered(method):
    assert getattr(Client(), method)(BATCHES).status_code == 405


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
places = st.sampled_from(["seq", *(k for k in pressure(1) if k != "seq"), "zone", "flags", "session", "other"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(places, values), min_size=1, max_size=4), st.binary(max_size=60), st.booleans())
def test_no_signed_body_makes_the_door_fail(changes, noise, use_noise):
    sender = a_sender()
    reading = pressure(1) | dict(changes)
    body = noise if use_noise else json.dumps({"format": "clinaiops/readings/v1", "readings": [reading]}).encode()
    answer = sender.send(body=body)
    assert answer.status_code in (200, 400), (body, answer.content)
    if answer.status_code == 400:
        assert answer.json()["code"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_no_bent_byte_of_a_message_makes_the_door_fail(seed, cuts):
    chance, sender = random.Random(seed), a_sender()
    body, headers = sender.message([pressure(1), pressure(2)])
    bent = bytearray(body)
    for _ in range(cuts):
        bent[chance.randrange(len(bent))] = chance.randrange(256)
    answer = sender.post(*sender.message([], body=bytes(bent), first_seq=1, last_seq=2))
    assert answer.status_code in (200, 400), (bytes(bent), answer.content)
    assert sender.post(bytes(bent), headers).status_code in (200, 401)


# -- enrolment ---------------------------------------------------------------------------------------------------------


def a_claim(code, *, private=None, **changes):
    private = private or Ed25519PrivateKey.generate().private_bytes_raw()
    public = public_of(private)
    plain = code.replace("-", "")
    proof = pack(sign(private, enrolment_bytes(plain, public)))
    return {"code": code, "public_key": pack(public), "proof": proof} | changes


def enrol(claim):
    return Client().post(ENROL, data=json.dumps(claim), content_type="application/json")


def test_a_device_enrols_with_its_code_once_and_is_answered_the_same_again():
    device, private = new_device(), Ed25519PrivateKey.generate().private_bytes_raw()
    claim = a_claim(issue_code(device, by=JOB, now=timezone.now()), private=private)
    first, again = enrol(claim), enrol(claim)
    assert first.status_code == 200
    assert first.json()["device_id"] == str(device)
    assert again.content == first.content
    assert DeviceKey.objects.count() == 1
    other = enrol(a_claim(claim["code"]))
    assert (other.status_code, other.json()["code"]) == (401, "code_used")


def test_a_new_key_revokes_the_one_before():
    sender = a_sender()
    sender.taken(pressure(1))
    enrolled_key(sender.device_id, now=timezone.now())
    assert sender.send(pressure(2)).json()["code"] == "key_revoked"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"proof": pack(bytes(64))}, "bad_signature"),
        ({"public_key": pack(bytes(32))}, "bad_signature"),
        ({"public_key": pack(bytes(31))}, "bad_base64"),
        ({"code": "AAAA-AAAA-AAAA-AAAA"}, "bad_signature"),
        ({"code": 7}, "wrong_type"),
        ({"code": None}, "missing_field"),
        ({"more": 1}, "unknown_field"),
    ],
)
def test_a_bent_claim_is_refused_by_name(change, code):
    claim = a_claim(issue_code(new_device(), by=JOB, now=timezone.now())) | change
    answer = enrol(claim)
    assert answer.status_code in (400, 401)
    assert answer.json()["code"] == code
    assert not DeviceKey.objects.exists()


def test_an_unknown_or_expired_code_is_refused():
    assert enrol(a_claim("AAAA-AAAA-AAAA-AAAA")).json()["code"] == "unknown_code"
    old = issue_code(new_device(), by=JOB, now=timezone.now() - timedelta(days=8))
    assert enrol(a_claim(old)).json()["code"] == "code_expired"


def test_codes_cannot_be_tried_for_long():
    answers = [enrol(a_claim("AAAA-AAAA-AAAA-AAAA")).status_code for _ in range(40)]
    assert answers[0] == 401
    assert answers[-1] == 429


# -- looking at what was refused ---------------------------------------------------------------------------------------


def a_person(role):
    """A browser in which somebody of that role has signed in."""
    yesterday = timezone.now() - timedelta(days=1)
    admin = founded(yesterday)
    if role is Role.ADMINISTRATOR:
        user = admin
    elif role is Role.PATIENT:
        token = invited_to(uuid4(), role, by=admin, at=yesterday)
        user, _ = accept_invitation(token, account(), now=yesterday)
    else:
        user = staff(role, by=admin, at=yesterday)
    return signed_in(user)


def test_staff_who_may_see_what_was_refused_and_the_look_is_recorded():
    sender = a_sender()
    sender.taken(pressure(1), pressure(2, unit="psi"))
    answer = a_person(Role.DATA_ENGINEER).get(REFUSED)
    assert answer.status_code == 200
    (row,) = answer.json()["refused"]
    assert (row["seq"], row["code"], row["device"]) == (2, "unknown_unit", str(sender.device_id))
    assert '"psi"' in row["body"]
    assert "access.read" in kinds_recorded()


@pytest.mark.parametrize("role", [Role.PATIENT, Role.AUDITOR, Role.PHARMACIST])
def test_others_may_not_see_what_was_refused(role):
    answer = a_person(role).get(REFUSED)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_nobody_may_not_see_what_was_refused():
    assert Client().get(REFUSED).status_code in (401, 403)


@pytest.mark.parametrize("query", ["?page=0", "?page=x", "?page=99999", "?device=1"])
def test_a_bent_question_is_refused(query):
    assert a_person(Role.ADMINISTRATOR).get(REFUSED + query).status_code == 400
