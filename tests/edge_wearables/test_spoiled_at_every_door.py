"""At every door: a dangerous reading of which any other single part is spoiled still alarms (N4).

The reading goes through the real door into the real database. A part is spoiled with what `hypothesis` makes of it;
every part of every door is reached, and refused, or the test fails.
"""

import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from functools import partial
from itertools import count

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from care_loops.domain.units import MmHg
from care_loops.models import AlertEvent
from edge_wearables.domain import Bad
from edge_wearables.formats import read_one
from edge_wearables.services.files import VendorFile, ingest_file
from tests.care_loops.api.test_reports import reading as phone_reading
from tests.care_loops.api.world import World
from tests.care_loops.conftest import imported  # noqa: F401
from tests.care_loops.fhir_cases import bundle, panel, patient
from tests.edge_wearables.door_documents import dated, fhir_panel, omh_pressure, omron_row
from tests.edge_wearables.entrance import JOB, Sender, a_sender, pressure

pytestmark = pytest.mark.django_db

#: What no field of any door takes for a value of its own.
junk = st.one_of(
    st.text(alphabet="bcghjkqxyz?#", min_size=1, max_size=8),
    st.sampled_from(["", "NaN", "--", True, [], {}, [None], {"x": 1}, -1e9, "1e5", "\u00e9", 10**12]),
)
DANGEROUS = {"crisis": lambda n: (210 + n % 60, 95), "low": lambda n: (89 - n % 20, 61)}
Spoil = Callable[[dict, object], object]
Door = Callable[[list[dict]], list[bool]]


def at(*path: object) -> Spoil:
    """Put the junk under a path of keys and places."""

    def spoil(document: dict, value: object) -> None:
        held = document
        for step in path[:-1]:
            held = held[step]
        held[path[-1]] = value

    return spoil


OWN = {name: at(name) for name in ("pulse", "taken_at", "zone", "position", "method", "setting", "flags", "kind")}
OWN |= {"another field": at("battery"), "session": at("session")}
FHIR = {
    "status": at("status"),
    "time": at("effectiveDateTime"),
    "code": at("code"),
    "type": at("resourceType"),
    "lower value": at("component", 1, "valueQuantity", "value"),
    "lower unit": at("component", 1, "valueQuantity", "code"),
    "lower system": at("component", 1, "valueQuantity", "system"),
    "lower quantity": at("component", 1, "valueQuantity"),
    "a component": lambda document, value: document["component"].append(value),
}
PROFILE = FHIR | {"performer": at("performer"), "issued": at("issued")}
OMH = {
    "time": at("effective_time_frame"),
    "instant": at("effective_time_frame", "date_time"),
    "lower value": at("diastolic_blood_pressure", "value"),
    "lower unit": at("diastolic_blood_pressure", "unit"),
    "posture": at("body_posture"),
    "place": at("measurement_location"),
    "notes": at("user_notes"),
}
OMRON = {"pulse": at("pulse"), "lower": at("lower"), "date": at("date"), "a cell": at("more")}
PHONE = {
    name: at(name)
    for name in (
        *("source_id", "taken_at", "zone", "diastolic", "pulse", "method", "setting", "position", "device_validated"),
        *("session", "flags", "extra"),
    )
}
IMPORT = {"time": at("effectiveDateTime")}


