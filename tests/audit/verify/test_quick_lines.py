"""Lines read by one expression are read as the JSON reader reads them: nothing more is accepted, and the same is said.

Mutations go both ways: what the expression takes, the slow way takes with the same fields; what only the slow way
takes is what the module says it leaves to it. Adversarial lines end soon.
"""

import copy
import json
import random
import re
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.verify import quick
from audit.verify.spelling import CHECKS, SHAPES, Refused, parse
from tests.audit.second.mutating import _changed, bent, logs
from tests.audit.verify.maker import spell

TIME = "2026-03-01T12:00:00.000000Z"
FULL = {
    "v": 1, "id": "019ca945-0000-7000-8000-000000000000", "type": "window.closed", "occurred_at": TIME, "at": TIME,
    "actor": {
        "kind": "user", "id": "1", "role": "a", "org": "b", "session": "ab" * 32, "amr": ["pwd", "otp"],
        "auth_time": TIME, "key_id": "k",
    },
    "purpose": "treatment", "object": {"type": "loop", "id": "l", "version": 2, "prev": "cd" * 32}, "outcome": "ok",
    "sw": {"release": "1.0", "image_sha256": "ab" * 32}, "on_behalf_of": {"kind": "client", "id": "c"},
    "break_glass_id": "g", "subject": "ef" * 32, "reason_code": "r",
    "change": {"fields": [], "before": "ab" * 32, "after": "ab" * 32},
    "payload": {"commit": "ab" * 32, "ref": "019ca945-0000-7000-8000-000000000000", "alg": "a", "dek_id": "d"},
    "model": {"id": "m", "version": "1", "artifact_sha256": "ab" * 32, "policy_version": "p"},
    "limits": {"caps": [{"name": "n", "asked": "1", "given": "2", "unit": "mg"}] * 2, "reasons": ["x"]},
    "req": {"id": "i", "idem": "j", "route": "/a/b", "ip_prefix": "10.", "trace": "t"},
    "cause": {"id": "019ca945-0000-7000-8000-000000000000"},
}  # fmt: skip


def quickly(encoded: bytes) -> tuple | None:
    found = quick._ENTRY.fullmatch(encoded.decode("latin-1"))
    return found and found.groups()


def slowly(encoded: bytes) -> tuple | None:
    """The same fields by the JSON reader and the shapes, written out once more."""
    try:
        entry = parse(encoded, "spelling")
    except Refused:
        return None
    if not CHECKS["entry"](entry):
        return None
    place, held = entry["object"], entry.get("payload", {})
    version = None if place["version"] is None else str(place["version"])
    fields = entry["at"], entry["id"], place["id"], place["prev"], place["type"], version
    return (*fields, held.get("commit"), held.get("ref"), entry.get("subject"), entry["type"])


def left_to_the_slow_way(encoded: bytes) -> bool:
    """What the expression does not take although it is an entry."""
    text = encoded.decode()
    plain = text.isascii() and text.isprintable() and "\\" not in text
    return not plain or '"esign":' in text or re.search(r":[0-9]{16}[,}]", text) is not None


def entries() -> list[bytes]:
    return [encoded for log in logs() for encoded in log.encoded] + [spell(FULL)]


def test_entries_changed_anywhere_are_taken_by_both_ways_or_by_the_slow_one_alone():
    dice, reached = random.Random(20261122), {"both": 0, "slow alone": 0, "neither": 0}
    known = entries()
    for _ in range(4_000):
        encoded = dice.choice(known)
        match dice.randrange(4):
            case 0:
                encoded = bent(encoded, dice)
            case 1:
                encoded = bent(bent(encoded, dice), dice)
            case _:
                encoded = spell_any(_changed(json.loads(encoded), dice))
        fast, slow = quickly(encoded), slowly(encoded)
        if fast is not None:
            assert fast == slow, encoded
        elif slow is not None:
            assert left_to_the_slow_way(encoded), encoded
        reached["both" if fast else "slow alone" if slow else "neither"] += 1
    assert min(reached.values()) >= 60, reached


