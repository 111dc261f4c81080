"""A reading that the phone's door refuses: what can be read of it alarms, and the refusal says what to do now (N4)."""

from __future__ import annotations

from care_loops.models import Alert, AlertEvent, BloodPressure, ImportRefusal
from tests.care_loops.api.test_reports import at, reading
from tests.care_loops.api.world import entries

SPOILED: list[tuple[dict[str, object], str]] = [
    ({"pulse": "E"}, "string_for_number"),
    ({"pulse": [70]}, "wrong_type"),
    ({"extra": 1}, "unknown_field"),
    ({"position": "sitting"}, "unknown_word"),
    ({"zone": "CET+1"}, "unknown_time_zone"),
    ({"taken_at": "2026-11-22T10:00:00"}, "missing_time_zone"),
    ({"taken_at": "yesterday"}, "bad_time"),
    ({"taken_at": None}, "null"),
    ({"diastolic": "x"}, "string_for_number"),
    ({"diastolic": None}, "null"),
    ({"systolic": "210"}, "string_for_number"),
    ({"systolic": ">210"}, "string_for_number"),
    ({"method": "cuff"}, "unknown_word"),
    ({"setting": None}, "null"),
    ({"device_validated": "yes"}, "wrong_type"),
    ({"flags": ["late"]}, "unknown_word"),
    ({"unit": "mmhg"}, "unknown_unit"),
    ({"source_id": ""}, "empty"),
]


def test_a_pressure_of_210_is_refused_by_name_and_alarms_whatever_else_of_it_cannot_be_read(world):
    for place, (change, code) in enumerate(SPOILED, start=1):
        refused = world.marys.post("me/readings", reading(210, 125, source_id=f"r-{place}") | change)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert refused["Content-Type"] == "application/problem+json"
        assert any("measure again" in line for line in refused.json()["what_to_do_now"])
        assert ImportRefusal.objects.filter(reason=code).exists()
        assert Alert.objects.get().occurrences == place, change
    alert = Alert.objects.get()
    assert (alert.kind, alert.unverified, alert.pages) == ("crisis", True, True)
    assert "up_titration" in alert.bars
    assert set(BloodPressure.objects.values_list("quarantined", flat=True)) == {"partly_read"}


def test_what_is_no_strict_json_is_looked_at_all_the_same(world):
    plain = (
        b'{"source_id": "r-1", "taken_at": "%s", "unit": "mmHg", "systolic": 210, "diastolic": 125, "pulse": 70}'
        % at(minutes=1).encode()
    )
    broken = [
        (plain.replace(b'"pulse": 70', b'"pulse": NaN'), "not_a_number"),
        (plain.replace(b'"pulse": 70', b'"pulse": 70, "systolic": 120'), "duplicate_key"),
        (plain.replace(b'"pulse": 70', b'"session": "\\u0000"'), "bad_text"),
        (plain + b"]", "bad_json"),
        (b"\xef\xbb\xbf" + plain, "bad_json"),
    ]
    for body, code in broken:
        before = AlertEvent.objects.count()
        refused = world.marys.post("me/readings", raw=body)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert AlertEvent.objects.count() > before, code


def test_the_same_refused_reading_alarms_once_and_its_correction_is_stored(world):
    body = reading(210, 125, pulse="E")
    for _ in range(2):
        assert world.marys.post("me/readings", body).status_code == 400
    assert AlertEvent.objects.count() == 1
    assert world.marys.post("me/readings", body | {"pulse": 70}).json()["outcome"] == "stored"


def test_the_refusal_and_the_alert_are_kept_together(world):
    world.marys.post("me/readings", reading(210, 125, pulse="E"))
    kinds = [entry["type"] for entry in entries()]
    assert kinds.index("alert.raised") > kinds.index("reading.quarantined")


def test_a_refused_reading_without_danger_says_nothing_and_a_sentinel_is_only_named(world):
    for change in ({"systolic": 128, "diastolic": 82}, {"systolic": 2047, "diastolic": 2047}):
        refused = world.marys.post("me/readings", reading(pulse="E") | change)
        assert (refused.status_code, "what_to_do_now" in refused.json()) == (400, False)
    assert not Alert.objects.exists()
    assert not BloodPressure.objects.exists()


def test_a_slow_heart_rate_in_a_refused_reading_is_a_card(world):
    world.marys.post("me/readings", reading(120, 80, pulse=28, position="sitting"))
    [alert] = Alert.objects.all()
    assert (alert.kind, alert.severity, alert.unverified) == ("heart_rate", "card", True)
    assert "repeat_now" in alert.asks


def test_a_symptom_or_a_dose_that_is_refused_is_no_reading(world):
    refused = world.marys.post("me/symptoms", reading(210, 125))
    assert refused.status_code == 400
    assert not Alert.objects.exists()