class Doors:
    """Every door, each a function from documents to which of them were refused."""

    def __init__(self, run: Callable[..., dict]) -> None:
        self.world, self.imported = World(), run
        self.sender: Sender = a_sender(self.world.patient)
        self.numbers, self.rounds = count(1), count(1)

    def batch(self, name: str, documents: list[dict]) -> list[bool]:
        """All in one signed message, as devices send them."""
        seqs = [next(self.numbers) for _ in documents]
        entries = [
            {**document, "seq": seq} if name == "clinaiops/readings/v1" else {"seq": seq, "document": document}
            for seq, document in zip(seqs, documents, strict=True)
        ]
        body = json.dumps({"format": name, "readings": entries}).encode()
        answer = self.sender.post(*self.sender.message(entries, body=body))
        assert answer.status_code == 200, answer.content
        refused = {one["seq"] for one in answer.json()["rejected"]}
        return [seq in refused for seq in seqs]

    def omron(self, rows: list[dict]) -> list[bool]:
        """Each row in a file of its own."""
        return [self._row(cells) for cells in rows]

    def _row(self, cells: dict) -> bool:
        said = [str(cells[name]).replace(",", ";").replace("\n", " ") for name in cells if name != "date"]
        row = omron_row(*said, date=str(cells.get("date", "")).replace(",", ";"))
        content = f"Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm)\n{row}"
        file = VendorFile(content.encode(), "omron_csv", zone="UTC")
        done = ingest_file(file, patient_id=self.world.patient.pk, by=JOB, now=timezone.now())
        return bool(done.readings["rejected"])

    def phone(self, documents: list[dict]) -> list[bool]:
        """One request each, each under a name of its own."""
        found = []
        for document in documents:
            if document["source_id"] == "p":
                document["source_id"] = f"p-{next(self.numbers)}"
            answer = self.world.marys.post("me/readings", document)
            assert answer.status_code in (201, 400), answer.content
            found.append(answer.status_code == 400)
        return found

    def fhir_import(self, documents: list[dict]) -> list[bool]:
        """One file."""
        done = self.imported(bundle(patient(), *documents), now="2026-03-01T09:00:00Z")
        return [bool(done["refused"])] * len(documents)

    def all(self, upper: int, lower: int) -> list[tuple[str, dict, dict[str, Spoil], Door]]:
        """Name, a valid document, how it can be spoiled, and the door."""
        number = next(self.rounds)
        observed = dated(fhir_panel(upper, lower))
        own = pressure(number, ago=5, systolic=upper, diastolic=lower)
        mobile = dated(omh_pressure(upper, lower))
        row = {"upper": upper, "lower": lower, "pulse": 60 + number % 40}
        phone = phone_reading(upper, lower, source_id="p", pulse=70)
        return [
            ("own", own, OWN, partial(self.batch, "clinaiops/readings/v1")),
            ("fhir", observed, FHIR, partial(self.batch, "fhir")),
            ("hl7_smbp", observed, PROFILE, partial(self.batch, "hl7_smbp")),
            ("open_mhealth", mobile, OMH, partial(self.batch, "open_mhealth")),
            ("omron", row, OMRON, self.omron),
            ("phone", phone, PHONE, self.phone),
            ("import", panel(f"o{number}", upper, lower), IMPORT, self.fhir_import),
        ]


def test_a_dangerous_reading_of_which_any_other_part_is_spoiled_alarms_at_every_door(imported):  # noqa: F811
    doors, refused, tried = Doors(imported), Counter(), Counter()

    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.sampled_from(sorted(DANGEROUS)), junk, junk)
    @example("crisis", [None], [None])
    @example("low", "?", "?")
    def alarms(kind: str, first: object, second: object) -> None:
        for name, valid, spoils, door in doors.all(*DANGEROUS[kind](next(doors.rounds))):
            documents = []
            for place, spoil in enumerate(spoils.values()):
                documents.append(deepcopy(valid))
                spoil(documents[-1], first if place % 2 else second)
            before = AlertEvent.objects.filter(alert__kind=kind).count()
            for part, is_refused in zip(spoils, door(documents), strict=True):
                tried[name, part] += 1
                refused[name, part] += is_refused
            after = AlertEvent.objects.filter(alert__kind=kind).count()
            assert after - before == len(spoils), (name, documents)  # one for each: none was silent

    alarms()
    spoiled = {(name, part) for name, _, spoils, _ in doors.all(210, 125) for part in spoils}
    assert set(tried) == spoiled
    never = {one for one in spoiled if not refused[one]}
    assert never == set(), f"never refused: {never}; tried {dict(tried)}"


PARSED = {"clinaiops/readings/v1": OWN, "fhir": FHIR, "hl7_smbp": PROFILE, "open_mhealth": OMH}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(PARSED)), st.sampled_from(sorted(DANGEROUS)), junk, st.data())
def test_what_a_reader_refuses_keeps_the_part_that_is_dangerous(name, kind, value, data):
    upper, lower = DANGEROUS[kind](0)
    spoil = PARSED[name][data.draw(st.sampled_from(sorted(PARSED[name])))]
    document = {
        "clinaiops/readings/v1": lambda: {k: v for k, v in pressure(1, systolic=upper).items() if k != "seq"},
        "open_mhealth": lambda: dated(omh_pressure(upper, lower)),
    }.get(name, lambda: dated(fhir_panel(upper, lower)))()
    document = as_read(document)
    spoil(document, as_read(value))
    item = read_one(name, document if name == "clinaiops/readings/v1" else {"document": document}, zone="UTC")
    values = item.parts.systolic if isinstance(item, Bad) else (item.systolic,)
    assert MmHg(Decimal(upper)) in values


def as_read(document: object) -> object:
    """As strict JSON reads it: fractions are decimals."""
    return json.loads(json.dumps(document), parse_float=Decimal)


def test_a_valid_reading_is_taken_at_every_door(imported):  # noqa: F811
    doors = Doors(imported)
    for name, valid, _, door in doors.all(128, 82):
        assert door([valid]) == [False], name
    assert not AlertEvent.objects.exists()
