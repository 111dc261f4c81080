"""FHIR files: every resource that can be read is, and what cannot be read has a name."""

import gzip
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.fhir_r4.documents import Found, Unreadable
from care_loops.fhir_r4.reader import evidence, index, source_id
from care_loops.fhir_r4.values import Refused
from care_loops.pathways.hypertension.tables_interchange import codebook
from tests.care_loops.fhir_cases import LOINC, RXNORM, SNOMED, bundle, condition, daily, order, panel, patient
from tests.care_loops.fhir_reading import CONTEXT, read_file

# Files


def test_order_of_keys_does_not_make_another_resource():
    one = {"resourceType": "Observation", "status": "final", "code": {}}
    other = {"code": {}, "status": "final", "resourceType": "Observation"}
    assert source_id(Found("", one, "")) == source_id(Found("", other, "")) != source_id(Found("", one, "urn:uuid:1"))


def ids(found):
    return [item.resource["id"] if isinstance(item, Found) else item.reason for item in found]


LINES = b"\n".join(json.dumps(panel(f"o{n}", 120, 80)).encode() for n in range(3))

FILES = [
    ("a.ndjson", LINES, ["o0", "o1", "o2"]),
    ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n") + b"\r\n\r\n", ["o0", "o1", "o2"]),
    ("a.ndjson", LINES.replace(b"\n", b"\r"), ["o0", "o1", "o2"]),
    ("a.json", LINES, ["o0", "o1", "o2"]),
    ("a.json.gz", gzip.compress(LINES, mtime=0), ["o0", "o1", "o2"]),
    ("a.ndjson", gzip.compress(LINES, mtime=0), ["o0", "o1", "o2"]),
    ("a.ndjson", LINES + b'\n{"resourceType": "Obs', ["o0", "o1", "o2", "not_json"]),
    ("a.ndjson", b"what\n" + LINES, ["not_json", "o0", "o1", "o2"]),
    ("a.ndjson", b"\xff\xfe{\n" + LINES, ["not_json", "o0", "o1", "o2"]),
    ("a.ndjson", b'[1]\n7\n"x"\n{}\n' + LINES, ["not_fhir"] * 4 + ["o0", "o1", "o2"]),
    ("a.ndjson", b"", []),
    ("a.json", b"", ["empty_file"]),
    ("a.json", b" \n ", ["empty_file"]),
    ("a.json", b"{", ["not_json"]),
    ("a.json", b"[" * 100_000, ["nested_too_deeply"]),
    ("a.json", json.dumps({"resourceType": "Bundle", "entry": 7}).encode(), ["not_fhir"]),
    ("a.json", json.dumps({"resourceType": "Bundle", "entry": [7, {"resource": 8}, {}]}).encode(), ["not_fhir"] * 2),
    ("a.json", json.dumps(bundle(bundle(panel("in", 1, 2)))).encode(), ["in"]),
    ("a.json", gzip.compress(LINES, mtime=0)[:40], ["truncated_gzip"]),
]


@pytest.mark.parametrize(("name", "data", "expected"), FILES)
def test_a_file_gives_what_can_be_read_and_names_the_rest(name, data, expected):
    assert ids(read_file(name, data)) == expected


def test_of_a_truncated_file_the_lines_before_the_break_are_read():
    lines = b"\n".join(json.dumps(panel(f"o{n}", 100 + n % 90, 60 + n % 31)).encode() for n in range(4000))
    cut = gzip.compress(lines)[:-4000]
    found = ids(read_file("a.ndjson.gz", cut))
    assert found[-1] == "truncated_gzip"
    assert found[:-1] == [f"o{n}" for n in range(len(found) - 1)]
    assert len(found) > 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(["code", "component", "subject", "effectiveDateTime", "status", "valueQuantity", "extension"])


@given(st.sampled_from(["panel", "order", "condition", "patient"]), st.dictionaries(FIELDS | st.text(max_size=9), JSON))
def test_nothing_that_is_sent_breaks_the_reader(kind, nonsense):
    whole = {
        "panel": panel("o1", 120, 80),
        "order": order("m1", (RXNORM, "314076"), dosageInstruction=daily(10)),
        "condition": condition("c1", SNOMED, "38341003"),
        "patient": patient(),
    }[kind]
    data = json.dumps(whole | nonsense | {"resourceType": whole["resourceType"]}).encode()
    for item in read_file("a.json", data):
        assert isinstance(item, Found | Unreadable)
        if isinstance(item, Found):
            index([item], CONTEXT)
            with suppress(Refused):
                evidence(item, CONTEXT)


def test_no_unit_of_pressure_is_read_as_another():
    assert {row.written for row in codebook().units.values() if row.of == "pressure"} >= {"mm[Hg]", "kPa"}
    assert codebook().factor("potassium", "mg/dL") is None
    assert codebook().factor("egfr", "mL/min", code="48642-3") is None
    assert all(row.code in LOINC or row.code[0].isdigit() for row in codebook().observations.values())
