"""Whom an incident touches, as a file: written out once it stands in the record who took it (REGULATORY 2.3 Art. 73).

Rules
 * Who may export the record may take it. Patients stand in it under the pseudonyms of the record.
 * The entry names the file by its digest and length.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.entries import pseudonym
from audit.services import append, keys
from governance.domain import BadInput, NotFound, Permission, Relation
from governance.incidents import IncidentClass, deadlines
from governance.models import Incident
from governance.permissions import check
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..selectors.affected import affected

_SITE = frozenset({Relation.SITE})
COLUMNS = ("patient", "recommendation", "opened_at", "state", "model", "decision", "decided_at", "decided_by")


@looking_wider(Wider.OVERSIGHT)
def export_incident(incident_id: UUID, form: str, *, by: Acting, now: datetime) -> bytes:
    """The incident with everything it touches, as `json` or `csv`. Raises BadInput and NotFound."""
    acted = by.under(check(Permission.EXPORT_AUDIT, by.standing, _SITE))
    if form not in ("json", "csv"):
        raise BadInput("An incident is exported as json or csv.", field="form")
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None:
        raise NotFound("There is no such incident.")
    rows = _rows(incident)
    data = _json(incident, rows) if form == "json" else _csv(rows)
    with transaction.atomic():
        said = {"what": "incident", "incident": str(incident.pk), "form": form, "rows": len(rows)}
        said |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        append(
            Event(
                type="export.handed_out",
                occurred_at=now,
                actor=acted.actor,
                object=ObjectRef("incident_export", str(incident.pk)),
                purpose=Purpose.AUDIT,
                payload=said,
            )
        )
    return data


def _rows(incident: Incident) -> list[dict[str, str]]:
    tenant = keys.tenant_key()
    return [
        {
            "patient": pseudonym(str(one.patient_id), tenant_key=tenant),
            "recommendation": str(one.loop_id),
            "opened_at": one.opened_at.isoformat(),
            "state": one.state,
            "model": one.model,
            "decision": one.decision,
            "decided_at": one.decided_at.isoformat() if one.decided_at else "",
            "decided_by": one.decided_by,
        }
        for one in affected(incident)
    ]


def _json(incident: Incident, rows: list[dict[str, str]]) -> bytes:
    last = incident.events.order_by("-seq")[:1].get()
    said = {
        "incident": str(incident.pk),
        "title": incident.title,
        "about": {"kind": incident.subject, "name": incident.name},
        "from": incident.happened_from.isoformat(),
        "until": incident.happened_until.isoformat(),
        "aware_at": incident.aware_at.isoformat(),
        "class": last.of,
        "state": last.state,
        "deadlines": [
            {"authority": d.clock.authority, "act": d.clock.act, "due_at": d.due_at.isoformat(), "mark": d.clock.mark}
            for d in deadlines(IncidentClass(last.of), aware_at=incident.aware_at)
        ],
        "touched": rows,
    }
    return json.dumps(said, indent=1, ensure_ascii=False).encode()


def _csv(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return out.getvalue().encode()


def _harmless(value: str) -> str:
    """A cell no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@") else value
