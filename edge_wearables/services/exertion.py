"""A reading taken during effort, or soon after it, is told so before it goes inward (HTN-02, CLINICAL 1.1 A11).

Rules
 * The samples are those the record holds for the patient, this batch's own among them. What arrives after the reading
   cannot tag it any more: rows only grow.
 * A tagged reading enters no average; the danger rules run on it as on any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from care_loops.alignment import align
from care_loops.domain.readings import Reading
from care_loops.pathways.hypertension.tables_readings import alignment_rule
from care_loops.selectors.activity import activity_around
from care_loops.services.take_in import Arrival


def tag_exertion(patient_id: UUID, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The arrivals in their order, with the flag where movement disturbed them."""
    rule = alignment_rule()
    times = [arrival.reading.taken_at for arrival in arrivals]
    activity = activity_around(patient_id, first=min(times), last=max(times), rule=rule) if times else ()
    if not activity:
        return list(arrivals)
    aligned = align([arrival.reading for arrival in arrivals], activity, (), rule=rule)
    disturbed = {(one.reading.reading_id, one.reading.taken_at): one.reading for one in aligned if one.exertion}
    return [_tagged(arrival, disturbed) for arrival in arrivals]


def _tagged(arrival: Arrival, disturbed: dict[tuple[str, datetime], Reading]) -> Arrival:
    found = disturbed.get((arrival.reading.reading_id, arrival.reading.taken_at))
    return arrival if found is None else replace(arrival, reading=replace(arrival.reading, flags=found.flags))
