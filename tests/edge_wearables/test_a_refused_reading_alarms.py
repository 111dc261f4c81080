"""A reading that a device's door refuses as a whole: what can be read of it raises its alert (N4, CLINICAL 1.3)."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from care_loops.danger import bars, scopes
from care_loops.domain.alerts import Scope
from care_loops.domain.readings import Method
from care_loops.models import Alert, AlertEvent, BloodPressure, SensorSample
from care_loops.pathways.hypertension.tables_danger import danger_table
from care_loops.selectors.danger import danger_context
from edge_wearables.models import RefusedReading
from edge_wearables.services.files import VendorFile, ingest_file
from tests.edge_wearables.door_documents import as_document, fhir_panel, fhir_rate, omh_pressure, omron_row, smbp
from tests.edge_wearables.entrance import JOB, a_sender, new_patient, pressure
from tests.factories import Hospital

pytestmark = pytest.mark.django_db


def alerts_of(patient) -> list[tuple[str, bool, bool]]:
    """Kind, whether it is unverified, whether it pages."""
    return [(a.kind, a.unverified, a.pages) for a in Alert.objects.filter(patient=patient)]


CRISIS = [("crisis", True, True)]


def minutes_ago(minutes: float) -> datetime:
    return (timezone.now() - timedelta(minutes=minutes)).replace(microsecond=0)


# The devices' own format


SPOILED = [
    ({"pulse": "E"}, "not_a_number"),
    ({"battery": 5}, "unknown_field"),
    ({"diastolic": "n/a"}, "not_a_number"),
    ({"diastolic": None}, "missing_field"),
    ({"zone": "CET+1"}, "unknown_zone"),
    ({"position": "sitting"}, "unknown_value"),
    ({"taken_at": "yesterday"}, "bad_time"),
    ({"taken_at": "2026-11-22T10:00:00"}, "time_without_offset"),
    ({"taken_at": None}, "missing_field"),
    ({"kind": "pressure"}, "unknown_kind"),
    ({"kind": ["blood_pressure"]}, "unknown_kind"),
    ({"systolic": "210"}, "not_a_number"),
    ({"flags": ["late"]}, "unknown_value"),
]


def test_a_pressure_of_210_is_refused_by_name_and_alarms_whatever_else_of_it_cannot_be_read():
    sender = a_sender()
    for seq, (change, code) in enumerate(SPOILED, start=1):
        answer = sender.taken(pressure(seq, ago=5, systolic=210, diastolic=125) | change)
        assert (answer["rejected"], answer["accepted"], answer["quarantined"]) == ([{"seq": seq, "code": code}], [], [])
        assert RefusedReading.objects.get(seq=seq).code == code
        assert Alert.objects.get().occurrences == seq, change
    assert alerts_of(sender.patient) == CRISIS
    assert "repeat_now" in Alert.objects.get().asks
    assert {(row.systolic, row.quarantined) for row in sender.stored()} == {(Decimal(210), "partly_read")}


def test_what_was_refused_bars_an_increase_by_the_evidence_too_whatever_becomes_of_the_alert():
    sender = a_sender()
    sender.taken(pressure(1, ago=5, systolic=210, diastolic=125, pulse="E"))
    now, table = timezone.now(), danger_table()
    standing = scopes(bars(danger_context(sender.patient, now=now, table=table), now=now, table=table))
    assert {Scope.UP_TITRATION, Scope.PATIENT_FACING} <= standing


def test_a_refused_reading_without_danger_leaves_nothing_but_its_refusal():
    sender = a_sender()
    sender.taken(pressure(1, ago=5, pulse="E"), pressure(2, ago=4, systolic=210, diastolic=125, unit="psi", pulse=70))
    assert (alerts_of(sender.patient), sender.stored()) == ([], [])
    assert RefusedReading.objects.count() == 2


def test_a_known_device_sentinel_in_a_refused_reading_is_only_named():
    sender = a_sender()
    sender.taken(pressure(1, ago=5, systolic=2047, diastolic=2047, pulse="E"))
    assert (alerts_of(sender.patient), sender.stored()) == ([], [])


@pytest.mark.parametrize(
    ("ago", "pages", "alarms"),
    [(timedelta(hours=23), True, True), (timedelta(days=3), False, True), (timedelta(days=15), False, False)],
    ids=["today", "three days", "history"],
)
def test_a_time_that_can_be_read_counts_and_history_pages_nobody(ago, pages, alarms):
    sender = a_sender()
    sender.taken(pressure(1, ago=ago.total_seconds() / 60, systolic=210, diastolic=125, pulse="E"))
    assert alerts_of(sender.patient) == ([("crisis", True, pages)] if alarms else [])


@pytest.mark.parametrize("at", ["2031-01-01T08:00:00Z", "1970-01-01T00:07:00Z"], ids=["future", "clock was reset"])
@pytest.mark.parametrize("pulse", [70, "E"], ids=["readable", "refused"])
def test_a_time_that_cannot_be_believed_counts_as_now(at, pulse):
    sender = a_sender()
    sender.taken(pressure(1, systolic=210, diastolic=125, taken_at=at, pulse=pulse))
    assert alerts_of(sender.patient) == CRISIS


def test_the_same_refused_reading_sent_again_is_seen_once_and_the_corrected_one_is_another():
    sender = a_sender()
    bad = pressure(1, ago=5, systolic=210, diastolic=125, pulse="E")
    sender.taken(bad)
    assert sender.taken(bad)["rejected"] or True
    assert Alert.objects.get().occurrences == 1
    sender.taken(pressure(2, ago=4, systolic=130, diastolic=80))
    assert [row.quarantined for row in sender.stored()] == ["partly_read", ""]


def test_a_refused_pressure_of_a_device_without_a_cuff_asks_for_a_cuff_and_wakes_nobody():
    sender = a_sender(method=Method.CUFFLESS, validated=False)
    sender.taken(pressure(1, ago=5, systolic=210, diastolic=125, pulse="E"))
    assert alerts_of(sender.patient) == [("crisis", True, False)]
    assert "cuff_reading" in Alert.objects.get().asks


# A message that is refused as a whole


BROKEN = [
    (lambda body: body.replace(b'"pulse": 70', b'"pulse": NaN'), "not_finite"),
    (lambda body: body.replace(b'"pulse": 70', b'"pulse": 70, "pulse": 71'), "duplicate_key"),
    (lambda body: body.replace(b'"systolic": 210', b'"systolic": 210, "systolic": 120'), "duplicate_key"),
    (lambda body: body.replace(b'"seq": 1', b'"seq": "1"'), "bad_sequence"),
    (lambda body: body.replace(b"readings/v1", b"readings/v9"), "unknown_format"),
    (lambda body: body.replace(b'{"format"', b'{"zone": "CET+1", "format"'), "unknown_zone"),
    (lambda body: body.replace(b'{"format"', b'{"battery": 5, "format"'), "unknown_field"),
    (lambda body: body.replace(b'"pulse": 70', b'"session": "\\u0001"'), "bad_text"),
    (lambda body: body.replace(b'"pulse": 70', b'"session": "\xff"'), "not_utf8"),
    (lambda body: b"\xef\xbb\xbf" + body, "byte_order_mark"),
    (lambda body: body + b"]", "not_json"),
]


def test_a_signed_message_that_is_refused_as_a_whole_is_looked_at_reading_by_reading():
    sender = a_sender()
    for place, (break_it, code) in enumerate(BROKEN):
        body, _ = sender.message([pressure(1, ago=5 + place, systolic=210, diastolic=125)])
        before = AlertEvent.objects.count()
        seen = []
        for _ in range(2):
            answer = sender.post(*sender.message([{"seq": 1}], body=break_it(body)))
            assert (answer.status_code, answer.json()["code"]) == (400, code)
            seen.append(AlertEvent.objects.count() - before)
        assert seen[0] > 0, code
        assert seen[1] == seen[0], "sent again it is seen once"
        assert RefusedReading.objects.filter(code=code, seq=None).exists()
    assert alerts_of(sender.patient) == CRISIS


def test_nothing_can_be_read_of_rubbish_and_it_is_refused_by_name():
    sender = a_sender()
    for body in (b"", b"[" * 20_000, b"[1, 2]", b'{"readings": [[], 1, null]}', b"9" * 5_000, b"\x00"):
        answer = sender.post(*sender.message([{"seq": 1}], body=body))
        assert (answer.status_code, alerts_of(sender.patient)) == (400, [])


def test_what_a_stranger_signed_pages_nobody():
    known, stranger = a_sender(), a_sender()
    forged = known.message([pressure(1, ago=5, systolic=210, diastolic=125, pulse="E")])
    known.private = stranger.private
    body, headers = known.message([pressure(1, ago=5, systolic=210, diastolic=125, pulse="E")])
    assert known.post(body, headers).status_code in (401, 403)
    assert known.post(forged[0].replace(b"210", b"211"), forged[1]).status_code == 401
    assert not Alert.objects.exists()


# FHIR, HL7 self-measured pressure, Open mHealth


PANELS = [
    (fhir_panel(210, "--"), "not_a_number"),
    (fhir_panel(210, 125, diastolic={"system": "x"}), "unknown_unit"),
    (fhir_panel(210, 125, diastolic={"comparator": ">"}), "not_exact"),
    (fhir_panel(80, 40, systolic={"comparator": "<"}), "not_exact"),
    (fhir_panel(210, 125, status="unknown"), "unknown_status"),
    (fhir_panel(210, 125, effectiveDateTime=None), "missing_time"),
    (fhir_panel(210, 125, effectiveDateTime="2026-11-22"), "time_too_coarse"),
    (fhir_panel(210, 125, code={"text": "Blood pressure"}), "unknown_code"),
    (fhir_panel(210, 125, twice=120), "component_twice"),
    (fhir_panel(120, 80, twice=85), "component_twice"),
]


@pytest.mark.parametrize("name", ["fhir", "hl7_smbp"])
def test_a_fhir_panel_of_which_one_part_cannot_be_read_is_refused_and_alarms(name):
    sender = a_sender()
    for seq, (document, code) in enumerate(PANELS, start=1):
        before = AlertEvent.objects.count()
        answer = sender.post(*sender.message([{"seq": seq}], body=as_document(name, document, seq=seq))).json()
        assert answer["rejected"] == [{"seq": seq, "code": code}]
        assert AlertEvent.objects.count() > before, document
    assert {kind for kind, unverified, pages in alerts_of(sender.patient) if unverified and pages} == {"crisis", "low"}


def test_a_self_measured_pressure_that_breaks_its_profile_is_refused_and_alarms():
    sender = a_sender()
    answer = sender.post(*sender.message([{"seq": 1}], body=as_document("hl7_smbp", smbp(210, 125, performer=[]))))
    assert answer.json()["rejected"] == [{"seq": 1, "code": "not_self_measured"}]
    assert alerts_of(sender.patient) == CRISIS


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_what_its_sender_took_back_says_nothing(status):
    sender = a_sender()
    sender.post(*sender.message([{"seq": 1}], body=as_document("fhir", fhir_panel(210, 125, status=status))))
    assert alerts_of(sender.patient) == []


OPEN_MHEALTH = [
    ({"effective_time_frame": None}, "missing_time"),
    ({"descriptive_statistic": "maximum"}, "statistic_not_a_reading"),
    ({"body_posture": "hanging"}, "unknown_value"),
    ({"diastolic_blood_pressure": {"value": "x", "unit": "mmHg"}}, "not_a_number"),
    ({"user_notes": 5}, "wrong_type"),
]


def test_an_open_mhealth_pressure_of_which_one_part_cannot_be_read_is_refused_and_alarms():
    sender = a_sender()
    for seq, (change, code) in enumerate(OPEN_MHEALTH, start=1):
        body = as_document("open_mhealth", omh_pressure(210, 125) | change, seq=seq)
        answer = sender.post(*sender.message([{"seq": seq}], body=body)).json()
        assert answer["rejected"] == [{"seq": seq, "code": code}]
        assert Alert.objects.get().occurrences == seq, change
    assert alerts_of(sender.patient) == CRISIS


def test_a_standard_deviation_is_no_pressure():
    sender = a_sender()
    document = omh_pressure(12, 8) | {"descriptive_statistic": "standard deviation"}
    sender.post(*sender.message([{"seq": 1}], body=as_document("open_mhealth", document)))
    assert alerts_of(sender.patient) == []


# Files


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (omron_row("210", "125", "Err"), "not_a_number"),
        (omron_row("210", "E", "70"), "not_a_number"),
        (omron_row(">250", "80", "70"), "not_a_number"),
        (omron_row("210", "125", "70", "x"), "wrong_columns"),
        (omron_row("210", "125"), "wrong_columns"),
        (omron_row("210", "125", "70", date="yesterday"), "bad_time"),
        (omron_row("120", "80", "28", "x"), "wrong_columns"),
    ],
    ids=str,
)
def test_a_row_of_an_omron_export_of_which_one_cell_cannot_be_read_is_refused_and_alarms(row, code):
    patient = new_patient()
    content = ("Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm)\n" + row + "\n").encode()
    for _ in range(2):
        taken = ingest_file(
            VendorFile(content, "omron_csv", zone="UTC"), patient_id=patient.pk, by=JOB, now=timezone.now()
        )
        assert (taken.readings["rejected"], taken.refused) == (1, {code: 1})
    assert [a.kind for a in Alert.objects.filter(patient=patient)] != []
    assert {a.occurrences for a in Alert.objects.all()} == {1}, "the same file again is seen once"


# Heart rates


def rate(seq: int, value: object, **changes: object) -> dict:
    at = minutes_ago(5).isoformat()
    return {
        "seq": seq, "kind": "heart_rate", "starts_at": at, "ends_at": at, "value": value, "unit": "/min"
    } | changes  # fmt: skip


def soon() -> str:
    return minutes_ago(-30).isoformat()


@pytest.mark.parametrize(
    ("change", "head"),
    [
        (dict, {"seq": 1}),  # other content under a known number
        (lambda: {"seq": 2_000_000}, {}),
        (lambda: {"seq": 2, "starts_at": soon(), "ends_at": soon()}, {}),
        (lambda: {"seq": 2, "ends_at": soon()}, {}),
        (lambda: {"seq": 2}, {"sent_at": timedelta(days=1)}),
        (lambda: {"seq": 2, "unit": "bpm"}, {}),
        (lambda: {"seq": 2, "starts_at": "yesterday"}, {}),
        (lambda: {"seq": 2, "battery": 5}, {}),
        (lambda: {"seq": 2, "value": "28"}, {}),
    ],
    ids=["equivocal", "jump", "future", "ends later", "wrong clock", "unit", "time", "unknown field", "text"],
)
def test_a_heart_rate_of_28_is_a_card_however_its_sample_was_held_back_or_refused(change, head):
    sender = a_sender()
    sender.taken(rate(1, 70))
    more = {"sent_at": timezone.now() + head["sent_at"]} if "sent_at" in head else {}
    answer = sender.taken(rate(1, 28) | change(), **more)
    assert answer["accepted"] == []
    assert answer["rejected"] or answer["quarantined"]
    [alert] = Alert.objects.all()
    assert (alert.kind, alert.severity, alert.unverified, alert.locks) == ("heart_rate", "card", True, False)
    assert "cuff_reading" in alert.asks
    assert SensorSample.objects.count() == 1


def test_a_calm_heart_rate_that_was_held_back_says_nothing():
    sender = a_sender()
    sender.taken(rate(1, 70))
    sender.taken(rate(1, 72))
    assert (alerts_of(sender.patient), sender.stored()) == ([], [])


@pytest.mark.parametrize("more", [{}, {"comparator": "<"}, {"value": "28"}], ids=str)
def test_a_heart_rate_of_28_in_a_fhir_panel_of_a_device_speaks_and_the_pressure_is_taken(more):
    sender = a_sender()
    document = fhir_panel(120, 80)
    document["component"].append(fhir_rate(28, **more))
    answer = sender.post(*sender.message([{"seq": 1}], body=as_document("fhir", document))).json()
    assert answer["accepted"] == [1]
    assert [a.kind for a in Alert.objects.all()] == ["heart_rate"]


def test_after_withdrawal_nothing_of_a_heart_rate_is_kept_and_a_dangerous_one_still_has_its_card():
    hospital = Hospital(now=timezone.now() - timedelta(hours=2))
    sender = a_sender(hospital.patient())
    hospital.consents(sender.patient, "raw_upload", given=False)
    answer = sender.taken(rate(1, 28), rate(2, 75), rate(3, 27, starts_at="yesterday"))
    assert {one["code"] for one in answer["rejected"]} >= {"no_consent"}
    assert [(a.kind, a.occurrences) for a in Alert.objects.all()] == [("heart_rate", 2)]
    assert not SensorSample.objects.exists()
    assert not BloodPressure.objects.exists()
    assert {bytes(row.body) for row in RefusedReading.objects.all()} == {b""}
    sender.taken(rate(4, 28), rate(5, 28, ends_at=minutes_ago(0).isoformat()))
    assert not SensorSample.objects.exists()
    assert not BloodPressure.objects.exists()
