"""Observations: blood pressure, heart rate, laboratory results, pregnancy status. Other codes are passed over.

The rules
 * A blood pressure is a panel by its code, or any observation with a systolic or diastolic component. A component sent
   on its own is a reading that lacks the other one.
 * A component that is absent stays absent with its reason. One that was sent and cannot be read (a word, an unknown
   unit) is named; the other component still counts, because danger rules look at each (CLINICAL 1.3). Where nothing
   can be read and something was sent, the panel is refused by that name.
 * "More than" a number, a value sent beside a reason for its absence, and two different values for one component are
   quarantined: danger rules see the value (the higher of two), no average does.
 * `cancelled` voids a resource; `entered-in-error` is stored as such; a status that does not say final, or a modifier
   extension, counts as preliminary: stored, looked at by danger rules, never averaged.
 * Any coding of a concept may say what it is. A code of ours without its system is refused by name.
 * Office unless a marker says home. An upper-arm cuff only when a cuff and an upper arm are both stated. No import says
   that a device is validated, so nothing imported titrates by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from ..domain.readings import Implausible, Method, Position, Setting, Status
from ..domain.record import LabKind
from ..terminology import SNOMED, Marker, MarkerKind, Measured, ObservationCode, UnitOf
from .documents import Json
from .resources import FhirCondition, FhirLab, FhirPressure, FhirRate
from .values import Amount, Context, Refused, When, amount, child, children, codings, first_code, reference, text, when

_PRESSURE = (Measured.SYSTOLIC, Measured.DIASTOLIC)
_RESULT = {status.value: status for status in (Status.FINAL, Status.AMENDED, Status.CORRECTED, Status.ENTERED_IN_ERROR)}
_NONE = Amount(absent="not_sent")

FromObservation = FhirPressure | FhirRate | FhirLab | FhirCondition


def observation(resource: Json, source_id: str, context: Context) -> FromObservation | None:
    """What an Observation says; `None` when it is nothing this record takes in. Raises `Refused`."""
    parts = list(_parts(resource, context))
    known = _known(child(resource, "code"), context, whole="component" in resource)
    if (known is None and parts) or (known is not None and known.measured is Measured.PRESSURE_PANEL):
        return _pressure(resource, source_id, parts, context)
    if known is None:
        _refuse_without_system(resource, context)
        return None
    if known.measured in _PRESSURE:
        alone = _Part(known, amount(resource, of=UnitOf.PRESSURE, context=context))
        return _pressure(resource, source_id, [alone], context, alone=True)
    if known.measured is Measured.HEART_RATE:
        return _rate(resource, source_id, context)
    if known.measured is Measured.PREGNANCY_STATUS:
        return _pregnancy(resource, source_id, context)
    return _lab(resource, source_id, known, context)


def _known(concept: Json, context: Context, *, whole: bool = False) -> ObservationCode | None:
    """What a code stands for: any of its codings may say it. `None` when it is nothing of ours. Raises `Refused`.

    A panel's code beside a component's means the panel where the components are inside (`whole`).
    """
    rows = context.book.observation(codings(concept))
    panels = tuple(row for row in rows if row.measured is Measured.PRESSURE_PANEL)
    others = tuple(row for row in rows if row.measured is not Measured.PRESSURE_PANEL)
    meant = panels if panels and (whole or not others) else others
    if len({row.measured for row in meant}) > 1:
        raise Refused("conflicting_codes", ", ".join(row.code for row in rows))
    return next((row for row in meant if row.position is not Position.UNKNOWN), meant[0] if meant else None)


def _refuse_without_system(resource: Json, context: Context) -> None:
    """A code of ours whose system was left out may be anything; it is not passed over in silence."""
    for holder in (resource, *children(resource, "component")):
        said = codings(child(holder, "code"))
        if context.book.known_without_system(said):
            raise Refused("code_without_system", ", ".join(code for _, code in said))


@dataclass(frozen=True, slots=True)
class _Part:
    """One component that is ours."""

    known: ObservationCode
    amount: Amount


def _parts(resource: Json, context: Context) -> Iterator[_Part]:
    for component in children(resource, "component"):
        known = _known(child(component, "code"), context)
        if known is not None and known.measured in _PRESSURE:
            yield _Part(known, amount(component, of=UnitOf.PRESSURE, context=context))
        elif known is not None and known.measured is Measured.HEART_RATE:
            yield _Part(known, amount(component, of=UnitOf.RATE, context=context))


def _pressure(
    resource: Json, source_id: str, parts: list[_Part], context: Context, *, alone: bool = False
) -> FhirPressure:
    status = _status(resource)
    taken = _effective(resource, context)
    systolic, twice_systolic = _merged(parts, Measured.SYSTOLIC)
    diastolic, twice_diastolic = _merged(parts, Measured.DIASTOLIC)
    pulse, _ = _merged(parts, Measured.HEART_RATE)
    unreadable = systolic.unreadable or diastolic.unreadable or ("" if parts else _other_shape(resource))
    if unreadable and systolic.value is None and diastolic.value is None:
        raise Refused(unreadable)
    quarantined = None
    if not (systolic.exact and diastolic.exact):
        quarantined = Implausible.NOT_EXACT
    elif twice_systolic or twice_diastolic:
        quarantined = Implausible.EQUIVOCAL
    lacking = next((each for each in (systolic, diastolic) if each.value is None), None)
    setting, method = circumstances(resource, context)
    return FhirPressure(
        source_id=source_id,
        patient=reference(resource, "subject"),
        taken=taken,
        systolic=systolic.value,
        diastolic=diastolic.value,
        pulse=pulse.value if pulse.exact else None,
        absent_reason=_why_absent(lacking, resource, alone=alone) if lacking else "",
        unreadable=unreadable,
        status=status,
        setting=setting,
        method=method,
        position=_position(parts),
        device=text(child(resource, "device"), "reference", limit=80),
        context=_context(resource),
        quarantined=quarantined,
        members=tuple(m for each in children(resource, "hasMember") if (m := text(each, "reference"))),
        alone=alone,
    )


def _other_shape(resource: Json) -> str:
    """What is wrong with a panel that says something where no panel says it."""
    if not isinstance(resource.get("component", []), list):
        return "component_not_a_list"
    return "not_a_quantity" if any(key.startswith("value") for key in resource) else ""


def _merged(parts: list[_Part], measured: Measured) -> tuple[Amount, bool]:
    """The component's amount, and whether it was sent twice with different values: then it is the higher one."""
    found = [part.amount for part in parts if part.known.measured is measured]
    values = sorted({each.value for each in found if each.value is not None})
    if values:
        highest = next(each for each in found if each.value == values[-1])
        return highest, len(values) > 1
    return next((each for each in found if each.unreadable), found[0] if found else _NONE), False


