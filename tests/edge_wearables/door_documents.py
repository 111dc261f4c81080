"""Documents as devices and people send them at every door, valid unless bent."""

import json
from datetime import timedelta

from django.utils import timezone

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
PANEL, SYSTOLIC, DIASTOLIC, RATE = "85354-9", "8480-6", "8462-4", "8867-4"


def as_document(name: str, document: dict, *, seq: int = 1) -> bytes:
    """The body of a batch that brings one document; times that are callable are asked now."""
    whole = {"format": name, "readings": [{"seq": seq, "document": dated(document)}]}
    return json.dumps(whole).encode()


def dated(document: dict) -> dict:
    """The document with the times of this moment."""
    return {key: value() if callable(value) else value for key, value in document.items() if value is not None}


def recently() -> str:
    """Five minutes ago, with its offset."""
    return (timezone.now() - timedelta(minutes=5)).replace(microsecond=0).isoformat()


def fhir_component(code: str, value: object, unit: str = "mm[Hg]", /, **more: object) -> dict:
    """A component with a Quantity."""
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit} | more
    return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}


def fhir_rate(value: object, /, **more: object) -> dict:
    """The component of a heart rate."""
    return fhir_component(RATE, value, "/min", **more)


def fhir_panel(
    upper: object,
    lower: object,
    *,
    twice: object = None,
    systolic: dict | None = None,
    diastolic: dict | None = None,
    **more: object,
) -> dict:
    """A panel as HL7's profile of self-measured pressure wants it; `systolic`, `diastolic` bend their Quantity."""
    parts = [
        fhir_component(SYSTOLIC, upper, **(systolic or {})),
        fhir_component(DIASTOLIC, lower, **(diastolic or {})),
    ]
    parts += [fhir_component(SYSTOLIC, twice)] if twice is not None else []
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": PANEL}]},
        "effectiveDateTime": recently,
        "issued": recently,
        "performer": [{"reference": "Patient/1"}],
        "component": parts,
    } | more


smbp = fhir_panel


def omh_pressure(systolic: object, diastolic: object) -> dict:
    """An Open mHealth blood pressure."""
    return {
        "systolic_blood_pressure": {"unit": "mmHg", "value": systolic},
        "diastolic_blood_pressure": {"unit": "mmHg", "value": diastolic},
        "effective_time_frame": lambda: {"date_time": recently()},
    }


def omron_row(*cells: str, date: str = "") -> str:
    """A row of an Omron export, taken now."""
    now = timezone.now()
    return ",".join([date or now.strftime("%b %d %Y"), now.strftime("%H:%M"), *cells])
