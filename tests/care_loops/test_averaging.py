"""How home readings become an average (CLINICAL 1.1). Golden vectors a clinician can check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from care_loops.domain.readings import Flag, Implausible, Insufficient, Method, NotUsed, Position, Setting, Status
from tests.care_loops.clinic import reading
from tests.care_loops.weeks import AS_OF, FIRST_DAY, at, day_of, home, week, why

# ---- enough, and not enough


def test_a_week_of_28_readings_uses_24_and_leaves_out_the_first_day():
    first, *rest = [day_of(1, systolic=190, diastolic=110), *(day_of(d) for d in range(2, 8))]
    result = home([*first, *[r for day in rest for r in day]])
    assert result.average is not None
    assert (result.average.systolic.value, result.average.diastolic.value) == (130, 80)
    assert len(result.used) == 24
    assert {why(result, r) for r in first} == {NotUsed.FIRST_DAY}


def test_twelve_readings_do():
    result = home([r for day in (1, 2, 3, 4) for r in day_of(day)])
    assert len(result.used) == 12
    assert result.average is not None


def test_eleven_readings_do_not():
    evening_of_three = [reading(at=at(4, 20, m)) for m in (0, 1, 2)]
    readings = [r for day in (1, 2, 3) for r in day_of(day)] + evening_of_three
    result = home(readings)
    assert len(result.used) == 11
    assert (result.average, result.reason) == (None, Insufficient.TOO_FEW_READINGS)


def test_a_single_reading_makes_no_session_and_twelve_become_eleven():
    readings = [r for day in (1, 2, 3, 4) for r in day_of(day)]
    assert home(readings).average is not None
    result = home(readings[:-1])
    assert result.reason is Insufficient.TOO_FEW_READINGS
    assert why(result, readings[-2]) is NotUsed.SESSION_TOO_SMALL


def test_two_days_after_the_first_are_too_few_however_many_readings():
    many = [reading(at=at(d, h, m)) for d in (2, 3) for h in (7, 20) for m in range(4)]
    assert home([*day_of(1), *many]).reason is Insufficient.TOO_FEW_DAYS


@pytest.mark.parametrize(("hour", "lack"), [(20, Insufficient.NO_MORNING), (7, Insufficient.NO_EVENING)])
def test_mornings_alone_or_evenings_alone_are_not_enough(hour, lack):
    assert home([reading(at=at(d, hour, m)) for d in range(1, 8) for m in (0, 2, 4)]).reason is lack


def test_no_reading_no_average():
    assert home([]).reason is Insufficient.NO_READINGS


def test_the_mean_is_kept_unrounded_and_shown_rounded_half_up():
    readings = week()
    readings[4] = replace(readings[4], systolic=reading(142).systolic)
    result = home(readings)
    assert result.average is not None
    assert result.average.systolic.value == Decimal("130.5")
    assert result.average.systolic.rounded() == 131


def test_the_pulse_is_the_mean_of_the_pulses_there_are():
    readings = week()
    readings[4], readings[5] = (replace(readings[i], pulse=reading(pulse=p).pulse) for i, p in ((4, 60), (5, 71)))
    result = home(readings)
    assert result.pulse is not None
    assert result.pulse.value == Decimal("65.5")


# ---- which readings count


@pytest.mark.parametrize(
    ("made_worse", "expected"),
    [
        ({"method": Method.CUFFLESS}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"method": Method.WRIST_CUFF}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"method": Method.UNKNOWN}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"device_validated": False}, NotUsed.DEVICE_NOT_VALIDATED),
        ({"setting": Setting.OFFICE}, NotUsed.NOT_HOME),
        ({"setting": Setting.UNKNOWN}, NotUsed.NOT_HOME),
        ({"status": Status.PRELIMINARY}, NotUsed.VOID_STATUS),
        ({"status": Status.ENTERED_IN_ERROR}, NotUsed.VOID_STATUS),
        ({"diastolic": None}, NotUsed.COMPONENT_ABSENT),
        ({"systolic": None}, NotUsed.COMPONENT_ABSENT),
        ({"quarantined": Implausible.SENTINEL}, NotUsed.QUARANTINED),
        ({"flags": (Flag.MOTION,)}, NotUsed.MOTION),
        ({"flags": (Flag.POST_EXERCISE,)}, NotUsed.POST_EXERCISE),
        ({"flags": (Flag.CLOCK_UNCERTAIN,)}, NotUsed.CLOCK_UNCERTAIN),
        ({"position": Position.STANDING}, NotUsed.STANDING),
        ({"position": Position.LYING}, NotUsed.LYING),
    ],
)
def test_what_may_not_titrate_is_left_out_by_name(made_worse, expected):
    odd = replace(reading(250, 150, at=at(3, 7, 5)), **made_worse)
    result = home([*week(), odd])
    assert why(result, odd) is expected
    assert result.average is not None
    assert result.average.systolic.value == 130


@pytest.mark.parametrize("status", [Status.FINAL, Status.AMENDED, Status.CORRECTED])
def test_final_amended_and_corrected_count(status):
    assert len(home([replace(r, status=status) for r in week()]).used) == 24


def test_the_same_upload_twice_counts_once():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    again = [replace(r, reading_id=f"z{r.reading_id}") for r in readings]
    result = home([*readings, *again])
    assert set(result.used) == set(home(readings).used)
    assert {why(result, r) for r in again} == {NotUsed.DUPLICATE}


def test_the_same_instant_on_two_devices_is_two_readings_and_they_are_too_close():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    other = replace(readings[8], reading_id="z-other", device_id="cuff-2")
    assert why(home([*readings, other]), other) is NotUsed.TOO_CLOSE


def test_without_a_device_the_same_instant_and_values_are_a_duplicate():
    readings = week()
    twin = replace(readings[8], reading_id="z-twin")
    assert why(home([*readings, twin]), twin) is NotUsed.DUPLICATE


def test_the_same_id_handed_in_twice_counts_once():
    readings = week()
    result = home([*readings, readings[8]])
    assert len(result.used) == 24
    assert why(result, readings[8]) is NotUsed.DUPLICATE


def test_a_correction_takes_the_place_of_what_it_corrects():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    corrected = replace(readings[8], reading_id="z", status=Status.CORRECTED, systolic=reading(154).systolic)
    result = home([*readings, corrected])
    assert why(result, readings[8]) is NotUsed.DUPLICATE
    assert result.average is not None
    assert result.average.systolic.value == 131


def test_what_was_entered_in_error_does_not_hide_the_right_entry():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    wrong = replace(readings[8], reading_id="a-wrong", status=Status.ENTERED_IN_ERROR)
    result = home([*readings, wrong])
    assert why(result, wrong) is NotUsed.VOID_STATUS
    assert len(result.used) == 24


def test_readings_of_the_future_are_not_used():
    later = reading(at=AS_OF + timedelta(seconds=1))
    assert why(home([*week(), later]), later) is NotUsed.FUTURE


@pytest.mark.parametrize(("seconds", "used"), [(59, 22), (60, 24), (61, 24)])
def test_two_readings_of_a_session_lie_a_minute_apart(seconds, used):
    readings = week()
    readings[9] = replace(readings[9], taken_at=readings[8].taken_at + timedelta(seconds=seconds))
    assert len(home(readings).used) == used


def test_a_third_reading_may_make_up_for_one_that_came_too_soon():
    readings = [r for r in week() if r.taken_at not in {at(3, 7, 0), at(3, 7, 1)}]
    three = [reading(at=at(3, 7, 0, s)) for s in (0, 30)] + [reading(at=at(3, 7, 1))]
    result = home([*readings, *three])
    assert len(result.used) == 24
    assert why(result, three[1]) is NotUsed.TOO_CLOSE


def test_noon_belongs_to_the_afternoon():
    either_side = [reading(at=at(3, 11, 59, 0)), reading(at=at(3, 12, 0))]
    others = [r for r in week() if r.taken_at.date() != FIRST_DAY + timedelta(days=2)]
    result = home([*others, *either_side])
    assert {why(result, r) for r in either_side} == {NotUsed.SESSION_TOO_SMALL}


def test_in_atrial_fibrillation_a_session_needs_three_readings():
    assert home(week(), atrial_fibrillation=True).reason is Insufficient.TOO_FEW_READINGS
    third = [reading(at=at(d, h, 3)) for d in range(1, 8) for h in (7, 20)]
    assert len(home([*week(), *third], atrial_fibrillation=True).used) == 36
