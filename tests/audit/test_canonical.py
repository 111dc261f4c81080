"""One spelling: equal to the RFC 8785 oracle inside the profile, and everything else is refused by name."""

import json
import unicodedata

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import canonical
from audit.canonical import NotCanonical

keys = st.from_regex(r"[a-z0-9_]{1,16}", fullmatch=True)
texts = (
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: unicodedata.is_normalized("NFC", text))
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def _depth(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


entries = st.dictionaries(keys, values, max_size=6).filter(lambda value: _depth(value) <= 6)


@given(entries)
@settings(max_examples=300)
def test_inside_the_profile_the_bytes_are_those_of_rfc_8785(value):
    encoded = canonical.dumps(value)
    assert encoded == rfc8785.dumps(value)
    assert canonical.loads(encoded) == value


def test_the_generator_reaches_astral_characters_escapes_and_nesting():
    seen: set[str] = set()

    @given(entries)
    @settings(max_examples=600, database=None)
    def look(value):
        encoded = canonical.dumps(value).decode()
        seen.update({"astral"} if any(ord(char) > 0xFFFF for char in encoded) else set())
        seen.update({"escape"} if "\\u00" in encoded else set())
        seen.update({"nested"} if _depth(value) >= 3 else set())

    look()
    assert seen == {"astral", "escape", "nested"}


def test_outside_the_profile_the_two_orders_differ_which_is_why_keys_are_restricted():
    value = {"\uff00": 1, "\U00010000": 2}
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert plain != rfc8785.dumps(value)
    with pytest.raises(NotCanonical, match="key"):
        canonical.dumps(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": 1.0}, "float"),
        ({"a": float("nan")}, "float"),
        ({"a": float("inf")}, "float"),
        ({"a": 2**53}, "integer-too-large"),
        ({"a": -(2**53)}, "integer-too-large"),
        ({"A": 1}, "key"),
        ({"a" * 65: 1}, "key"),
        ({"": 1}, "key"),
        ({1: 1}, "key"),
        ({"a": "e\u0301"}, "not-nfc"),
        ({"a": "\ud800"}, "lone-surrogate"),
        ({"a": "x" * 4097}, "string-too-long"),
        ({"a": "é" * 2049}, "string-too-long"),
        ({"a": [[[[[[1]]]]]]}, "too-deep"),
        ({"a": b"bytes"}, "type"),
        ({"a": {1, 2}}, "type"),
    ],
)
def test_what_has_no_single_spelling_is_refused(value, code):
    with pytest.raises(NotCanonical) as refused:
        canonical.dumps(value)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'\xef\xbb\xbf{"a":1}', "byte-order-mark"),
        (b'{"a":1,"a":1}', "duplicate-key"),
        (b'{"a":{"b":1,"b":2}}', "duplicate-key"),
        (b'{"a":1}\n', "other-spelling"),
        (b'{"a":1}x', "not-json"),
        (b'{"a":1}{"a":1}', "not-json"),
        (b'{"a": 1}', "other-spelling"),
        (b'{"b":1,"a":1}', "other-spelling"),
        (b'{"a":"\\u0041"}', "other-spelling"),
        (b'{"a":"\\/"}', "other-spelling"),
        (b'{"a":1.0}', "float"),
        (b'{"a":1e3}', "float"),
        (b'{"a":-0.0}', "float"),
        (b'{"a":-0}', "other-spelling"),
        (b'{"a":NaN}', "float"),
        (b'{"a":Infinity}', "float"),
        (b'{"a":01}', "not-json"),
        (b'{"a":123456789012345678901234567890}', "integer-too-large"),
        (b'{"a":"\\ud800"}', "lone-surrogate"),
        (b'{"a":"\xff"}', "not-utf8"),
        (b"", "not-json"),
        (b"[" * 60_000, "not-json"),
        (b'{"a":"' + b"x" * 70_000 + b'"}', "too-long"),
        ('{"a":"e\u0301"}'.encode(), "not-nfc"),
    ],
)
def test_any_other_spelling_is_refused(data, code):
    with pytest.raises(NotCanonical) as refused:
        canonical.loads(data)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":1}', b'{"a": 1}', b'{"a":"\\u0041"}', b'{"a":-0}', b'{"b":1,"a":1}', '{"a":"e\u0301"}'.encode()],
)
def test_the_fast_reader_of_the_verifier_refuses_them_too(data):
    with pytest.raises(NotCanonical):
        canonical.check_spelling(canonical.parse_fast(data), data)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_no_bytes_break_the_reader(data):
    try:
        value = canonical.loads(data)
    except NotCanonical:
        return
    assert canonical.dumps(value) == data


def test_a_payload_may_have_longer_texts_and_readable_keys():
    value = {"Systolic (mm[Hg])": "135.5", "note": "x" * 60_000}
    assert canonical.loads(canonical.dumps(value, profile=canonical.PAYLOAD), profile=canonical.PAYLOAD) == value
