"""Reading FHIR: the blood pressure that a resource says is what comes out, and what cannot be read has a name."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from care_loops.domain.readings import Implausible, Method, Position, Setting, Status
from care_loops.domain.record import LabKind
from care_loops.fhir_r4.observations import with_members, with_pulse
from care_loops.fhir_r4.reader import evidence, source_id
from care_loops.fhir_r4.values import Context, Refused, zone_of
from care_loops.pathways.hypertension.tables_interchange import codebook
from tests.care_loops.fhir_cases import (
    LOINC,
    RXNORM,
    SNOMED,
    UCUM,
    bundle,
    component,
    concept,
    mmhg,
    observation,
    order,
    panel,
    patient,
)
from tests.care_loops.fhir_reading import CONTEXT, read, read_file


def said(pressure):
    return (pressure.systolic, pressure.diastolic)


# Blood pressure in three dialects, and everything senders do to it


def test_a_panel_of_either_code_is_a_blood_pressure():
    for code in ("85354-9", "55284-4"):
        found = read(panel("o1", 131.5, 84, code=code))
        assert said(found) == (Decimal("131.5"), Decimal(84))
        assert (found.setting, found.method, found.quarantined) == (Setting.OFFICE, Method.UNKNOWN, None)
        assert found.taken.at == datetime(2026, 3, 1, 7, tzinfo=UTC)
        assert found.taken.zone == "Etc/GMT-1"


def test_a_local_code_with_our_components_is_a_blood_pressure_and_a_mean_is_not():
    local = panel("o1", 131, 84) | {"code": concept("urn:local", "RR")}
    assert said(read(local)) == (131, 84)
    mean = panel("o1", 131, 84, code="96607-7")
    mean["component"] = [component("96608-5", mmhg(131)), component("96609-3", mmhg(84))]
    assert read(mean) is None


MDC = "urn:iso:std:iso:11073:10101"
OTHER_WORDS = [
    ("http://snomed.info/sct", "75367002", "271649006", "271650006"),
    (MDC, "150020", "150021", "150022"),
    ("urn:oid:2.16.840.1.113883.6.1", "85354-9", "8480-6", "8462-4"),
    ("https://loinc.org/", "85354-9", "8480-6", "8462-4"),
    (LOINC, "85354-9", "76534-7", "76535-4"),
]


@pytest.mark.parametrize(("system", "whole", "systolic", "diastolic"), OTHER_WORDS)
def test_a_blood_pressure_in_another_code_system_is_the_same_reading(system, whole, systolic, diastolic):
    resource = panel("o1", 131, 84) | {"code": concept(system, whole)}
    resource["component"] = [
        {"code": concept(system, diastolic), "valueQuantity": mmhg(84)},
        {"code": concept(system, systolic), "valueQuantity": mmhg(131)},
    ]
    assert said(read(resource)) == (131, 84)


@pytest.mark.parametrize("order", [1, -1])
def test_a_code_beside_ours_in_the_same_system_takes_nothing_away(order):
    resource = panel("o1", 131, 84)
    for holder in (resource, *resource["component"]):
        holder["code"]["coding"] = [*holder["code"]["coding"], {"system": LOINC, "code": "18684-1"}][::order]
    assert said(read(resource)) == (131, 84)
    potassium = observation("k", "2823-3", {"value": 6.1, "unit": "mmol/L"})
    potassium["code"]["coding"] = [*potassium["code"]["coding"], {"system": LOINC, "code": "32713-0"}][::order]
    assert (read(potassium).kind, read(potassium).value) == (LabKind.POTASSIUM, Decimal("6.1"))


def test_codes_that_contradict_each_other_and_codes_without_a_system_are_refused_by_name():
    both = observation("o1", "8480-6", mmhg(131))
    both["code"]["coding"].append({"system": LOINC, "code": "8462-4"})
    with pytest.raises(Refused, match="conflicting_codes"):
        read(both)
    bare = panel("o1", 131, 84)
    for holder in (bare, *bare["component"]):
        del holder["code"]["coding"][0]["system"]
    with pytest.raises(Refused, match="code_without_system"):
        read(bare)
    bare["component"] = panel("o1", 131, 84)["component"]
    assert said(read(bare)) == (131, 84)


@pytest.mark.parametrize(
    ("more", "reason"), [({"valueString": "131/84"}, "not_a_quantity"), ({"component": {}}, "component_not_a_list")]
)
def test_a_panel_that_says_its_pressure_where_no_panel_does_is_not_an_absent_one(more, reason):
    with pytest.raises(Refused, match=reason):
        read({key: value for key, value in panel("o1").items() if key != "component"} | more)


def test_what_a_modifier_extension_may_turn_round_is_looked_at_and_never_averaged():
    turned = {"modifierExtension": [{"url": "urn:local:not", "valueBoolean": True}]}
    assert read(panel("o1", 205, 84) | turned).status is Status.PRELIMINARY
    inside = panel("o1", 205, 84)
    inside["component"][0] |= turned
    assert read(inside).status is Status.PRELIMINARY
    assert read(panel("o1", 205, 84, status="entered-in-error") | turned).status is Status.ENTERED_IN_ERROR
    assert read(order("m1", (RXNORM, "17767")) | turned).unsure == "modified_order"


def test_an_observation_inside_another_resource_is_read_once():
    systolic = observation("s", "8480-6", mmhg(150))
    del systolic["subject"]
    diastolic = observation("d", "8462-4", mmhg(95))
    whole = {key: value for key, value in panel("o1").items() if key != "component"}
    whole |= {"contained": [systolic, diastolic], "hasMember": [{"reference": "#s"}, {"reference": "#d"}]}
    report = {"resourceType": "DiagnosticReport", "id": "r", "contained": [panel("in", 131, 84), patient("x")]}
    found = read_file("b.json", json.dumps(bundle(whole, report)).encode())
    assert [item.resource["resourceType"] for item in found].count("Observation") == 4
    assert len({source_id(item) for item in found}) == 5
    pressures = [one for item in found if (one := evidence(item, CONTEXT)) is not None]
    assert sorted(said(each) for each in with_members(pressures)) == [(131, 84), (150, 95)]
    assert {each.patient for each in pressures} == {"Patient/p1"}


def test_a_key_that_stands_twice_and_says_two_things_is_not_believed():
    line = json.dumps(panel("o1", 131, 84))
    twice = line.replace('"value": 131', '"value": 131, "value": 231', 1).encode()
    (item,) = read_file("a.ndjson", twice)
    found = evidence(item, CONTEXT)
    assert (said(found), found.unreadable) == ((None, 84), "not_a_number")
    (item,) = read_file("a.ndjson", line.replace('"value": 131', '"value": 131, "value": 131', 1).encode())
    assert said(evidence(item, CONTEXT)) == (131, 84)


ABSENT_CASES = [
    ("unknown", "unknown", (None, None), "unknown"),
    (109, "not-performed", (109, None), "not-performed"),
    ("error", 70, (None, 70), "error"),
    (109, None, (109, None), "not_sent"),
    (None, None, (None, None), "not_sent"),
]


@pytest.mark.parametrize(("systolic", "diastolic", "values", "reason"), ABSENT_CASES)
def test_an_absent_component_stays_absent_with_its_reason(systolic, diastolic, values, reason):
    found = read(panel("o1", systolic, diastolic))
    assert said(found) == values
    assert found.absent_reason == reason


def test_the_reason_may_stand_at_the_panel():
    found = read(panel("o1") | {"dataAbsentReason": concept("x", "not-performed")})
    assert (said(found), found.absent_reason) == ((None, None), "not-performed")


UNREADABLE = [
    ({"value": "120", "unit": "mmHg", "code": "mm[Hg]", "system": UCUM}, "not_a_number"),
    ({"value": True, "code": "mm[Hg]", "system": UCUM}, "not_a_number"),
    ({"value": 120, "unit": "cmH2O", "code": "cm[H2O]", "system": UCUM}, "unknown_unit"),
    ({"value": 120, "unit": "mmHg", "code": "cm[H2O]", "system": UCUM}, "unknown_unit"),
    ({"value": 120}, "no_unit"),
    ({"value": 10**30, "unit": "mmHg"}, "number_too_large"),
    ({"value": -(10**6), "unit": "mmHg"}, "number_too_large"),
    ([120], "not_a_quantity"),
]


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ({"value": 131, "code": "mm[Hg]{sitting}", "system": UCUM}, 131),
        ({"value": 131, "code": "mm[Hg]", "system": "urn:oid:2.16.840.1.113883.6.8"}, 131),
        ({"value": 131, "unit": "MMHG"}, 131),
        ({"value": Decimal("17.5"), "code": "kPa{cuff}", "system": UCUM}, Decimal("131.2609")),
    ],
)
def test_what_is_noted_behind_a_unit_does_not_change_it(quantity, value):
    resource = panel("o1", 131, 84)
    resource["component"][0]["valueQuantity"] = {**quantity, "value": float(quantity["value"])}
    assert read(resource).systolic == value


@pytest.mark.parametrize(("quantity", "reason"), UNREADABLE)
def test_a_component_that_cannot_be_read_is_named_and_the_other_one_stands(quantity, reason):
    resource = panel("o1", 205, 90)
    resource["component"][1]["valueQuantity"] = quantity
    found = read(resource)
    assert (said(found), found.absent_reason, found.unreadable) == ((205, None), reason, reason)


@pytest.mark.parametrize(("quantity", "reason"), UNREADABLE)
def test_a_panel_of_which_nothing_can_be_read_is_refused_by_name(quantity, reason):
    resource = panel("o1", 205, 90)
    for part in resource["component"]:
        part["valueQuantity"] = quantity
    with pytest.raises(Refused) as refused:
        read(resource)
    assert refused.value.reason == reason


def test_a_text_value_is_no_number():
    resource = panel("o1", 205, "unknown")
    resource["component"][0] = component("8480-6", valueString="205")
    with pytest.raises(Refused, match="not_a_quantity"):
        read(resource)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e99999999999999999999", "9" * 5000, "1" * 40])
def test_numbers_that_are_none_do_not_cost_the_rest_of_the_file(text):
    data = json.dumps(bundle(patient(), panel("bad", 7777, 80), panel("good", 120, 80))).replace("7777", text)
    found = read_file("a.json", data.encode())
    assert len(found) == 3
    bad = evidence(found[1], CONTEXT)
    assert (bad.systolic, bad.diastolic) == (None, 80)
    assert said(evidence(found[2], CONTEXT)) == (120, 80)


def test_kilopascal_becomes_mmhg_once():
    kpa = {"unit": "kPa", "code": "kPa", "system": UCUM}
    found = read(panel("o1", {"value": 16.0, **kpa}, {"value": 10.5, **kpa}))
    assert found.systolic == pytest.approx(Decimal("120.01"), abs=Decimal("0.01"))
    assert found.diastolic == pytest.approx(Decimal("78.76"), abs=Decimal("0.01"))


@pytest.mark.parametrize("comparator", ["<", "<=", ">=", ">"])
def test_more_than_a_number_is_not_that_number(comparator):
    found = read(panel("o1", mmhg(250, comparator=comparator), 100))
    assert (found.systolic, found.quarantined) == (250, Implausible.NOT_EXACT)


def test_a_value_beside_a_reason_for_its_absence_is_not_exact():
    resource = panel("o1", 190, 100)
    resource["component"][0]["dataAbsentReason"] = concept("x", "error")
    assert read(resource).quarantined is Implausible.NOT_EXACT


def test_two_values_for_one_component_are_equivocal_and_the_higher_is_looked_at():
    resource = panel("o1", 120, 80)
    resource["component"].append(component("8480-6", mmhg(190)))
    found = read(resource)
    assert (found.systolic, found.quarantined) == (190, Implausible.EQUIVOCAL)


def test_the_same_value_twice_is_one_value():
    resource = panel("o1", 120, 80)
    resource["component"].append(component("8480-6", mmhg(120)))
    assert read(resource).quarantined is None


STATUSES = [
    ("final", Status.FINAL),
    ("amended", Status.AMENDED),
    ("corrected", Status.CORRECTED),
    ("preliminary", Status.PRELIMINARY),
    ("registered", Status.PRELIMINARY),
    ("unknown", Status.PRELIMINARY),
    ("quite sure", Status.PRELIMINARY),
    ("entered-in-error", Status.ENTERED_IN_ERROR),
]


@pytest.mark.parametrize(("status", "meant"), STATUSES)
def test_only_a_status_that_says_final_is_final(status, meant):
    assert read(panel("o1", 120, 80, status=status)).status is meant


def test_a_cancelled_observation_is_refused():
    with pytest.raises(Refused, match="cancelled"):
        read(panel("o1", 120, 80, status="cancelled"))


TIMES = [
    (None, "no_time"),
    ("2026-03-01T08:00:00", "time_without_zone"),
    ("2026-03", "partial_date"),
    ("2026", "partial_date"),
    ("yesterday", "bad_time"),
    ("2026-02-30T08:00:00Z", "bad_time"),
    ("2026-03-01T25:00:00Z", "bad_time"),
    ("9999-12-31T23:59:59-12:00", "bad_time"),
    ("0001-01-01T00:00:00+12:00", "bad_time"),
    (20260301, "bad_time"),
    ("2026-02-30", "bad_time"),
]


@pytest.mark.parametrize(("written", "reason"), TIMES)
def test_a_time_nobody_can_place_is_refused_by_name(written, reason):
    with pytest.raises(Refused, match=reason):
        read(panel("o1", 120, 80, at=written))


def test_a_time_without_offset_is_read_in_the_zone_handed_in():
    berlin = Context(codebook(), ZoneInfo("Europe/Berlin"))
    found = read(panel("o1", 120, 80, at="2026-07-01T08:00:00"), berlin)
    assert (found.taken.at, found.taken.zone) == (datetime(2026, 7, 1, 6, tzinfo=UTC), "Europe/Berlin")


def test_of_a_date_alone_only_the_day_is_known():
    found = read(panel("o1", 120, 80, at="1999-07-02"))
    assert (found.taken.at, found.taken.day_only) == (datetime(1999, 7, 2, tzinfo=UTC), True)


def test_a_period_counts_from_its_start_and_an_instant_is_an_instant():
    period = {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T08:05:00Z"}
    begun = datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert read(panel("o1", 120, 80, at=None, effectivePeriod=period)).taken.at == begun
    assert read(panel("o1", 120, 80, at=None, effectivePeriod={"end": period["start"]})).taken.at == begun
    assert read(panel("o1", 120, 80, at=None, effectiveInstant="2026-03-01T08:00:00.000Z")).taken.at == begun


def test_a_zone_is_the_offset_counted_as_iana_does():
    from datetime import timedelta

    for hours in range(-12, 15):
        zone = ZoneInfo(zone_of(timedelta(hours=hours)))
        assert datetime(2026, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=hours)
    assert zone_of(timedelta(hours=5, minutes=30)) == "Etc/GMT-5"
    assert zone_of(timedelta(hours=-3, minutes=-30)) == "Etc/GMT+3"


HOME_EXTENSION = {"url": "http://x/MeasurementSettingExt", "valueCodeableConcept": concept(SNOMED, "264362003")}
SMBP = "http://hl7.org/fhir/uv/cardx-htn-mng/StructureDefinition/self-measured-bp"


def test_only_a_marker_makes_a_home_reading():
    assert read(panel("o1", 120, 80, code="55284-4")).setting is Setting.OFFICE
    assert read(panel("o1", 120, 80, extension=[HOME_EXTENSION])).setting is Setting.HOME
    assert read(panel("o1", 120, 80, meta={"profile": [SMBP + "|1.0.0"]})).setting is Setting.HOME


def test_an_upper_arm_cuff_needs_a_cuff_and_an_upper_arm():
    cuff, arm = {"method": concept(SNOMED, "70665002")}, {"bodySite": concept(SNOMED, "368209003")}
    wrist = {"bodySite": concept(SNOMED, "8205005")}
    assert read(panel("o1", 120, 80, **cuff)).method is Method.UNKNOWN
    assert read(panel("o1", 120, 80, **arm)).method is Method.UNKNOWN
    assert read(panel("o1", 120, 80, **cuff, **arm)).method is Method.UPPER_ARM_CUFF
    assert read(panel("o1", 120, 80, **cuff, **wrist)).method is Method.WRIST_CUFF


def test_a_standing_pressure_stands():
    resource = panel("o1")
    resource["component"] = [component("8460-8", mmhg(101)), component("8454-1", mmhg(66))]
    found = read(resource)
    assert (said(found), found.position) == ((101, 66), Position.STANDING)


def test_a_component_on_its_own_is_a_reading_that_lacks_the_other():
    found = read(observation("o1", "8480-6", mmhg(201)))
    assert (said(found), found.absent_reason, found.alone) == ((201, None), "sent_alone", True)


def test_a_panel_with_members_takes_them_in():
    whole = panel("o1") | {"hasMember": [{"reference": "Observation/s"}, {"reference": "Observation/d"}]}
    found = [
        read(whole),
        read(observation("s", "8480-6", mmhg(150))),
        read(observation("d", "8462-4", mmhg(95))),
        read(observation("x", "8462-4", mmhg(60))),
    ]
    joined = with_members(found)
    assert sorted((p.source_id, *said(p)) for p in joined) == [("Observation/o1", 150, 95), ("Observation/x", None, 60)]


def test_a_heart_rate_of_the_same_occasion_belongs_to_the_pressure():
    rate = {"value": 48, "unit": "beats/minute", "system": UCUM, "code": "/min"}
    there = {"encounter": {"reference": "Encounter/e"}}
    pressures = [read(panel("o1", 120, 80, **there)), read(panel("o2", 120, 80, at="2026-03-02T08:00:00Z", **there))]
    rates = [read(observation("r1", "8867-4", rate, **there))]
    assert [p.pulse for p in with_pulse(pressures, rates)] == [48, None]
    elsewhere = [read(observation("r1", "8867-4", rate))]
    assert [p.pulse for p in with_pulse(pressures, elsewhere)] == [None, None]
    disputed = [*rates, read(observation("r2", "8867-4", rate | {"value": 90}, **there))]
    assert [p.pulse for p in with_pulse(pressures, disputed)] == [None, None]
