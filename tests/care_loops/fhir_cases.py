"""FHIR resources for tests, written as a sender would write them, and files of them."""

import gzip
import json
from pathlib import Path

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def concept(system, code, **more):
    """A CodeableConcept with one coding."""
    return {"coding": [{"system": system, "code": code}], **more}


def patient(key="p1", **more):
    """A Patient."""
    return {
        "resourceType": "Patient",
        "id": key,
        "name": [{"use": "official", "family": "Example", "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1960-02-03",
        **more,
    }


def mmhg(value, **more):
    """A Quantity in mmHg."""
    return {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]", **more}


def component(code, quantity=None, absent=None, **more):
    """A component with a value, or with the reason for none."""
    said = {"valueQuantity": quantity} if quantity is not None else {}
    said |= {"dataAbsentReason": concept(ABSENT, absent)} if absent else {}
    return {"code": concept(LOINC, code), **said, **more}


def panel(
    key, systolic=None, diastolic=None, *, at="2026-03-01T08:00:00+01:00", who="Patient/p1", code="85354-9", **more
):
    """A blood pressure panel; a component may be a number, a Quantity, or text: the reason for its absence."""

    def part(loinc, value):
        if isinstance(value, str):
            return component(loinc, absent=value)
        return component(loinc, value if isinstance(value, dict) else mmhg(value))

    parts = [("8480-6", systolic), ("8462-4", diastolic)]
    said = {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "code": concept(LOINC, code),
        "subject": {"reference": who},
        "effectiveDateTime": at,
        "component": [part(loinc, value) for loinc, value in parts if value is not None],
    }
    return {name: value for name, value in (said | more).items() if value is not None}


def observation(key, code, quantity, *, at="2026-03-01T08:00:00+01:00", who="Patient/p1", **more):
    """An Observation of one value."""
    return {
        "resourceType": "Observation",
        "id": key,
        "status": "final",
        "code": concept(LOINC, code),
        "subject": {"reference": who},
        "effectiveDateTime": at,
        "valueQuantity": quantity,
        **more,
    }


def daily(amount, unit="mg", frequency=1, period=1, period_unit="d", **more):
    """A dosageInstruction."""
    dose = {"value": amount, "unit": unit, "system": UCUM, "code": unit} if unit else {"value": amount}
    repeat = {"frequency": frequency, "period": period, "periodUnit": period_unit}
    return [{"timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": dose}], **more}]


def order(key, *codings, status="active", at="2026-01-01T08:00:00+01:00", who="Patient/p1", **more):
    """A MedicationRequest."""
    said = {
        "resourceType": "MedicationRequest",
        "id": key,
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": s, "code": c} for s, c in codings]},
        "subject": {"reference": who},
        "authoredOn": at,
    }
    return {name: value for name, value in (said | more).items() if value is not None}


def condition(key, system, code, *, status="active", who="Patient/p1", onset="2026-01-01T08:00:00+01:00", **more):
    """A Condition."""
    said = {
        "resourceType": "Condition",
        "id": key,
        "code": concept(system, code),
        "subject": {"reference": who},
        "onsetDateTime": onset,
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", status)
        if status
        else None,
    }
    return {name: value for name, value in (said | more).items() if value is not None}


def bundle(*resources, kind="transaction"):
    """A Bundle, entries in the order given."""
    entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} if "id" in r else {"resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def write(folder: Path, name: str, document) -> Path:
    """A file of a document (JSON), of bytes, or of resources a line (a list)."""
    path = folder / name
    if isinstance(document, bytes):
        data = document
    elif isinstance(document, list):
        data = b"".join(json.dumps(each).encode() + b"\n" for each in document)
    else:
        data = json.dumps(document).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") and not data.startswith(b"\x1f\x8b") else data)
    return path