def _why_absent(lacking: Amount, resource: Json, *, alone: bool) -> str:
    if lacking.unreadable:
        return lacking.unreadable
    if lacking.absent != "not_sent":
        return lacking.absent
    return first_code(child(resource, "dataAbsentReason")) or ("sent_alone" if alone else lacking.absent)


def _position(parts: list[_Part]) -> Position:
    said = {part.known.position for part in parts if part.known.measured in _PRESSURE}
    return said.pop() if len(said) == 1 else Position.UNKNOWN


def _rate(resource: Json, source_id: str, context: Context) -> FhirRate | None:
    _refuse_void(resource)
    read = _exact(amount(resource, of=UnitOf.RATE, context=context))
    if read is None or read.value is None:
        return None  # an absent heart rate is nothing to keep: no rule counts it
    return FhirRate(
        source_id=source_id,
        patient=reference(resource, "subject"),
        taken=_effective(resource, context),
        value=read.value,
        context=_context(resource),
    )


def _lab(resource: Json, source_id: str, known: ObservationCode, context: Context) -> FhirLab:
    _refuse_void(resource)
    kind = LabKind(known.measured.value)
    read = _exact(amount(resource, of=kind.value, context=context, code=known.code))
    if read is None or read.value is None:
        raise Refused("no_value")
    if read.value <= 0:
        raise Refused("not_positive", read.sent_value)
    return FhirLab(
        source_id=source_id,
        patient=reference(resource, "subject"),
        taken=_effective(resource, context),
        kind=kind,
        value=read.value,
        sent_value=read.sent_value,
        sent_unit=read.sent_unit,
    )


def _pregnancy(resource: Json, source_id: str, context: Context) -> FhirCondition:
    """A pregnancy status as a condition from that day; what the code tells is for the condition tables."""
    _refuse_void(resource)
    seen = _effective(resource, context)
    return FhirCondition(
        source_id=source_id,
        patient=reference(resource, "subject"),
        codings=codings(child(resource, "valueCodeableConcept")),
        display=text(child(resource, "valueCodeableConcept"), "text"),
        active=None,
        onset=seen,
        abated=None,
        recorded=seen,
        encounter="",
    )


def _exact(read: Amount) -> Amount | None:
    """The amount when it is one; `None` when absent; refused by name when it was sent and is no exact number."""
    if read.unreadable:
        raise Refused(read.unreadable)
    if not read.exact:
        raise Refused("not_exact", read.sent_value)
    return None if read.value is None else read


def _status(resource: Json) -> Status:
    status = text(resource, "status")
    if status == "cancelled":
        raise Refused("cancelled")
    holders = (resource, *children(resource, "component"))
    if any("modifierExtension" in holder for holder in holders) and status != Status.ENTERED_IN_ERROR:
        return Status.PRELIMINARY  # it may turn the meaning round, and nobody here knows it
    return _RESULT.get(status, Status.PRELIMINARY)


