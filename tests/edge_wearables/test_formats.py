"""Every format is read or refused by name; nothing is guessed, nothing absent becomes a number (SECURITY B1 to B9)."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.domain.readings import Flag, Method, Position, Setting
from edge_wearables import strict_json
from edge_wearables.domain import Bad, Measured, Sampled, Unreadable
from edge_wearables.formats import FILES, READERS, fhir, open_mhealth, own, read_file, read_one, self_measured

BERLIN = "Europe/Berlin"
OWN = {
    "kind": "blood_pressure",
    "taken_at": "2026-11-22T07:30:00+01:00",
    "zone": BERLIN,
    "unit": "mmHg",
    "systolic": 132,
    "diastolic": 84,
    "pulse": 70,
}
STEPS = {
    "kind": "steps",
    "starts_at": "2026-11-22T07:00:00Z",
    "ends_at": "2026-11-22T08:00:00Z",
    "value": 900,
    "unit": "{steps}",
}


def refusal_of(read, *args, **kwargs):
    """The code of the refusal, `None` when it was read. Any other failure is a bug and comes through."""
    try:
        read(*args, **kwargs)
    except Unreadable as refused:
        return refused.code
    return None


def load(path):
    return strict_json.loads(path.read_bytes())


def fhir_pressure(**changes):
    def component(code, value):
        quantity = {"value": value, "unit": "mmHg", "system": fhir.UCUM, "code": "mm[Hg]"}
        return {"code": {"coding": [{"system": fhir.LOINC, "code": code}]}, "valueQuantity": quantity}

    return {
        "resourceType": "Observation",
        "id": "bp-1",
        "status": "final",
        "code": {"coding": [{"system": fhir.LOINC, "code": "85354-9"}]},
        "subject": {"reference": "Patient/1"},
        "performer": [{"reference": "Patient/1"}],
        "effectiveDateTime": "2026-11-22T07:30:00+01:00",
        "issued": "2026-11-22T07:31:00+01:00",
        "component": [component("8480-6", 132), component("8462-4", 84)],
    } | changes


# -- our own -----------------------------------------------------------------------------------------------------------


def test_our_format_is_read_as_it_says():
    read = own.read(OWN | {"position": "seated", "flags": ["irregular_pulse"], "session": "m1"}, zone=None)
    assert isinstance(read, Measured)
    assert (read.systolic.value, read.diastolic.value, read.pulse.value) == (132, 84, 70)
    assert read.taken_at == datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
    assert (read.position, read.flags, read.session) == (Position.SEATED, (Flag.IRREGULAR_PULSE,), "m1")
    assert read.method is None
    assert read.setting is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"systolic": "132"}, "not_a_number"),
        ({"systolic": True}, "not_a_number"),
        ({"systolic": [132]}, "not_a_number"),
        ({"systolic": {"$gt": 1}}, "not_a_number"),
        ({"systolic": None}, "missing_field"),
        ({"systolic": Decimal("1E+400")}, "number_too_large"),
        ({"systolic": 10**6}, "number_too_large"),
        ({"unit": None}, "missing_field"),
        ({"unit": "psi"}, "unknown_unit"),
        ({"unit": "mmhg"}, "unknown_unit"),
        ({"unit": 1}, "unknown_unit"),
        ({"taken_at": "2026-11-22T07:30:00"}, "time_without_offset"),
        ({"taken_at": "2026-11-22"}, "bad_time"),
        ({"taken_at": 1763800000}, "wrong_type"),
        ({"taken_at": "2026-02-30T07:30:00Z"}, "bad_time"),
        ({"taken_at": "2026-11-22T07:30:60Z"}, "bad_time"),
        ({"taken_at": "0001-01-01T00:00:00Z"}, "bad_time"),
        ({"taken_at": "9999-12-31T23:59:59Z"}, "bad_time"),
        ({"taken_at": "0001-01-01T00:00:00+14:00"}, "bad_time"),
        ({"taken_at": "2026-11-22T07:30:00+15:00"}, "bad_time"),
        ({"taken_at": "٢٠٢٦-11-22T07:30:00Z"}, "bad_time"),
        ({"taken_at": None}, "missing_field"),
        ({"zone": "Berlin"}, "unknown_zone"),
        ({"zone": "../../etc/passwd"}, "unknown_zone"),
        ({"zone": 1}, "unknown_zone"),
        ({"zone": None}, "missing_zone"),
        ({"method": "guess"}, "unknown_value"),
        ({"flags": "motion"}, "not_a_list"),
        ({"flags": ["late"]}, "unknown_value"),
        ({"flags": [["motion"]]}, "unknown_value"),
        ({"session": ""}, "bad_text"),
        ({"session": "x" * 81}, "bad_text"),
        ({"session": 7}, "wrong_type"),
        ({"kind": "glucose"}, "unknown_kind"),
        ({"kind": ["blood_pressure"]}, "unknown_kind"),
        ({"kind": None}, "missing_field"),
        ({"extra": 1}, "unknown_field"),
        ({"position": 3}, "unknown_value"),
    ],
)
def test_a_bent_field_is_refused_by_name(change, code):
    read = read_one(own.NAME, OWN | change, zone=None)
    assert isinstance(read, Bad)
    assert read.code == code


def test_an_absent_pressure_stays_absent_and_says_why():
    read = own.read(OWN | {"diastolic": None, "absent_reason": "cuff_error"}, zone=None)
    assert (read.diastolic, read.absent_reason) == (None, "cuff_error")
    assert read.systolic.value == 132


def test_the_zone_of_the_device_is_used_only_where_the_reading_has_none():
    unsaid = {k: v for k, v in OWN.items() if k != "zone"}
    assert own.read(unsaid, zone="Asia/Bangkok").zone == "Asia/Bangkok"
    assert own.read(OWN, zone="Asia/Bangkok").zone == BERLIN


def test_kilopascal_becomes_mmhg():
    read = own.read(OWN | {"unit": "kPa", "systolic": Decimal("17.6"), "diastolic": 11}, zone=None)
    assert abs(read.systolic.value - Decimal("132.011")) < Decimal("0.001")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"unit": "steps"}, "unknown_unit"),
        ({"value": -1}, "negative"),
        ({"value": "900"}, "not_a_number"),
        ({"ends_at": "2026-11-22T06:00:00Z"}, "ends_before_start"),
        ({"starts_at": None}, "missing_field"),
        ({"systolic": 120}, "unknown_field"),
    ],
)
def test_a_bent_sample_is_refused_by_name(change, code):
    assert read_one(own.NAME, STEPS | change, zone=None).code == code


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from(sorted(READERS)), json_values, st.sampled_from(sorted(OWN)), st.data())
def test_no_value_in_any_place_makes_a_reader_fail(name, value, place, data):
    document = {own.NAME: OWN, fhir.NAME: fhir_pressure(), self_measured.NAME: fhir_pressure()}.get(name, OMH)
    bent = dict(document)
    bent[data.draw(st.sampled_from(sorted(bent)))] = value
    content = bent if name == own.NAME else {"document": bent}
    assert isinstance(read_one(name, content, zone=BERLIN), Measured | Sampled | Bad)


# -- strict JSON -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"{} {}", "not_json"),
        (b"\xff\xfe{\x00", "not_utf8"),
        ('{"a":1}'.encode("utf-16"), "not_utf8"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        (b'{"a":NaN}', "not_finite"),
        (b'{"a":Infinity}', "not_finite"),
        (b'{"a":-Infinity}', "not_finite"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":"\\u0000"}', "bad_text"),
        (b'{"a":"\\ud800"}', "bad_text"),
        (b'{"\\u0007":1}', "bad_text"),
        (b"[" * 100_000, "too_deep"),
        (b"[" * 30 + b"]" * 30, "too_deep"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "too_deep"),
        (b"1" * 5_000, "number_too_long"),
        (b"0." + b"1" * 5_000, "number_too_long"),
        (b'{"a":"' + b"x" * 5_000 + b'"}', "text_too_long"),
        (b"[" + b"1," * 300_000 + b"1]", "too_many_values"),
    ],
)
def test_what_is_not_plain_json_is_refused_by_name(body, code):
    with pytest.raises(Unreadable) as refused:
        strict_json.loads(body)
    assert refused.value.code == code


def test_fractions_are_decimals_and_never_floats():
    assert strict_json.loads(b'{"a": 0.1, "b": 1e400}') == {"a": Decimal("0.1"), "b": Decimal("1e400")}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(body):
    assert refusal_of(strict_json.loads, body) != ""


# -- FHIR and the self-measured profile --------------------------------------------------------------------------------


def test_a_fhir_panel_is_read_and_what_is_absent_stays_absent():
    read = fhir.read(fhir_pressure(), zone=BERLIN)
    assert (read.systolic.value, read.diastolic.value, read.setting) == (132, 84, None)
    components = fhir_pressure()["component"]
    absent = {"code": components[1]["code"], "dataAbsentReason": {"coding": [{"code": "error"}]}}
    read = fhir.read(fhir_pressure(component=[components[0], absent]), zone=BERLIN)
    assert (read.diastolic, read.absent_reason) == (None, "error")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"resourceType": "Patient"}, "not_an_observation"),
        ({"code": {"coding": [{"system": fhir.LOINC, "code": "2160-0"}]}}, "unknown_code"),
        ({"code": {"coding": [{"system": "other", "code": "85354-9"}]}}, "unknown_code"),
        ({"code": "85354-9"}, "unknown_code"),
        ({"code": {"coding": [{"system": fhir.LOINC, "code": "96607-7"}]}}, "average_not_a_reading"),
        ({"status": "cancelled"}, "unknown_status"),
        ({"status": "entered-in-error"}, "entered_in_error"),
        ({"status": None}, "unknown_status"),
        ({"effectiveDateTime": None}, "missing_time"),
        ({"effectiveDateTime": "2026-11-22"}, "time_too_coarse"),
        ({"effectiveDateTime": "2026-11-22T07:30:00"}, "time_without_offset"),
        ({"component": "none"}, "not_a_list"),
        ({"component": fhir_pressure()["component"] * 2}, "component_twice"),
    ],
)
def test_a_bent_observation_is_refused_by_name(change, code):
    assert read_one(fhir.NAME, {"document": fhir_pressure(**change)}, zone=BERLIN).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"code": "mmHg"}, None),
        ({"code": "[psi]"}, "unknown_unit"),
        ({"system": "http://example.org"}, "unknown_unit"),
        ({"system": None}, "unknown_unit"),
        ({"value": "132"}, "not_a_number"),
        ({"comparator": "<"}, "not_exact"),
    ],
)
def test_a_bent_quantity_is_refused_by_name(change, code):
    document = fhir_pressure()
    document["component"][0]["valueQuantity"] |= change
    read = read_one(fhir.NAME, {"document": document}, zone=BERLIN)
    assert getattr(read, "code", None) == code


def test_both_kinds_of_home_code_are_read():
    document = fhir_pressure(code={"coding": [{"system": fhir.LOINC, "code": "55284-4"}]})
    for component, code in zip(document["component"], ("8459-0", "8453-3"), strict=True):
        component["code"]["coding"][0]["code"] = code
    assert fhir.read(document, zone=BERLIN).systolic.value == 132


def test_a_document_of_two_people_is_refused_as_a_whole():
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": fhir_pressure()}, {"resource": fhir_pressure(subject={"reference": "Patient/2"})}],
    }
    with pytest.raises(Unreadable) as refused:
        read_file(fhir.NAME, json.dumps(bundle).encode(), zone=BERLIN)
    assert refused.value.code == "several_patients"


def test_a_self_measured_pressure_is_a_home_measurement():
    read = self_measured.read(fhir_pressure(), zone=BERLIN)
    assert read.setting is Setting.HOME


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"performer": []}, "not_self_measured"),
        ({"performer": [{"reference": "Practitioner/7"}]}, "not_self_measured"),
        ({"performer": [{"reference": "Patient/1"}, {"reference": "Patient/1"}]}, "not_self_measured"),
        ({"issued": None}, "missing_field"),
        ({"issued": "2026-11-22"}, "bad_time"),
        ({"status": "preliminary"}, "unknown_status"),
        ({"component": fhir_pressure()["component"][:1]}, "missing_field"),
    ],
)
def test_what_breaks_the_profile_is_refused_by_name(change, code):
    assert read_one(self_measured.NAME, {"document": fhir_pressure(**change)}, zone=BERLIN).code == code


def test_the_guide_s_own_examples(data_set):
    folder = data_set("fhir_smbp_ig")
    read = self_measured.read(
        load(folder / "Observation-SelfMeasuredBloodPressure-example.json"), zone="America/Anchorage"
    )
    assert (read.systolic.value, read.diastolic.value) == (120, 80)
    rate = self_measured.read(load(folder / "Observation-SMBP-Associated-HeartRate-example.json"), zone=BERLIN)
    assert (rate.kind, rate.value) == ("heart_rate", 74)
    with pytest.raises(Unreadable) as refused:
        self_measured.read(load(folder / "Observation-AverageSMBP-example.json"), zone=BERLIN)
    assert refused.value.code == "average_not_a_reading"


def test_every_pressure_of_the_bundles_is_counted_and_none_is_invented(data_set):
    import gzip

    for name in ("fhir_synthea_htn", "fhir_synthea_recent"):
        paths = sorted((data_set(name) / "bundles").glob("*.json*"))[:4]
        for path in paths:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            entries = json.loads(content)["entry"]
            wanted = [
                e["resource"]
                for e in entries
                if e["resource"]["resourceType"] == "Observation"
                and fhir.loinc_codes(e["resource"].get("code")) & fhir.PANELS
            ]
            read = fhir.read_all(strict_json.loads(json.dumps(wanted).encode()), zone=BERLIN)
            assert len(read) == len(wanted)
            assert all(isinstance(item, Measured) and item.systolic and item.diastolic for item in read)


# -- Open mHealth ------------------------------------------------------------------------------------------------------


OMH = {
    "systolic_blood_pressure": {"value": 132, "unit": "mmHg"},
    "diastolic_blood_pressure": {"value": 84, "unit": "mmHg"},
    "effective_time_frame": {"date_time": "2026-11-22T07:30:00+01:00"},
}


@pytest.mark.parametrize("schema", ["blood-pressure", "heart-rate", "step-count"])
def test_documents_that_must_pass_are_valid_and_those_that_must_fail_are_refused_by_name(data_set, schema):
    folder = data_set("open_mhealth") / "test-data" / "omh" / schema
    passing, failing = sorted(folder.glob("*/shouldPass/*.json")), sorted(folder.glob("*/shouldFail/*.json"))
    assert passing
    assert failing
    for path in passing:
        assert open_mhealth.validate(load(path)) == schema
    codes = {path.stem: refusal_of(open_mhealth.read, load(path), zone=BERLIN) for path in failing}
    by_schema = {"missing_field", "unknown_unit", "unknown_value", "not_a_number", "missing_time", "not_an_interval"}
    assert set(codes.values()) <= by_schema
    if schema == "blood-pressure":
        assert all(refusal_of(open_mhealth.validate, load(path)) for path in failing)


def test_a_valid_document_that_is_no_reading_is_refused_by_name(data_set):
    folder = data_set("open_mhealth") / "test-data" / "omh" / "blood-pressure"
    read = {
        f"{p.parts[-3]}/{p.stem}": read_one(open_mhealth.NAME, {"document": load(p)}, zone=BERLIN)
        for p in sorted(folder.glob("*/shouldPass/*.json"))
    }
    codes = {name: item.code for name, item in read.items() if isinstance(item, Bad)}
    assert codes["1.0/blood-pressure-only"] == "missing_time"
    assert codes["1.0/with-time-frame"] == "time_too_coarse"
    assert codes["3.0/with-descriptive-statistic"] == "statistic_not_a_reading"
    arm = read["3.0/with-posture-and-location"]
    assert (arm.systolic.value, arm.method, arm.position) == (140, Method.UPPER_ARM_CUFF, Position.SEATED)
    assert read["3.1/with-posture-location-pa-relation"].method is Method.WRIST_CUFF
    assert read["3.0/blood-pressure-only"].method is None


def test_a_data_point_is_unwrapped_and_keeps_its_identifier():
    header = {"id": "p-1", "creation_date_time": "2026-11-22T08:00:00Z", "schema_id": {"name": "blood-pressure"}}
    assert open_mhealth.read({"header": header, "body": OMH}, zone=BERLIN).source_id == "p-1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"systolic_blood_pressure": {"value": 17.6, "unit": "kPa"}}, "not_a_number"),
        ({"systolic_blood_pressure": {"value": 17, "unit": "kPa"}}, "unknown_unit"),
        ({"effective_time_frame": {}}, "bad_time"),
        ({"effective_time_frame": {"date_time": "yesterday"}}, "bad_time"),
        ({"effective_time_frame": None}, "missing_time"),
        ({"temporal_relationship_to_physical_activity": "rest"}, "unknown_value"),
        ({"body_posture": "upside down"}, "unknown_value"),
    ],
)
def test_a_bent_open_mhealth_document_is_refused_by_name(change, code):
    assert read_one(open_mhealth.NAME, {"document": OMH | change}, zone=BERLIN).code == code


def test_exertion_named_by_the_document_becomes_a_flag():
    read = open_mhealth.read(OMH | {"temporal_relationship_to_physical_activity": "after exercise"}, zone=BERLIN)
    assert read.flags == (Flag.POST_EXERCISE,)


# -- Omron -------------------------------------------------------------------------------------------------------------


ENGLISH = """Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes
Jan 12 2025,08:12,131,84,66,-,-,-,
Jan 12 2025,08:14,129,-,65,,,,
Jan 13 2025,08:14,-,-,-,,,,
Foo 13 2025,08:14,129,80,65,,,,
Jan 14 2025,08:14,12O,80,65,,,,
Jan 15 2025,08:14,129,80
"""
SPANISH = """Fecha,Hora,Sistólica (mmHg),Diastólica (mmHg),Pulso (ppm),Síntomas,Notas
23 feb. 2026,21:07,142,91,70,-,
1 ago. 2026,07:00,138,88,,-,
"""
ASIAN = """"Measurement Date","Timezone","SYS(mmHg)","DIA(mmHg)","Pulse(bpm)","Irregular heartbeat detected"
2024/11/21 11:40,"Asia/Bangkok",150,95,80,Yes
2024/11/21 11:42,"Asia/Nowhere",150,95,80,
"""


def test_the_english_export_is_read_and_each_bad_row_named():
    rows = read_file("omron_csv", ENGLISH.encode(), zone="America/New_York")
    first, half, *bad = rows
    assert (first.systolic.value, first.diastolic.value, first.pulse.value) == (131, 84, 66)
    assert first.taken_at.astimezone(UTC) == datetime(2025, 1, 12, 13, 12, tzinfo=UTC)
    assert (half.systolic.value, half.diastolic, half.absent_reason) == (129, None, "missing-in-export")
    assert [item.code for item in bad] == ["nothing_measured", "bad_time", "not_a_number", "wrong_columns"]


def test_the_spanish_export_knows_its_months():
    evening, morning = read_file("omron_csv", SPANISH.encode("utf-8-sig"), zone="Europe/Madrid")
    assert evening.taken_at.astimezone(UTC) == datetime(2026, 2, 23, 20, 7, tzinfo=UTC)
    assert morning.taken_at.month == 8
    assert morning.pulse is None


def test_the_third_export_carries_its_zone_and_the_irregular_pulse():
    good, bad = read_file("omron_csv", ASIAN.encode(), zone=None)
    assert (good.zone, good.flags) == ("Asia/Bangkok", (Flag.IRREGULAR_PULSE,))
    assert good.taken_at.astimezone(UTC) == datetime(2024, 11, 21, 4, 40, tzinfo=UTC)
    assert bad.code == "unknown_zone"


def test_without_a_zone_no_row_is_placed():
    assert {item.code for item in read_file("omron_csv", SPANISH.encode(), zone=None)} == {"missing_zone"}


def test_an_hour_that_did_not_exist_is_refused_and_one_that_was_twice_is_the_earlier():
    rows = ENGLISH.splitlines()[0] + "\nMar 29 2026,02:30,130,80,60,,,,\nOct 25 2026,02:30,130,80,60,,,,\n"
    spring, autumn = read_file("omron_csv", rows.encode(), zone=BERLIN)
    assert spring.code == "time_does_not_exist"
    assert autumn.taken_at.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "unknown_header"),
        (b"a,b,c\n1,2,3\n", "unknown_header"),
        (b"\xff\xfe", "not_utf8"),
        (b"Date\x00,Time\n", "bad_text"),
    ],
)
def test_a_file_that_is_no_export_is_refused_as_a_whole(content, code):
    with pytest.raises(Unreadable) as refused:
        read_file("omron_csv", content, zone=BERLIN)
    assert refused.value.code == code


@given(st.sampled_from(FILES), st.binary(max_size=300))
def test_any_file_is_read_or_refused_by_name(name, content):
    assert refusal_of(read_file, name, content, zone=BERLIN) != ""


@given(st.text(alphabet='0123456789/-:. ,"\nJanfebZ+', max_size=200))
def test_any_rows_under_a_known_header_are_read_or_refused_by_name(rows):
    for text in (ENGLISH, SPANISH, ASIAN):
        content = text.splitlines()[0] + "\n" + rows
        assert refusal_of(read_file, "omron_csv", content.encode(), zone=BERLIN) != ""
