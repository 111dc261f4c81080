"""G4 for device batches: a batch taken in with its Merkle root and its entry, beside the same insert without them.

Both insert the same readings the way `take_in` does, in one transaction; ours also spells every reading, hashes tiles
of 64 rows to a root, and appends the entry that carries it. Shown beside: the same rows by COPY, likewise without root.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.test.utils import override_settings

from audit.merkle import BATCH_TILE_ROWS, batch_root
from audit.selectors import payload_of
from care_loops.models import BloodPressure, Patient
from care_loops.selectors.batches import canonical_row
from care_loops.services.events import note
from governance.services import acting_device
from tests.benches.measuring import Clock, Goal, Means
from tests.benches.records import own_database
from tests.campaigns.ward import patient_of, the_site
from tests.factories import NOW

NAME = "G4_batches"
ROWS, TIMES = 1024, 3
_numbers = count()


@contextmanager
def prepared(_folder: Path) -> Iterator[Goal]:
    """The goal in a database of its own."""
    quick = override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
    with own_database(), quick:
        patient = patient_of(the_site())
        arms = {each.__name__.strip("_"): partial(_each, each, patient) for each in (_with_root, _without, _copied)}
        what = f"readings per second in batches of {ROWS:,}, root over tiles of {BATCH_TILE_ROWS} rows"
        gate = partial(_gate, patient)
        yield Goal(what, 0.85, Means.RATE_AT_LEAST, "with_root", "without", arms, gate, Clock.WALL, rounds=15)


def _each(act: object, patient: Patient) -> float:
    for _ in range(TIMES):
        act(patient)  # type: ignore[operator]
    return ROWS * TIMES


def _rows(patient: Patient, entry: UUID) -> list[BloodPressure]:
    batch, number = uuid4(), next(_numbers)
    return [
        BloodPressure(
            id=uuid4(), patient=patient, source_system="bench", source_id=f"{number}-{index}", received_at=NOW,
            taken_at=NOW - timedelta(minutes=index), zone="Europe/Madrid", systolic=Decimal(141), diastolic=Decimal(88),
            pulse=Decimal(71), absent_reason="", method="oscillometric", setting="home", position="sitting",
            status="final", device_validated=True, device="cuff-1", session="", flags=[], quarantined="",
            batch=batch, batch_index=index, entry=entry,
        )
        for index in range(ROWS)
    ]  # fmt: skip


def _entry(patient: Patient, root: str) -> UUID:
    batch = uuid4()
    said = {"count": ROWS, "root": root, "kind": "blood_pressure", "first": str(batch)}
    kind, by = "observation.batch_accepted", acting_device("cuff-1")
    return note(kind, of=("observation_batch", batch, 1), by=by, now=NOW, patient_id=patient.pk, payload=said).entry_id


def _with_root(patient: Patient) -> UUID:
    with transaction.atomic():
        rows = _rows(patient, patient.pk)
        entry = _entry(patient, batch_root(map(canonical_row, rows)).hex())
        for row in rows:
            row.entry = entry
        BloodPressure.objects.bulk_create(rows)
    return entry


_standing: dict[UUID, UUID] = {}


def _stands(patient: Patient) -> UUID:
    """An entry for rows that come without one of their own: the database asks every row for it."""
    if patient.pk not in _standing:
        with transaction.atomic():
            _standing[patient.pk] = _entry(patient, "00" * 32)
    return _standing[patient.pk]


def _without(patient: Patient) -> None:
    entry = _stands(patient)
    with transaction.atomic():
        BloodPressure.objects.bulk_create(_rows(patient, entry))


def _copied(patient: Patient) -> None:
    entry = _stands(patient)
    fields = list(BloodPressure._meta.concrete_fields)
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    with transaction.atomic(), connection.cursor() as cursor:
        rows = _rows(patient, entry)
        with cursor.copy(f"COPY {BloodPressure._meta.db_table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields])


def _gate(patient: Patient) -> None:
    """Every row is there under its entry, and the entry's root is that of the rows as stored."""
    entry = _with_root(patient)
    rows = BloodPressure.objects.filter(entry=entry).order_by("batch_index")
    assert len(rows) == ROWS
    assert (payload_of(entry) or {})["root"] == batch_root(map(canonical_row, rows)).hex()
    _copied(patient)
