"""The drawing of the trend says what was measured, and shows what was not."""

import re
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from care_loops.charts import DayMean, Mark, Point, PointKind, Trend, trend_svg
from care_loops.domain.units import MmHg

FIRST = date(2026, 9, 1)
SVG = "{http://www.w3.org/2000/svg}"


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def trend(**more) -> Trend:
    base = {
        "first": FIRST,
        "last": day(27),
        "points": (),
        "means": (),
        "marks": (),
        "systolic_below": MmHg.of(135),
        "diastolic_below": MmHg.of(85),
        "title": "Home blood pressure",
    }
    return Trend(**(base | more))


def mean(number: int, systolic=140, diastolic=85) -> DayMean:
    return DayMean(day(number), MmHg.of(systolic), MmHg.of(diastolic))


def point(number: int, systolic, diastolic, kind=PointKind.COUNTED) -> Point:
    return Point(day(number), 0.4, MmHg.of(systolic), MmHg.of(diastolic), kind)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  (our own drawing)


def drawn(trend: Trend) -> ET.Element:
    return parsed(trend_svg(trend))


def test_a_day_without_readings_ends_the_line_and_is_marked_below():
    svg = drawn(
        trend(
            points=(point(0, 140, 85), point(1, 138, 84), point(3, 136, 83), point(4, 135, 82)),
            means=(mean(0), mean(1), mean(3), mean(4)),
        )
    )
    lines = svg.findall(f"{SVG}polyline")
    assert len(lines) == 4  # two runs, systolic and diastolic
    assert {len(line.get("points").split()) for line in lines} == {2}
    gaps = [r for r in svg.findall(f"{SVG}rect") if r.get("fill") == "#c4ccd2"]
    assert len(gaps) == 28 - 4


def test_nothing_measured_is_drawn_as_nothing_and_never_as_zero():
    svg = drawn(trend())
    assert svg.findall(f"{SVG}polyline") == []
    assert svg.findall(f"{SVG}circle") == []
    assert "no readings in this time" in trend_svg(trend())
    assert not re.search(r">0</text>", trend_svg(trend()))


def test_a_reading_held_back_is_hollow_and_does_not_stretch_the_scale():
    text = trend_svg(trend(points=(point(0, 140, 85), point(2, 2047, 85, PointKind.HELD_BACK)), means=(mean(0),)))
    hollow = [c for c in parsed(text).findall(f"{SVG}circle") if c.get("fill") == "#ffffff"]
    assert len(hollow) == 2
    assert "2040" not in text
    assert hollow[0].get("cy") == "34.0"  # on the upper edge of its panel


def test_context_is_a_cross_and_joins_no_line():
    svg = drawn(trend(points=(point(0, 150, 95, PointKind.CONTEXT),)))
    assert len(svg.findall(f"{SVG}path")) == 2
    assert svg.findall(f"{SVG}polyline") == []


def test_the_target_is_drawn_only_when_it_is_signed():
    assert "target: under 135" in trend_svg(trend())
    assert "target" not in trend_svg(trend(systolic_below=None, diastolic_below=None))


def test_a_change_of_medication_is_numbered_and_its_words_are_escaped():
    text = trend_svg(trend(marks=(Mark(day(5), "a <b> & c"),)))
    assert "a &lt;b&gt; &amp; c" in text
    assert [e.text for e in parsed(text).iter(f"{SVG}text") if e.text == "1"]


@pytest.mark.parametrize("forbidden", ["<style", "style=", "<script", "href", "onload", "@import"])
def test_the_drawing_loads_and_styles_nothing(forbidden):
    assert forbidden not in trend_svg(trend(points=(point(0, 140, 85),), means=(mean(0),), marks=(Mark(day(3), "x"),)))


def test_one_day_alone_can_be_drawn():
    one = trend(last=FIRST, points=(point(0, 140, 85),), means=(mean(0),))
    assert len(drawn(one).findall(f"{SVG}polyline")) == 0
