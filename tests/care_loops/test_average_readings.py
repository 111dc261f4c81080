"""`manage.py average_readings` and the reading of CSV: what is answered, what is named, what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from care_loops.domain.readings import Method, Setting
from care_loops.pathways.hypertension.tables_readings import plausibility_limits
from care_loops.readings_csv import CsvSource, NotAReadingsFile, Unit, parse
from tests.care_loops.clinic import BERLIN

HEADER = "taken_at,systolic,diastolic"
MMHG = CsvSource(BERLIN, Method.UPPER_ARM_CUFF, Setting.HOME, device_validated=True, unit=Unit.MMHG)


def week_rows() -> list[str]:
    begin = datetime(2026, 3, 1)
    times = [timedelta(days=d, hours=h, minutes=m) for d in range(7) for h in (7, 20) for m in (0, 2)]
    return [f"{(begin + t).isoformat()},130,80" for t in times]


@pytest.fixture
def ask(tmp_path: Path):
    def run(rows: Sequence[str], *options: str, header: str = HEADER, rule: str = "home_7_day") -> dict:
        file = tmp_path / "readings.csv"
        file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        out = StringIO()
        fixed = ("--rule", rule, "--method", "upper_arm_cuff", "--zone", "Europe/Berlin", "--json")
        call_command("average_readings", str(file), *fixed, *options, stdout=out)
        return json.loads(out.getvalue())

    return run


def test_the_28_reading_week(ask):
    answer = ask(week_rows(), "--as-of", "2026-03-08T09:00")
    assert answer == {
        "rule": "home_7_day",
        "average": {"systolic": 130.0, "diastolic": 80.0},
        "reason": None,
        "used": list(range(5, 29)),
        "not_used": [{"row": row, "why": "first_day"} for row in (1, 2, 3, 4)],
    }


def test_without_as_of_it_is_asked_at_the_midnight_after_the_last_reading(ask):
    assert ask(week_rows()) == ask(week_rows(), "--as-of", "2026-03-08")


def test_eleven_and_twelve(ask):
    twelve = week_rows()[:16]
    assert ask(twelve, "--as-of", "2026-03-08")["average"] == {"systolic": 130.0, "diastolic": 80.0}
    short = ask(twelve[:-1], "--as-of", "2026-03-08")
    assert (short["average"], short["reason"]) == (None, "too_few_readings")


def test_an_empty_file_has_no_readings(ask):
    assert ask([])["reason"] == "no_readings"


def test_kilopascal_become_mmhg(ask):
    rows = [row.replace(",130,80", ",17.33,10.67") for row in week_rows()]
    mean = ask(rows, "--unit", "kPa")["average"]
    assert mean["systolic"] == pytest.approx(129.99, abs=0.01)
    assert mean["diastolic"] == pytest.approx(80.03, abs=0.01)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2026-03-03T07:05:00,abc,80", "bad_number"),
        ("2026-03-03T07:05:00,NaN,80", "bad_number"),
        ("2026-03-03T07:05:00,inf,80", "bad_number"),
        ("2026-03-03T07:05:00,1e2,80", "bad_number"),
        ("2026-03-03T07:05:00,１２０,80", "bad_number"),
        ("2026-03-03T07:05:00,,80", "component_absent"),
        ("2026-03-03T07:05:00,130,-", "component_absent"),
        ("2026-03-03T07:05:00,2047,238", "quarantined"),
        ("2026-03-03T07:05:00,80,130", "quarantined"),
        ("2026-03-03T07:05:00,-130,80", "quarantined"),
        ("2026-03-03T07:05:00,130", "wrong_number_of_cells"),
        ("2026-03-03T07:05:00,130,80,9", "wrong_number_of_cells"),
        ("2026-03-03,130,80", "date_without_time"),
        ("yesterday at 8:00,130,80", "bad_time"),
        (",130,80", "time_absent"),
        ("2026-03-29T02:30:00,130,80", "nonexistent_local_time"),
        ("2026-10-25T02:30:00,130,80", "ambiguous_local_time"),
        ("2026-03-09T07:00:00,130,80", "future"),
        ("2026-02-20T07:00:00,130,80", "outside_window"),
        ("2026-03-03T06:00:00Z,130,80", "duplicate"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_are_used(ask, row, why):
    answer = ask([*week_rows(), row], "--as-of", "2026-03-08")
    assert {"row": 29, "why": why} in answer["not_used"]
    assert answer["average"] == {"systolic": 130.0, "diastolic": 80.0}


def test_an_offset_in_the_file_is_believed_over_the_zone(ask):
    rows = [row.replace(",130", "+01:00,130") for row in week_rows()]
    assert ask(rows)["used"] == ask(week_rows())["used"]


def test_columns_in_any_order_case_and_company(ask):
    rows = [f'"{r.split(",")[2]}",x,"{r.split(",")[0]}",{r.split(",")[1]},60' for r in week_rows()]
    answer = ask(rows, header="\ufeffDiastolic,note,taken_at,SYSTOLIC,pulse")
    assert answer["average"] == {"systolic": 130.0, "diastolic": 80.0}


def test_a_first_office_attempt_without_numbers_keeps_its_place(ask):
    rows = ["2010-01-05T09:00,NA,NA", "2010-01-05T09:01,144,82", "2010-01-05T09:02,136,72"]
    answer = ask(rows, rule="office_drop_first")
    assert answer["average"] == {"systolic": 140.0, "diastolic": 77.0}
    assert answer["not_used"] == [{"row": 1, "why": "component_absent"}]


def test_sessions_have_their_own_first_reading(ask):
    rows = [f"2010-01-05T{h}:0{m},{s},80,{n}" for h, n in (("09", "a"), ("11", "b")) for m, s in enumerate((180, 140))]
    answer = ask(rows, header=f"{HEADER},session", rule="office_drop_first")
    assert answer["used"] == [2, 4]


def test_in_words_for_people(tmp_path: Path):
    file = tmp_path / "readings.csv"
    file.write_text("\n".join([HEADER, *week_rows()]), encoding="utf-8")
    out = StringIO()
    fixed = ("--rule", "home_7_day", "--method", "upper_arm_cuff", "--zone", "Europe/Berlin")
    call_command("average_readings", str(file), *fixed, stdout=out)
    assert out.getvalue().startswith("home_7_day: 130.0/80.0 mmHg (24 readings)\n  row 1 not used: first_day")


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (b"when,sys,dia\n", (), "lacks taken_at, systolic, diastolic"),
        (b"", (), "lacks taken_at"),
        (b"taken_at,systolic,systolic,diastolic\n", (), "more than once"),
        (b"\xff\xfe\x00", (), "not UTF-8"),
        (b'taken_at,systolic,diastolic\n"2026', (), "not CSV"),
        (HEADER.encode(), ("--zone", "Europe/Bärlin"), "no such IANA zone"),
        (HEADER.encode(), ("--zone", "../../etc/passwd"), "no such IANA zone"),
        (HEADER.encode(), ("--as-of", "soon"), "--as-of soon: bad_time"),
        (HEADER.encode(), ("--as-of", "2026-03-29T02:30"), "nonexistent_local_time"),
    ],
)
def test_a_wrong_file_or_option_is_refused_in_one_sentence(tmp_path: Path, content, options, says):
    file = tmp_path / "readings.csv"
    file.write_bytes(content)
    fixed = ("--rule", "home_7_day", "--method", "upper_arm_cuff", "--zone", "Europe/Berlin")
    with pytest.raises(CommandError, match=says) as refused:
        call_command("average_readings", str(file), *fixed, *options, stdout=StringIO())
    assert refused.value.returncode == 2


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    fixed = ("--rule", "home_7_day", "--method", "upper_arm_cuff", "--zone", "Europe/Berlin")
    with pytest.raises(CommandError, match="No such file"):
        call_command("average_readings", str(tmp_path / "none.csv"), *fixed)


cells = st.text(alphabet='0123456789-T:.,Zabc" \n', max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, max_size=6))
def test_no_text_crashes_the_reader_and_every_row_is_accounted_for(rows):
    try:
        parsed = parse("\n".join([HEADER, *rows]), MMHG, plausibility_limits("home"))
    except NotAReadingsFile:
        return
    seen = {int(r.reading_id) for r in parsed.readings} | {row for row, _ in parsed.refused}
    assert seen == set(range(1, parsed.rows + 1))
