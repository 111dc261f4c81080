"""Examples leave as a dataset: of whom agrees, under pseudonyms of the dataset's own, and each leaving is an entry.

Rules (SEC-01, SEC-02)
 * A row leaves for research only while its person agrees: they did when it arrived, and have not withdrawn since.
 * Whoever or whatever the rows name (people, readings, limits, staff) stands under a pseudonym: HMAC under a key of
   this site that is in no table and in no dataset. The same is the same within a dataset; the record has another.
 * There is no map. Who may ask has one pseudonym resolved, with a reason, and leaves an entry about that person.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.domain import Event, Job, ObjectRef, Purpose
from audit.services import append, personal
from governance.domain import BadInput, NotFound, Permission, Relation
from governance.permissions import check
from governance.services import Acting

from ..models import Example
from ..selectors import labelled_examples

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def pseudonym(pathway: str, identifier: str) -> str:
    """What stands in a dataset of this pathway for this identifier (32 hex digits)."""
    return personal.blind_index(f"dataset.{pathway}", identifier).hex()


def export_dataset(pathway: str, *, for_care: bool, now: datetime) -> Iterator[dict[str, Any]]:
    """The rows, oldest first, under pseudonyms; without `for_care` those of people who agree to research alone.

    That they were taken out, and how many, is recorded before the first of them leaves.
    """
    rows = [row for row in labelled_examples(pathway) if row["research_consent"] or for_care]
    with transaction.atomic():
        append(
            Event(
                type="export.made",
                occurred_at=now,
                actor=Job(name="export_examples", run=str(uuid.uuid4())),
                object=ObjectRef(type="dataset", id=pathway),
                purpose=Purpose.QUALITY if for_care else Purpose.RESEARCH,
                payload={"rows": len(rows), "for_care": for_care},
            )
        )
    for row in rows:
        plain = json.dumps(row, sort_keys=True)
        yield json.loads(_UUID.sub(lambda found: pseudonym(pathway, found[0]), plain))


def who_is(pathway: str, said: str, *, reason: str, by: Acting, now: datetime) -> str:
    """The subject behind a pseudonym of a dataset, for who may search the record and says why. It is recorded."""
    acted = by.under(check(Permission.SEARCH_RECORD, by.standing, frozenset({Relation.SITE})))
    if not reason.strip():
        raise BadInput("Say why this person has to be known.", field="reason")
    subjects = Example.objects.filter(pathway=pathway).values_list("subject", flat=True).distinct()
    found = next((each for each in subjects if pseudonym(pathway, each) == said), None)
    if found is None:
        raise NotFound("Nobody in this dataset has this pseudonym.")
    with transaction.atomic():
        append(
            Event(
                type="dataset.reidentified",
                occurred_at=now,
                actor=acted.actor,
                on_behalf_of=acted.on_behalf_of,
                object=ObjectRef(type="dataset", id=pathway),
                purpose=Purpose.AUDIT,
                subject=found,
                reason_code="asked",
                payload={"pseudonym": said, "reason": reason.strip()},
            )
        )
    return found
