"""Which reader reads what, who is whom, and under which identifier a resource is kept.

The rules
 * A resource is known by `Type/id`; without an id by its Bundle entry's `urn:uuid`; without either by its content.
 * A reference is looked up as written (`urn:uuid:…`, URL), by its last two parts (`Type/id`) and by identifier
   (`Patient?identifier=system|value`). What is not found is refused by name, never guessed.
 * Types outside `EVIDENCE` and `REFERRED` are not ours and are passed over in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from .documents import Found, Item, Json, dump
from .medications import drug, empty_list, medication
from .observations import observation
from .people import allergy, condition, encounter, patient
from .resources import Evidence, FhirDrug, FhirEncounter, FhirPatient
from .values import Context, reference_keys, text

OF_MEDICINES = frozenset({"MedicationRequest", "MedicationStatement", "List"})
EVIDENCE = frozenset({"Observation", "Condition", "AllergyIntolerance"}) | OF_MEDICINES
REFERRED = frozenset({"Patient", "Medication", "Encounter"})
_LONGEST_ID = 120


@dataclass(slots=True)
class Index:
    """What other resources refer to, by every key it may be referred to with. `patients` are by their source id."""

    patients: dict[str, FhirPatient] = field(default_factory=dict)
    patient_keys: dict[str, str] = field(default_factory=dict)
    drugs: dict[str, FhirDrug] = field(default_factory=dict)
    encounters: dict[str, FhirEncounter] = field(default_factory=dict)

    def patient_of(self, written: str) -> str | None:
        """Source id of the patient a reference means, if that patient is among those read."""
        return next((self.patient_keys[key] for key in reference_keys(written) if key in self.patient_keys), None)

    def drug_of(self, written: str) -> FhirDrug | None:
        """The Medication a reference means."""
        return next((self.drugs[key] for key in reference_keys(written) if key in self.drugs), None)

    def started(self, written: str) -> datetime | None:
        """When the encounter a reference means began."""
        met = next((self.encounters[key] for key in reference_keys(written) if key in self.encounters), None)
        return met.started.at if met and met.started else None


def index(items: Iterable[Item], context: Context) -> Index:
    """Read what others refer to: patients, medications, encounters. The first Patient of an id stands."""
    found = Index()
    for item in items:
        if isinstance(item, Found) and item.resource["resourceType"] in REFERRED:
            _add(found, item, context)
    return found


def _add(found: Index, item: Found, context: Context) -> None:
    key, aliases = source_id(item), _aliases(item)
    match item.resource["resourceType"]:
        case "Medication":
            found.drugs.update(dict.fromkeys(aliases, drug(item.resource, aliases)))
        case "Encounter":
            found.encounters.update(dict.fromkeys(aliases, encounter(item.resource, aliases, context)))
        case "Patient":
            who = patient(item.resource, key.removeprefix("Patient/"), aliases, context)
            found.patients.setdefault(who.source_id, who)
            for alias in who.aliases:
                found.patient_keys.setdefault(alias, who.source_id)


def evidence(item: Found, context: Context) -> Evidence | None:
    """What a resource says of a patient; `None` when it is not ours. Raises `Refused` by name."""
    match item.resource["resourceType"]:
        case "Observation":
            return observation(item.resource, source_id(item), context)
        case "MedicationRequest" | "MedicationStatement":
            return medication(item.resource, source_id(item), context)
        case "List":
            return empty_list(item.resource, source_id(item), context)
        case "Condition":
            return condition(item.resource, source_id(item), context)
        case "AllergyIntolerance":
            return allergy(item.resource, source_id(item), context)
    return None


def source_id(item: Found) -> str:
    """`Type/id`, the same whenever this resource comes."""
    kind = str(item.resource["resourceType"])[:60]
    said = text(item.resource, "id") or item.full_url.removeprefix("urn:uuid:")
    if not said:
        said = "sha256:" + content_digest(item.resource)
    elif len(said) > _LONGEST_ID:
        said = "sha256:" + hashlib.sha256(said.encode()).hexdigest()
    return f"{kind}/{said}"


def content_digest(resource: Json) -> str:
    """SHA-256 of a resource's content, independent of the order of its keys."""
    return hashlib.sha256(dump(resource)).hexdigest()


def _aliases(item: Found) -> tuple[str, ...]:
    short = reference_keys(item.full_url)[-1] if item.full_url else ""
    return tuple(dict.fromkeys(key for key in (source_id(item), item.full_url, short) if key))