def spell_any(value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def test_every_member_may_be_there_or_not():
    """All that an object may lack, each left out alone; and a comma too many or too few anywhere."""
    whole = spell(FULL)
    assert quickly(whole) == slowly(whole) != None  # noqa: E711
    for part in [FULL, *(value for value in FULL.values() if isinstance(value, dict))]:
        for name in list(part):
            entry = copy.deepcopy(FULL)
            inner = entry if part is FULL else next(each for key, each in entry.items() if FULL[key] is part)
            del inner[name]
            assert quickly(spell(entry)) == slowly(spell(entry)), name
    for at, byte in enumerate(whole):
        if byte in b",{}[]":
            for other in (whole[:at] + b"," + whole[at:], whole[:at] + whole[at + 1 :], whole[: at + 1] + whole[at:]):
                assert quickly(other) is None
    for empty in ({"req": {}}, {"limits": {"caps": [], "reasons": []}}):
        assert quickly(spell(FULL | empty)) == slowly(spell(FULL | empty)) != None  # noqa: E711


@given(st.from_regex(quick._ENTRY, fullmatch=True, alphabet=st.characters(codec="ascii")))
@settings(max_examples=8)
def test_whatever_the_expression_describes_is_an_entry(text):
    assert quickly(text.encode()) == slowly(text.encode())


@given(
    st.dates().map(str)
    | st.integers(0, 9999).map(lambda year: f"{year:04}-02-29")
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True)
)
def test_days_are_days_of_the_calendar(day):
    encoded = spell(FULL | {"at": f"{day}T12:00:00.000000Z"})
    fast, slow = quickly(encoded), slowly(encoded)
    assert fast == slow
    try:
        date.fromisoformat(day)
    except ValueError:
        assert slow is None
    else:
        assert slow is not None


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_payload_lines_are_read_alike():
    reached = {"both": 0, "slow alone": 0, "neither": 0}

    @settings(max_examples=300)
    @given(BODIES | st.just({"mean": "135", "unit": "mm[Hg]"}), st.randoms(use_true_random=False), st.booleans())
    def one(body, dice, damage):
        line = {"body": spell_any(body).decode(), "entry": FULL["id"], "salt": "ab" * 32}
        encoded = spell(line)
        encoded = bent(encoded, dice) if damage else encoded
        fast = quick.payload(encoded)
        try:
            slow = parse(encoded, "spelling")
            slow = slow if CHECKS["payloads.jsonl"](slow) else None
        except Refused:
            slow = None
        assert fast is None or fast == slow
        if slow is not None and fast is None:
            body = slow["body"]
            assert not (body.isascii() and body.isprintable()) or "\\" in body or body.count('"') > 200
        reached["both" if fast else "slow alone" if slow else "neither"] += 1

    one()
    assert min(reached.values()) >= 10, reached


HOSTILE = {
    "a long string": b'{"actor":{"id":"' + b"a" * 60_000,
    "many members": b'{"actor":{"amr":[' + b'"pwd",' * 10_000 + b"]",
    "many caps": b'{"actor":{"id":"1","kind":"user"},"at":"2026-03-01T12:00:00.000000Z","limits":{"caps":['
    + b'{"asked":"1","given":"2","name":"n","unit":"mg"},' * 1300,
    "almost an entry": spell(FULL)[:-1] + b" " * 60_000,
    "open boxes": b"{" * 65_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_line_takes_long(name):
    began = time.process_time()
    for cut in range(20):
        quick._ENTRY.fullmatch(HOSTILE[name][: -1 - cut].decode("latin-1"))
    assert time.process_time() - began < 1


@pytest.mark.parametrize("unit", [b'\\"', b"a", b'\\\\"', b'"', b'","entry":"'], ids=range(5))
def test_no_payload_takes_long(unit):
    """Twice the length takes about twice the time, and thirty-two mebibytes a second."""
    line = b'{"body":"' + unit * ((32 << 20) // len(unit)) + b'","entry":"'
    began = time.process_time()
    assert quick.payload(line) is None
    assert time.process_time() - began < 2


def test_a_wider_expression_would_be_seen():
    """The seeded defect: an expression that lets commas stand anywhere accepts what no reader does."""
    wide = re.compile(quick.expression("entry").replace(",(?=", ",?(?=").replace('"req":', ',?"req":'))
    bad = spell(FULL).replace(b',"req":', b',,"req":')
    assert wide.fullmatch(bad.decode()) is not None
    assert (quickly(bad), slowly(bad)) == (None, None)
    assert "entry" in SHAPES
