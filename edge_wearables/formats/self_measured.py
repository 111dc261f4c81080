"""HL7 CardX self-measured blood pressure (hypertension management guide, profile `self-measured-bp`, R4).

Rules: those of FHIR, and the profile's own, each refused by name.
 * Status final, amended, corrected or entered-in-error; a time of measurement (`effectiveDateTime`), `issued`, and
   exactly one performer, who is the patient.
 * Both components are there, with a value in mm[Hg] or a reason for its absence.
 * What a person measures themselves is a home measurement.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from care_loops.domain.readings import Setting

from ..domain import Item, Measured, Unreadable
from . import fhir, fields

NAME = "hl7_smbp"
STATUSES = frozenset({"final", "amended", "corrected", "entered-in-error"})


def read(document: object, *, zone: str | None) -> Item:
    """One self-measured pressure, or the heart rate that came with it. Raises `Unreadable`."""
    resource = fields.an_object(document, name="the resource")
    item = fhir.read(resource, zone=zone)
    check(resource, pressure=isinstance(item, Measured))
    return replace(item, setting=Setting.HOME) if isinstance(item, Measured) else item


def check(resource: dict[str, Any], *, pressure: bool) -> None:
    """Raise `Unreadable` where the profile is broken."""
    _performer(resource)
    if not pressure:
        return
    if resource.get("status") not in STATUSES:
        raise Unreadable("unknown_status", "The profile does not allow this status.", field="status")
    if resource.get("effectiveDateTime") is None:
        raise Unreadable("missing_time", "The profile wants effectiveDateTime.", field="effectiveDateTime")
    fields.instant(fields.needed(resource, "issued"), name="issued")
    parts = fields.a_list(resource.get("component", []), name="component")
    for codes, name in ((fhir.SYSTOLIC, "systolic"), (fhir.DIASTOLIC, "diastolic")):
        found = [p for p in parts if isinstance(p, dict) and fhir.loinc_codes(p.get("code")) & codes]
        if not found:
            raise Unreadable("missing_field", f"The {name} component is missing.", field=name)
        quantity = found[0].get("valueQuantity")
        if quantity is None and found[0].get("dataAbsentReason") is None:
            raise Unreadable("missing_field", f"The {name} component has neither value nor reason.", field=name)
        if quantity is not None and fields.an_object(quantity).get("code") != "mm[Hg]":
            raise Unreadable("unknown_unit", f"The profile wants {name} in mm[Hg].", field=name)


def _performer(resource: dict[str, Any]) -> None:
    performers = fields.a_list(resource.get("performer", []), name="performer")
    reference = performers[0].get("reference") if len(performers) == 1 and isinstance(performers[0], dict) else None
    if not isinstance(reference, str) or not (
        reference.startswith("Patient/") or "/Patient/" in reference or "urn:" in reference
    ):
        raise Unreadable("not_self_measured", "The profile wants one performer, the patient.", field="performer")
