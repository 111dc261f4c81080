"""Patients, their conditions and allergies, and when an encounter began.

The rules
 * A year or a month of birth is not a date of birth. Sex is FHIR's administrative gender, unknown where it is not said.
 * A record is synthetic when it says so: a test tag, or the identifier of a known generator.
 * A condition is active when its status says so, not active when it says otherwise or has abated, and unsaid else. One
   that was refuted or entered in error is refused by that name.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from ..domain.record import Sex
from .documents import Json
from .resources import FhirAllergy, FhirCondition, FhirEncounter, FhirPatient
from .values import (
    Context,
    Refused,
    child,
    children,
    codings,
    display_of,
    first_code,
    reference,
    text,
    when_or_none,
)

CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ACTIVE: Final = frozenset({"active", "recurrence", "relapse"})
VOID: Final = {"refuted": "refuted", "entered-in-error": "entered_in_error"}
SYNTHETIC_IDENTIFIERS: Final = ("https://github.com/synthetichealth/synthea",)
SYNTHETIC_TAGS: Final = ("HTEST",)


def patient(resource: Json, source_id: str, aliases: tuple[str, ...], context: Context) -> FhirPatient:
    """A Patient."""
    name = _name(resource)
    identifiers = list(children(resource, "identifier"))
    logical = tuple(
        f"Patient?identifier={text(i, 'system', limit=200)}|{text(i, 'value', limit=200)}"
        for i in identifiers
        if text(i, "value")
    )
    given = name.get("given")
    gender = text(resource, "gender")
    died = when_or_none(resource.get("deceasedDateTime"), context)
    return FhirPatient(
        source_id=source_id,
        aliases=(*aliases, *logical),
        given_name=text({"given": " ".join(map(str, given))}, "given", limit=120) if isinstance(given, list) else "",
        family_name=text(name, "family", limit=120) or (text(name, "text", limit=120) if not given else ""),
        born_on=_born_on(text(resource, "birthDate")),
        sex=Sex(gender) if gender in set(Sex) else Sex.UNKNOWN,
        died=died,
        dead=died is not None or "deceasedDateTime" in resource or resource.get("deceasedBoolean") is True,
        synthetic=any(text(i, "system") in SYNTHETIC_IDENTIFIERS for i in identifiers) or _is_test(resource),
    )


def condition(resource: Json, source_id: str, context: Context) -> FhirCondition:
    """A Condition. Raises `Refused` for a void one and for one without a code."""
    _refuse_void(resource)
    concept = child(resource, "code")
    status = first_code(child(resource, "clinicalStatus"))
    period = child(resource, "onsetPeriod")
    abated = when_or_none(resource.get("abatementDateTime") or child(resource, "abatementPeriod").get("end"), context)
    gone = abated is not None or any(key.startswith("abatement") for key in resource)
    return FhirCondition(
        source_id=source_id,
        patient=reference(resource, "subject"),
        codings=_coded(concept),
        display=display_of(concept),
        active=status in ACTIVE if status else (False if gone else None),
        onset=when_or_none(resource.get("onsetDateTime") or period.get("start"), context),
        abated=abated,
        recorded=when_or_none(resource.get("recordedDate"), context),
        encounter=reference(resource, "encounter"),
    )


def allergy(resource: Json, source_id: str, context: Context) -> FhirAllergy:
    """An AllergyIntolerance. Without a status it counts as active: what may harm is not assumed away."""
    _refuse_void(resource)
    concept = child(resource, "code")
    status = first_code(child(resource, "clinicalStatus"))
    return FhirAllergy(
        source_id=source_id,
        patient=reference(resource, "patient"),
        codings=_coded(concept),
        display=display_of(concept),
        active=not status or status in ACTIVE,
        recorded=when_or_none(resource.get("recordedDate"), context),
    )


def encounter(resource: Json, aliases: tuple[str, ...], context: Context) -> FhirEncounter:
    """An Encounter: when it began."""
    return FhirEncounter(aliases=aliases, started=when_or_none(child(resource, "period").get("start"), context))


def _coded(concept: Json) -> tuple[tuple[str, str], ...]:
    found = codings(concept)
    if not found:
        raise Refused("no_code", display_of(concept))
    return found


def _refuse_void(resource: Json) -> None:
    status = first_code(child(resource, "verificationStatus"))
    if status in VOID:
        raise Refused(VOID[status])


def _name(resource: Json) -> Json:
    names = list(children(resource, "name"))
    official = (n for n in names if text(n, "use") == "official")
    return next(official, names[0] if names else {})


def _born_on(written: str) -> date | None:
    try:
        return date.fromisoformat(written) if len(written) == 10 else None
    except ValueError:
        return None


def _is_test(resource: Json) -> bool:
    return any(text(tag, "code") in SYNTHETIC_TAGS for tag in children(child(resource, "meta"), "tag"))
