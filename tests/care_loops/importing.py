"""What a test of an import asks of the record, and codes that it sends."""

from datetime import UTC, datetime

from care_loops.models import Patient
from care_loops.models.people import source_index
from care_loops.selectors.regimen import regimen_now
from tests.care_loops.fhir_cases import RXNORM

LISINOPRIL_10, LISINOPRIL_20 = (RXNORM, "314076"), (RXNORM, "314077")
NDC = ("http://hl7.org/fhir/sid/ndc", "51079030020")
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def pressures(counts):
    return tuple(counts["blood_pressure"].values())


def the_patient(key="p1"):
    return Patient.objects.get(source_index=source_index(key))


def regimen(key="p1"):
    return regimen_now(the_patient(key), now=LATER)
