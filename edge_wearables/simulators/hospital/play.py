"""The weeks of the play: for each an agenda of moments in their order, then the windows close.

The rules
 * A week that was interrupted is played again from its beginning: what was done in it is not done twice.
 * How far it came is asked of what the play alone leaves: what its own devices sent within its own weeks. What anything
   else stored, or the clock on the wall, says nothing of it.
 * Where something else has moved a recommendation of the play beyond its weeks, it is not gone on with (`Disturbed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random

from audit.domain import Job
from audit.services.genesis import found_log
from care_loops.domain.record import LabKind, SymptomKind
from care_loops.models import Patient, RegimenEntry, Step
from care_loops.services import NewLab, NewSymptom, record_lab, record_symptom, turn
from governance.domain import Refusal
from governance.services import acting_job

from ...models import Batch
from ...runtime import DeviceRuntime, Ended
from .admitting import SOURCE, Admitted, address_of, admit
from .alone import played_alone
from .cases import Case, Happening
from .door import SimulatedDoor
from .founding import Site, close_play, found, is_over
from .imported import Bundles, take_in_bundles
from .measuring import Seen, happening, moment, routine
from .rounds import (
    Ward,
    deliver_outbox,
    first_doses,
    look_at_alerts,
    patients_evening,
    rechecks,
    staff_round,
    week_of_doses,
)

Say = Callable[[str], None]
WEEK = timedelta(days=7)
ROUND, EVENING, MORNING = time(10, 0), time(18, 0), time(9, 0)  # UTC
MIDWEEK_SYNC, WEEK_END_SYNC = (3, time(21, 30)), (6, time(21, 30))  # day of the week, local


class Disturbed(Refusal):
    """Something that is not the play has acted on what is half played."""

    code = "demonstration_disturbed"


@dataclass(frozen=True, slots=True)
class Act:
    """One moment of a week."""

    at: datetime
    do: Callable[[], None]


def play(
    cases: tuple[Case, ...],
    disks: Path,
    *,
    weeks: int,
    seed: int,
    now: datetime,
    say: Say,
    imported: Bundles | None = None,
) -> Site:
    """Play to the end, or go on where it stopped. Once it is over nothing more is played. Raises `NotAlone`."""
    if is_over():
        say("the weeks have been played before")
        return found(weeks=weeks, now=now)
    with played_alone():
        found_log(by=Job("demonstration", now.isoformat()), now=now)
        site = found(weeks=weeks, now=now)
        disks.mkdir(mode=0o700, parents=True, exist_ok=True)
        say(f"the site is founded: {len(site.people)} members of staff, the pathway in simulation")
        ward = Ward(site, {p.patient.pk: p for p in _admitted(cases, site, disks, imported, say=say)})
        play_weeks(ward, weeks=weeks, seed=seed, say=say)
        close_play(site, now=site.ends_at)
    return site


def _admitted(
    cases: tuple[Case, ...], site: Site, disks: Path, imported: Bundles | None, *, say: Say
) -> Iterator[Admitted]:
    script: list[tuple[Case, Patient | None]] = [(case, None) for case in cases]
    if imported is not None:
        script = list(take_in_bundles(imported, site, say=say))
        say(f"{len(imported.files)} FHIR files imported")
    for count, (case, record) in enumerate(script, start=1):
        yield admit(case, site, disks, found=record)
        if count % 10 == 0 or count == len(script):
            say(f"{count} of {len(script)} patients admitted, each with a device")


def play_weeks(ward: Ward, *, weeks: int, seed: int, say: Say) -> None:
    """Every week not yet played."""
    for week in range(_reached(ward), weeks):
        for act in sorted(_agenda(ward, week, seed), key=lambda act: act.at):
            act.do()
        closes_at = ward.site.starts_at + (week + 1) * WEEK
        done = turn(by=acting_job("demonstration-clock", closes_at.isoformat()), now=closes_at)
        deliver_outbox(closes_at)
        proposed = f"{done.proposed} with a proposal, {done.withheld} without"
        say(f"week {week + 1} of {weeks}: {done.closed} windows closed, {proposed}")


def _reached(ward: Ward) -> int:
    """The newest week in which a device of the play sent something: it may be half played. Raises `Disturbed`."""
    starts_at, ends_at = ward.site.starts_at, ward.site.ends_at
    if Step.objects.filter(loop__patient_id__in=ward.patients, entered_at__gt=ends_at).exists():
        raise Disturbed(
            "Something else acted on this half-played demonstration at another time than its own: it cannot be gone on "
            "with. Remove its home (CLINAIOPS_HOME) and run `make demo` to begin again."
        )
    devices = [admitted.identity.device_id for admitted in ward.patients.values()]
    sent = Batch.objects.filter(device_id__in=devices, received_at__gt=starts_at, received_at__lt=ends_at)
    newest = sent.order_by("-received_at").values_list("received_at", flat=True).first()
    return 0 if newest is None else (newest - starts_at) // WEEK


def _agenda(ward: Ward, week: int, seed: int) -> Iterator[Act]:
    starts_at = ward.site.starts_at + week * WEEK
    for admitted in ward.patients.values():
        yield from _device_week(admitted, ward.site.starts_at, week, seed)
        yield from _happenings(ward, admitted, week)
    for day in range(8):
        for at, do in ((MORNING, first_doses), (ROUND, staff_round), (EVENING, patients_evening)):
            when = datetime.combine(starts_at.date() + timedelta(days=day), at, starts_at.tzinfo)
            if starts_at < when < starts_at + WEEK:
                yield Act(when, partial(do, ward, when))
    when = starts_at + timedelta(days=6, hours=1)
    yield Act(when, lambda: rechecks(ward, when))


def _device_week(admitted: Admitted, starts_at: datetime, week: int, seed: int) -> Iterator[Act]:
    """The device keeps the week's readings as they are taken, and sends them twice a week."""
    case, taken = admitted.case, list[Seen]()

    def send(at: datetime) -> None:
        if not taken:
            taken.extend(routine(case, starts_at=starts_at, week=week, seed=seed, steps=_steps(admitted, at)))
        with_device(admitted, at, lambda device: _keep(device, [s for s in taken if s.at <= at]))

    for day, clock in (MIDWEEK_SYNC, WEEK_END_SYNC):
        at = moment(starts_at, case.zone, week * 7 + day, clock)
        yield Act(at, partial(send, at))
    end = moment(starts_at, case.zone, week * 7 + 6, time(21, 45))
    yield Act(end, lambda: week_of_doses(admitted, end, skip=_skips(case, seed)))


