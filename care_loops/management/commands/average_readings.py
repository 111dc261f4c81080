"""`manage.py average_readings FILE`: average the readings of a CSV file under a rule of CLINICAL 1.1. No database."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError

from care_loops.averaging import average
from care_loops.domain.readings import Method, WindowResult
from care_loops.pathways.hypertension.tables_readings import averaging_rules, plausibility_limits
from care_loops.readings_csv import CsvSource, NotAReadingsFile, ParsedCsv, Unit, instant, parse

WRONG_INPUT = 2
WALL_CLOCK = "UTC"


class Command(BaseCommand):
    """Parse the file, make one call, print the answer."""

    help = (
        "Average the blood pressures of a CSV file (columns taken_at, systolic, diastolic; optional pulse, device, "
        "session). Rows are counted from 1 below the header. Exits 0 when the rule could be applied: 'not enough "
        "readings' is an answer (average null, with the reason). Exits 2 when the file or an option cannot be read."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of DESIGN 4, and three for what the file cannot say."""
        parser.add_argument("file", help="CSV file, UTF-8")
        parser.add_argument("--rule", required=True, choices=sorted(averaging_rules()))
        parser.add_argument(
            "--method",
            choices=[m.value for m in Method],
            default=Method.UPPER_ARM_CUFF.value,
            help="how it was measured; the caller vouches for an upper-arm cuff unless another method is named",
        )
        parser.add_argument(
            "--zone",
            default=WALL_CLOCK,
            help="IANA zone in which the person lived, such as Europe/Berlin. Without it a time that has no offset is "
            "read off the wall: every day has 24 hours, and no clock change is known of",
        )
        parser.add_argument(
            "--as-of",
            help="ISO date and time of asking; later readings are not used. Default: midnight after the last one",
        )
        parser.add_argument("--unit", choices=[u.value for u in Unit], default=Unit.MMHG.value, help="of the pressures")
        parser.add_argument("--last-change", help="ISO date and time of the last change of regimen, if there was one")
        parser.add_argument("--atrial-fibrillation", action="store_true", help="the person has atrial fibrillation")
        parser.add_argument("--not-validated", action="store_true", help="the device is not a validated one")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Translate options in and the answer out."""
        rule = averaging_rules()[options["rule"]]
        zone = _zone(options["zone"])
        source = CsvSource(
            zone=zone,
            method=Method(options["method"]),
            setting=rule.setting,
            device_validated=not options["not_validated"],
            unit=Unit(options["unit"]),
        )
        parsed = _parse(Path(options["file"]), source, limits_name=rule.plausibility)
        result = average(
            parsed.readings,
            rule,
            as_of=_moment(options["as_of"], zone, "--as-of") or _after_all(parsed, zone),
            zone=zone,
            last_change_at=_moment(options["last_change"], zone, "--last-change"),
            atrial_fibrillation=options["atrial_fibrillation"],
        )
        answer = _answer(result, parsed)
        self.stdout.write(json.dumps(answer) if options["json"] else _in_words(answer))


def _parse(path: Path, source: CsvSource, *, limits_name: str) -> ParsedCsv:
    try:
        return parse(path.read_bytes().decode("utf-8"), source, plausibility_limits(limits_name))
    except OSError as err:
        raise CommandError(f"{path}: {err.strerror}", returncode=WRONG_INPUT) from err
    except UnicodeDecodeError as err:
        raise CommandError(f"{path}: not UTF-8 text", returncode=WRONG_INPUT) from err
    except NotAReadingsFile as err:
        raise CommandError(f"{path}: {err}", returncode=WRONG_INPUT) from err


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise CommandError(f"--zone {name}: no such IANA zone", returncode=WRONG_INPUT) from err


def _moment(text: str | None, zone: ZoneInfo, option: str) -> datetime | None:
    """An instant; a date alone is its local midnight."""
    if text is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(0), tzinfo=zone)
    except ValueError:
        pass
    try:
        return instant(text, zone)
    except ValueError as err:
        raise CommandError(f"{option} {text}: {err}", returncode=WRONG_INPUT) from err


def _after_all(parsed: ParsedCsv, zone: ZoneInfo) -> datetime:
    """The local midnight after the last reading; any instant does where there are none."""
    days = [r.taken_at.astimezone(zone).date() for r in parsed.readings]
    last = max(days, default=date(1970, 1, 1))
    return datetime.combine(last + timedelta(days=1), time(0), tzinfo=zone)


def _answer(result: WindowResult, parsed: ParsedCsv) -> dict[str, Any]:
    """The object of DESIGN 4. What the reader refused is named as the reader named it."""
    why = {int(left.reading_id): left.why.value for left in result.not_used}
    why |= {row: code.value for row, code in parsed.refused}
    mean = result.average
    return {
        "rule": result.rule,
        "average": mean and {"systolic": float(mean.systolic.value), "diastolic": float(mean.diastolic.value)},
        "reason": result.reason,
        "used": sorted(int(one) for one in result.used),
        "not_used": [{"row": row, "why": why[row]} for row in sorted(why)],
    }


def _in_words(answer: dict[str, Any]) -> str:
    mean = answer["average"]
    said = f"{mean['systolic']:.1f}/{mean['diastolic']:.1f} mmHg" if mean else f"no average: {answer['reason']}"
    lines = [f"{answer['rule']}: {said} ({len(answer['used'])} readings)"]
    return "\n".join([*lines, *(f"  row {one['row']} not used: {one['why']}" for one in answer["not_used"])])