def _refuse_void(resource: Json) -> None:
    if _status(resource) is Status.ENTERED_IN_ERROR:
        raise Refused("entered_in_error")


def _effective(resource: Json, context: Context) -> When:
    period = child(resource, "effectivePeriod")
    for said in (
        resource.get("effectiveDateTime"),
        resource.get("effectiveInstant"),
        period.get("start"),
        period.get("end"),
    ):
        if said is not None:
            return when(said, context)
    raise Refused("no_time")


def _context(resource: Json) -> str:
    """What ties observations of one occasion together: the encounter, and what they are part of."""
    parts = [text(each, "reference") for each in children(resource, "partOf")]
    return " ".join([reference(resource, "encounter"), *sorted(parts)])


def circumstances(resource: Json, context: Context) -> tuple[Setting, Method]:
    """Where and how, by markers."""
    found = list(_markers(resource, context))
    setting = next((m.setting for m in found if m.setting), Setting.OFFICE)
    said = {m.method for m in found if m.kind is MarkerKind.METHOD_CODE}
    sites = {m.method for m in found if m.kind is MarkerKind.BODY_SITE}
    if Method.AUSCULTATION in said:
        return setting, Method.AUSCULTATION
    if Method.UPPER_ARM_CUFF not in said or len(sites) != 1:
        return setting, Method.UNKNOWN
    return setting, sites.pop() or Method.UNKNOWN


def _markers(resource: Json, context: Context) -> Iterator[Marker]:
    profiles = child(resource, "meta").get("profile")
    listed = profiles if isinstance(profiles, list) else []
    said = [(MarkerKind.PROFILE, str(profile).split("|")[0]) for profile in listed]
    for extension in children(resource, "extension"):
        said += [(MarkerKind.SETTING_CODE, code) for code in _snomed(child(extension, "valueCodeableConcept"))]
        coding = child(extension, "valueCoding")
        if text(coding, "system") == SNOMED:
            said.append((MarkerKind.SETTING_CODE, text(coding, "code")))
    said += [(MarkerKind.METHOD_CODE, code) for code in _snomed(child(resource, "method"))]
    said += [(MarkerKind.BODY_SITE, code) for code in _snomed(child(resource, "bodySite"))]
    for contained in children(resource, "contained"):
        if contained.get("resourceType") == "Device":
            said += [(MarkerKind.METHOD_CODE, code) for code in _snomed(child(contained, "type"))]
    return (marker for key in said if (marker := context.book.markers.get(key)) is not None)


def _snomed(concept: Json) -> Iterator[str]:
    return (code for system, code in codings(concept) if system == SNOMED)


def with_members(pressures: list[FhirPressure]) -> list[FhirPressure]:
    """A panel that names its components as members, instead of holding them, takes them in: no readings then.

    A panel that was taken back takes none with it, and none that was taken back is taken in.
    """
    return pressures if not any(each.members for each in pressures) else list(_joined(pressures))


def _joined(pressures: list[FhirPressure]) -> Iterator[FhirPressure]:
    alone: dict[str, list[FhirPressure]] = {}
    for each in pressures:
        if each.alone:
            alone.setdefault(each.source_id, []).append(each)
    taken: set[str] = set()
    for each in pressures:
        members = [one for m in each.members for one in alone.get(m, ()) if _belongs(one, each) and m not in taken]
        systolic = [m.systolic for m in members if m.systolic is not None]
        diastolic = [m.diastolic for m in members if m.diastolic is not None]
        if each.systolic is None and each.diastolic is None and len(systolic) <= 1 and len(diastolic) <= 1 and members:
            taken |= {m.source_id for m in members}
            whole = systolic and diastolic
            yield replace(
                each,
                systolic=systolic[0] if systolic else None,
                diastolic=diastolic[0] if diastolic else None,
                absent_reason="" if whole else each.absent_reason,
                quarantined=next((m.quarantined for m in members if m.quarantined), each.quarantined),
            )
        elif not each.alone:
            yield each
    yield from (each for key, same in alone.items() if key not in taken for each in same)


def _belongs(member: FhirPressure, panel: FhirPressure) -> bool:
    """Whether a component on its own is taken into its panel: of the same instant, and neither of them taken back."""
    void = Status.ENTERED_IN_ERROR in (member.status, panel.status)
    return member.taken.at == panel.taken.at and not void


def with_pulse(pressures: list[FhirPressure], rates: list[FhirRate]) -> list[FhirPressure]:
    """Give a pressure the heart rate of the same instant and occasion, where there is exactly one."""
    found: dict[tuple[object, str], set[Decimal]] = {}
    for rate in rates:
        found.setdefault((rate.taken.at, rate.context), set()).add(rate.value)
    result = []
    for each in pressures:
        values = found.get((each.taken.at, each.context), set())
        result.append(replace(each, pulse=next(iter(values))) if each.pulse is None and len(values) == 1 else each)
    return result