def with_device(admitted: Admitted, now: datetime, act: Callable[[DeviceRuntime], None]) -> None:
    """Start the device, let it act, let it send what waits."""
    line = SimulatedDoor(lambda: now, address=address_of(admitted.case))
    device = DeviceRuntime(admitted.disk, admitted.identity, line)
    try:
        act(device)
        done = device.sync(now=now)
    finally:
        device.close()
    if done.ended is not Ended.ALL_SENT:
        raise LookupError(f"the device of {admitted.case.key} was stopped: {done.ended} {done.code}")


def _keep(device: DeviceRuntime, seen: list[Seen]) -> None:
    """What the disk does not hold yet, by when it was taken and what it says."""
    held = {(content["taken_at"], str(content["systolic"])) for content in device.kept().values()}
    new = [s.content for s in seen if (s.content["taken_at"], str(s.content["systolic"])) not in held]
    if new:
        device.record_all(new)


def _steps(admitted: Admitted, now: datetime) -> int:
    """How many steps up the loop has confirmed."""
    lines = RegimenEntry.objects.filter(patient=admitted.patient, loop__isnull=False, first_intake__at__lte=now)
    return lines.exclude(status=RegimenEntry.STOPPED).count()


def _skips(case: Case, seed: int) -> Callable[[datetime, str], bool]:
    def skips(at: datetime, ingredient: str) -> bool:
        chance = Random(f"{seed}/{case.key}/{ingredient}/{at.date()}")  # noqa: S311 - to be repeatable
        return chance.random() >= case.adherence

    return skips


def _happenings(ward: Ward, admitted: Admitted, week: int) -> Iterator[Act]:
    case, starts_at = admitted.case, ward.site.starts_at
    for number, what in enumerate(case.happenings):
        if what.day // 7 == week:
            at = moment(starts_at, case.zone, what.day, what.at)
            yield Act(at + timedelta(minutes=1), _doing(admitted, number, what, at + timedelta(minutes=1), starts_at))
            for minutes in (6, 40):
                when = at + timedelta(minutes=minutes)
                yield Act(when, partial(look_at_alerts, ward, when))


def _doing(admitted: Admitted, number: int, what: Happening, now: datetime, starts_at: datetime) -> Callable[[], None]:
    case, patient_id = admitted.case, admitted.patient.pk
    source_id = f"{case.key}-happening-{number}"

    def measure() -> None:
        with_device(admitted, now, lambda device: _keep(device, [happening(case, what, starts_at=starts_at)]))

    def resend() -> None:
        with_device(admitted, now, lambda device: device.send_again(1, int(what.what["count"])))

    def symptom() -> None:
        kind, blame = SymptomKind(what.what["kind"]), what.what.get("blame", "")
        new = NewSymptom(SOURCE, source_id, kind, blame, what.what.get("words", ""), now)
        record_symptom(patient_id, new, by=admitted.own(now=now), now=now)

    def lab() -> None:
        value = what.what["value"]
        new = NewLab(SOURCE, source_id, LabKind(what.what["kind"]), Decimal(value), value, "", now)
        record_lab(patient_id, new, by=acting_job("demonstration-laboratory", source_id), now=now)

    return {"measure": measure, "resend": resend, "symptom": symptom, "lab": lab}[what.do]
