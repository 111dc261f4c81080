"""FHIR R4 Observations of blood pressure and heart rate: one resource, a Bundle, a list, or one resource a line.

Rules
 * Panels 85354-9 and 55284-4; components 8480-6 and 8462-4, or 8459-0 and 8453-3 (CLINICAL, table of codes). A mean of
   many readings (96607-7) is refused: it is not a reading.
 * Units are UCUM `mm[Hg]` or `kPa`, `/min` for heart rate. A component with `dataAbsentReason` is absent, never zero.
 * `entered-in-error` voids a resource: it is refused by that name; what it was sent as before is for staff to correct.
 * FHIR times have an offset but no zone: the zone comes with the batch, the device or the command.
 * One document speaks of one person; two subjects are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from care_loops.domain.parts import PartsRead, number_said, pressure_said, rate_said
from care_loops.domain.readings import Status
from care_loops.domain.units import Bpm, MmHg

from ..domain import Bad, Item, Measured, Sampled, SampleKind, Unreadable
from . import fields

NAME = "fhir"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
PANELS = frozenset({"85354-9", "55284-4"})
SYSTOLIC = frozenset({"8480-6", "8459-0"})
DIASTOLIC = frozenset({"8462-4", "8453-3"})
HEART_RATE = "8867-4"
MEANS = frozenset({"96607-7", "96608-5", "96609-3"})
TAKEN_BACK = ("entered-in-error", "cancelled")
CONTEXT = frozenset({"Patient", "Device", "DeviceMetric", "Practitioner", "Organization", "RelatedPerson"})


def read(document: object, *, zone: str | None) -> Item:
    """One Observation. Raises `Unreadable`."""
    resource = fields.an_object(document, name="the resource")
    if resource.get("resourceType") != "Observation":
        raise Unreadable("not_an_observation", "The resource is not an Observation.")
    codes = loinc_codes(resource.get("code"))
    if codes & MEANS:
        raise Unreadable("average_not_a_reading", "A mean of readings is not a reading; send the readings themselves.")
    if codes & PANELS:
        return _panel(resource, zone=zone)
    if codes & (SYSTOLIC | DIASTOLIC):
        return _panel({**resource, "component": [resource]}, zone=zone)
    if HEART_RATE in codes:
        return _heart_rate(resource)
    raise Unreadable("unknown_code", "The Observation is not a blood pressure or heart rate by its LOINC code.")


def parts(document: object) -> PartsRead:
    """What can be read of an Observation that is refused. Never raises. What its sender took back has no parts."""
    resource = document if isinstance(document, dict) else {}
    if resource.get("status") in TAKEN_BACK:
        return PartsRead()
    held = resource.get("component")
    holders = [resource, *(part for part in (held if isinstance(held, list) else []) if isinstance(part, dict))]
    said = [(loinc_codes(holder.get("code")), holder) for holder in holders]
    return PartsRead(
        systolic=tuple(v for codes, one in said if codes & SYSTOLIC for v in _pressures_said(one)),
        diastolic=tuple(v for codes, one in said if codes & DIASTOLIC for v in _pressures_said(one)),
        pulse=tuple(v for codes, one in said if HEART_RATE in codes for v in _rates_said(one)),
        taken_at=fields.attempt(lambda: _taken_at(resource)),
        besides=HEART_RATE in said[0][0],
    )


def _pressures_said(holder: dict[str, Any]) -> tuple[MmHg, ...]:
    value, unit, comparator = _said(holder)
    return pressure_said(value, unit=unit, comparator=comparator)


def _rates_said(holder: dict[str, Any]) -> tuple[Bpm, ...]:
    value, unit, comparator = _said(holder)
    return rate_said(value, unit=unit, comparator=comparator)


def _said(holder: dict[str, Any]) -> tuple[object, object, object]:
    """Value, unit and comparator of a Quantity; of text, the text and the unit behind its number."""
    quantity = holder.get("valueQuantity")
    if isinstance(quantity, dict):
        return quantity.get("value"), quantity.get("code") or quantity.get("unit"), quantity.get("comparator")
    said = number_said(text := holder.get("valueString"))
    return text, said.unit if said else None, None


def observations(document: object) -> list[dict[str, Any]]:
    """The Observations of a Bundle, a list or one resource; context resources are passed over. Raises `Unreadable`."""
    if isinstance(document, list):
        found = [fields.an_object(item, name="an item of the list") for item in document]
    else:
        whole = fields.an_object(document, name="the document")
        if whole.get("resourceType") == "Bundle":
            entries = fields.a_list(whole.get("entry", []), name="entry")
            found = [
                fields.an_object(fields.an_object(entry, name="an entry").get("resource"), name="an entry's resource")
                for entry in entries
            ]
        else:
            found = [whole]
    wanted = [resource for resource in found if resource.get("resourceType") not in CONTEXT]
    subjects = {reference for resource in wanted if (reference := _subject(resource))}
    if len(subjects) > 1:
        raise Unreadable("several_patients", "The document speaks of more than one person.", subjects=len(subjects))
    return wanted


def read_all(resources: Iterable[dict[str, Any]], *, zone: str | None) -> tuple[Item, ...]:
    """Every resource, each read or refused by name on its own."""
    items: list[Item] = []
    for resource in resources:
        try:
            items.append(read(resource, zone=zone))
        except Unreadable as why:
            items.append(Bad(why.code, why.detail, text=str(resource.get("id", ""))[:200], parts=parts(resource)))
    return tuple(items)


def loinc_codes(concept: object) -> frozenset[str]:
    """The LOINC codes of a CodeableConcept."""
    if not isinstance(concept, dict) or not isinstance(concept.get("coding"), list):
        return frozenset()
    codings = [coding for coding in concept["coding"] if isinstance(coding, dict) and coding.get("system") == LOINC]
    return frozenset(coding["code"] for coding in codings if isinstance(coding.get("code"), str))


def _panel(resource: dict[str, Any], *, zone: str | None) -> Measured:
    parts = [
        fields.an_object(part, name="a component")
        for part in fields.a_list(resource.get("component", []), name="component")
    ]
    systolic, why_not_systolic = _component(parts, SYSTOLIC, name="systolic")
    diastolic, why_not_diastolic = _component(parts, DIASTOLIC, name="diastolic")
    reason = why_not_systolic or why_not_diastolic
    if reason and resource.get("dataAbsentReason"):
        reason = _absent_reason(resource["dataAbsentReason"])
    pulse, beside = _pulse(parts)
    taken_at = _taken_at(resource)
    return Measured(
        taken_at=taken_at,
        zone=fields.zone(None, otherwise=zone),
        systolic=systolic,
        diastolic=diastolic,
        pulse=pulse,
        status=_status(resource),
        absent_reason=reason,
        source_id=_source_id(resource),
        beside=PartsRead(pulse=beside, taken_at=taken_at),
    )


def _component(parts: list[dict[str, Any]], codes: frozenset[str], *, name: str) -> tuple[MmHg | None, str]:
    """The value of the one component with such a code, or why there is none."""
    found = [part for part in parts if loinc_codes(part.get("code")) & codes]
    if len(found) > 1:
        raise Unreadable("component_twice", f"The {name} pressure stands there twice.", field=name)
    if not found:
        return None, "not-in-document"
    if (quantity := found[0].get("valueQuantity")) is None:
        return None, _absent_reason(found[0].get("dataAbsentReason"))
    value, unit = _quantity(quantity, name=name)
    return fields.pressure(value, unit=unit, name=name), ""


def _pulse(parts: list[dict[str, Any]]) -> tuple[Bpm | None, tuple[Bpm, ...]]:
    """The heart rate that came with a pressure; or, where it is no one exact number, what can be read of it.

    Such a one is absent, and takes no pressure with it.
    """
    found = [part for part in parts if HEART_RATE in loinc_codes(part.get("code"))]
    if len(found) == 1 and found[0].get("valueQuantity") is not None:
        value = fields.attempt(lambda: _quantity(found[0]["valueQuantity"], name="heart rate"))
        rate = fields.attempt(lambda: fields.pulse(value[0], unit=value[1], name="heart rate")) if value else None
        if rate is not None:
            return rate, ()
    return None, tuple(said for part in found for said in _rates_said(part))


def _heart_rate(resource: dict[str, Any]) -> Sampled:
    if resource.get("valueQuantity") is None:
        raise Unreadable("nothing_measured", "The heart rate has no value.", field="valueQuantity")
    value, unit = _quantity(resource["valueQuantity"], name="heart rate")
    rate = fields.pulse(value, unit=unit, name="heart rate")
    at = _taken_at(resource)
    if _status(resource) not in (Status.FINAL, Status.AMENDED, Status.CORRECTED):
        raise Unreadable("unknown_status", "A heart rate that is not final is not kept.", field="status")
    return Sampled(SampleKind.HEART_RATE, rate.value, starts_at=at, ends_at=at, source_id=_source_id(resource))


def _quantity(quantity: object, *, name: str) -> tuple[object, object]:
    """The value and the UCUM code of a Quantity; without the UCUM system the code means nothing."""
    found = fields.an_object(quantity, name=f"the quantity of {name}")
    if found.get("comparator") is not None:
        raise Unreadable("not_exact", f"The {name} value is a bound, not a measurement.", field=name)
    if found.get("system") != UCUM:
        raise Unreadable("unknown_unit", f"The unit of {name} is not a UCUM code.", field=name)
    return found.get("value"), found.get("code")


def _taken_at(resource: dict[str, Any]) -> datetime:
    if isinstance(period := resource.get("effectivePeriod"), dict):
        starts_at = fields.instant(fields.needed(period, "start"), name="effectivePeriod.start")
        ends_at = fields.instant(fields.needed(period, "end"), name="effectivePeriod.end")
        return fields.short_interval(starts_at, ends_at, name="effectivePeriod")
    value = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if value is None:
        raise Unreadable(
            "missing_time", "The Observation does not say when it was measured.", field="effectiveDateTime"
        )
    if isinstance(value, str) and len(value) <= len("2026-11-22"):
        raise Unreadable("time_too_coarse", "The Observation gives a day, not a time.", field="effectiveDateTime")
    return fields.instant(value, name="effectiveDateTime")


def _status(resource: dict[str, Any]) -> Status:
    status = resource.get("status")
    if not isinstance(status, str) or status not in {member.value for member in Status}:
        raise Unreadable(
            "unknown_status", "The status of the Observation is not one that carries a result.", field="status"
        )
    if status == Status.ENTERED_IN_ERROR.value:
        raise Unreadable("entered_in_error", "What was entered in error is no reading.", field="status")
    return Status(status)


def _absent_reason(concept: object) -> str:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict) and isinstance(coding.get("code"), str) and coding["code"]:
            return str(coding["code"])[:60]
    return "unknown"


def _subject(resource: dict[str, Any]) -> str:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference if isinstance(reference, str) else ""


def _source_id(resource: dict[str, Any]) -> str:
    found = resource.get("id")
    return found[:120] if isinstance(found, str) else ""
