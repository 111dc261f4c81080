"""Ids of others in place of one's own: in the path, in the query, in the body, at random; nothing of theirs comes back.

Every patient's record carries a word of its own (`CANARIES`): in the name, in what they told, in why it was decided. An
answer that holds the word of a record its asker has no tie to is a leak; so is any row of that record that changed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from tests.access.cast import CANARIES, SIDES, Cast, Who
from tests.access.expecting import Asked, Cell, expected, knock
from tests.access.rows import KINDS, ROWS, Gate, Kind, Row
from tests.access.walking import Route, routes

BODY_NAMES = (
    "patient", "patient_id", "id", "loop", "loop_id", "recommendation", "alert", "reading", "subject", "account",
    "user", "source_id", "candidate_key", "signing", "on_behalf_of", "moved_to", "record", "of",
)  # fmt: skip
# The other ways a record is named: they say that it changed, whichever door it was changed by.
_TOUCHED = """
SELECT (SELECT count(*) FROM care_loops_bloodpressure WHERE patient_id = %(p)s),
       (SELECT count(*) FROM care_loops_symptom WHERE patient_id = %(p)s),
       (SELECT count(*) FROM care_loops_intakelog WHERE patient_id = %(p)s),
       (SELECT count(*) FROM care_loops_consent WHERE patient_id = %(p)s),
       (SELECT count(*) FROM care_loops_visitplan WHERE patient_id = %(p)s),
       (SELECT string_agg(state || version, ',' ORDER BY id) FROM care_loops_loop WHERE patient_id = %(p)s),
       (SELECT count(acknowledged_at) + count(disposed_at) FROM care_loops_alert WHERE patient_id = %(p)s)
"""


@dataclass
class Swaps:
    """What was tried, and what leaked."""

    tried: int = 0
    leaks: list[str] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)


def swap(cast: Cast, n: int, *, seed: int) -> Swaps:
    """Try `n` requests of the API with ids of others, drawn with this seed."""
    draw, done = random.Random(seed), Swaps()
    doors = [(route, ROWS[route.name]) for route in routes() if _of_the_api(route)]
    people = [who for who in cast.people if who.by in ("session", "token") and not who.one_factor]
    ids: dict[str, list[object]] = {side: [cast.patients[side].pk] for side in SIDES}
    for (kind, of), pk in cast.objects.items():
        if of in ids and _of_records(kind):
            ids[of].append(pk)
    before = {side: _touched(cast, side) for side in SIDES}
    for _ in range(n):
        route, row = draw.choice(doors)
        method = draw.choice([one for one in row.needs if one != "HEAD"])
        # Mostly people whom the door would open to what is their own: the id is then all that is wrong.
        near = [one for one in people if expected(Asked(route, row, method, one, "own")) is Cell.LET_IN]
        who = draw.choice(near if near and draw.random() < 0.8 else people)
        theirs = next(side for side in SIDES if side != who.side)
        where, sends = _message(draw, route, row, ids[theirs], cast, who)
        after: list[Any] = []
        answer = knock(cast, who, method, where, sends, look=lambda: after.append(_touched(cast, theirs)))  # noqa: B023
        done.tried += 1
        done.answered[answer.status_code] = done.answered.get(answer.status_code, 0) + 1
        said = f"{method} {where} {sends} by {who.name}: {answer.status_code}"
        if CANARIES[theirs] in _all(answer) or answer.status_code >= 500:
            done.leaks.append(said)
        if after and after[0] != before[theirs]:
            done.leaks.append(f"{said}, and their record changed")
    return done


def _of_the_api(route: Route) -> bool:
    row = ROWS.get(route.name)
    return row is not None and row.gate in (Gate.API, Gate.PHONE) and route.path.startswith("/api/")


def _of_records(kind: str) -> bool:
    return KINDS.get(kind) in (Kind.RECORD, Kind.PERSON) or kind in ("entry", "user", "any_record")


def _message(
    draw: random.Random, route: Route, row: Row, theirs: list[object], cast: Cast, who: Who
) -> tuple[str, dict[str, object]]:
    """Their ids somewhere: where one's own would stand, beside it, or in the body."""
    own = cast.object_id(row.of, who, "own") if row.of else ""
    in_path = draw.random() < 0.6
    where = route.at(draw.choice(theirs) if in_path else own)
    named = draw.choice((*["patient"] * 9, "record", "id", "loop", "ordering", "expand"))
    if not in_path or draw.random() < 0.5:
        record = theirs[0] if draw.random() < 0.5 else draw.choice(theirs)
        where += f"?{named}={record}"
    chosen = draw.sample(BODY_NAMES, draw.randrange(4))
    return where, {name: str(draw.choice(theirs)) for name in chosen}


def _touched(cast: Cast, side: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, {"p": cast.patients[side].pk})
        found: tuple[Any, ...] = cursor.fetchone()
        return found


def _all(answer: Any) -> str:
    """Everything that came back, headers too."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return (body.decode(errors="replace") + str(dict(answer.headers))).lower()
