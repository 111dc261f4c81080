"""How far the record's witnesses are: what they have cosigned, since when they are behind, and what follows from it.

The rules (SECURITY 3.2, degrade rules)
 * Covered is what lies under a checkpoint whose stored cosignatures meet the quorum of the policy file (setting
   AUDIT_WITNESS_POLICY). Ages are told by the database's clock, as entries are, unless a moment is handed in.
 * An entry uncovered for more than 60 s: the witnesses are behind, and pages say so. For more than 15 minutes: the
   evidence is stale and no model is released. Clinical decisions go on, marked as not yet witnessed.
 * With no witness configured the state is `none`, and said to be.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from audit import notes, witness_policy
from audit.notes import WitnessKey
from audit.witness_policy import Policy

BEHIND_AFTER = timedelta(seconds=60)
STALE_AFTER = timedelta(minutes=15)
SIZES_LOOKED_AT = 200
NONE_ASKED = "none asked for"


class WitnessStanding(enum.StrEnum):
    """How the witnesses stand to the log."""

    NONE = "none"
    CURRENT = "current"
    BEHIND = "behind"
    STALE = "stale"


class Coverage(enum.StrEnum):
    """How far one entry is: witnessed, signed by the log alone, numbered, or still pending."""

    WITNESSED = "witnessed"
    SIGNED = "signed"
    NUMBERED = "numbered"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class WitnessState:
    """`covered_size` entries meet the quorum since `covered_at`; `behind_since` is when the oldest other one was
    written (None when there is none); `quorum_text` says who cosigned the newest checkpoint: "2 of 3".
    """

    state: WitnessStanding
    covered_size: int
    covered_at: datetime | None
    quorum_text: str
    behind_since: datetime | None


def policy_here() -> Policy | None:
    """The policy this installation works by, or None where no witness is asked for.

    Raises OSError or PolicyInvalid when the file named in the settings is not there or is no policy.
    """
    named = getattr(settings, "AUDIT_WITNESS_POLICY", "")
    if not named or (getattr(settings, "AUDIT_WITNESS_POLICY_OURS", False) and not Path(named).exists()):
        return None
    path = Path(named)
    found = path.stat()
    policy = _read(path, found.st_mtime_ns, found.st_size)
    return policy if policy.quorum is not None else None


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _size: int) -> Policy:
    return witness_policy.parse(path.read_bytes())


_WAITING = """
SELECT (SELECT at FROM audit_entry WHERE position >= %s ORDER BY position LIMIT 1),
       (SELECT min(entry_id::text) FROM audit_pending), clock_timestamp()
"""


def witness_state(now: datetime | None = None, *, using: str = DEFAULT_DB_ALIAS) -> WitnessState:
    """The state as of `now`; without it, as of the database's clock."""
    policy = policy_here()
    if policy is None:
        return WitnessState(WitnessStanding.NONE, 0, None, NONE_ASKED, None)
    size, at, text = _covered(policy, using)
    with connections[using].cursor() as cursor:
        cursor.execute(_WAITING, [size])
        numbered, pending, clock = cursor.fetchone()
    waiting = min(filter(None, (numbered, _written_at(pending))), default=None)
    return WitnessState(_standing(waiting, now or clock), size, at, text, waiting)


def _written_at(entry_id: str | None) -> datetime | None:
    """An entry's id begins with the milliseconds of the database's clock at which it was written."""
    return datetime.fromtimestamp((UUID(entry_id).int >> 80) / 1000, tz=UTC) if entry_id else None


def _standing(waiting: datetime | None, now: datetime) -> WitnessStanding:
    if waiting is None or now - waiting <= BEHIND_AFTER:
        return WitnessStanding.CURRENT
    return WitnessStanding.BEHIND if now - waiting <= STALE_AFTER else WitnessStanding.STALE


_LINES = "SELECT size, line, at FROM audit_cosignature ORDER BY size DESC LIMIT %s"


def _covered(policy: Policy, using: str) -> tuple[int, datetime | None, str]:
    """The largest size that meets the quorum, since when, and how many of those asked cosigned the newest one."""
    keys = {(each.key.name, each.key.key_id): each.key for each in policy.asked()}
    text = f"0 of {len(keys)}"
    with connections[using].cursor() as cursor:
        cursor.execute(_LINES, [SIZES_LOOKED_AT * max(1, len(keys))])
        rows = cursor.fetchall()
    for number, (size, found) in enumerate(groupby(rows, key=itemgetter(0))):
        held = list(found)
        quorum = witness_policy.judged(dict(_times(keys, (bytes(line) for _, line, _ in held))), policy)
        if number == 0:
            text = quorum.text
        if quorum.met:
            return size, max(at for _, _, at in held), quorum.text if number == 0 else text
    return 0, None, text


def _times(keys: Mapping[tuple[str, bytes], WitnessKey], lines: Iterable[bytes]) -> Iterator[tuple[WitnessKey, int]]:
    """The asked witnesses' times from their stored lines, which were verified before they were stored."""
    for line in lines:
        try:
            found = notes.parse(b"-\n\n" + line).signatures[0]
        except notes.NoteInvalid:
            continue
        if (key := keys.get((found.name, found.key_id))) is not None:
            yield key, notes.cosigned_at(found.signature)


def covered_size(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """The largest size whose stored cosignatures meet the quorum; 0 when there is none, or no witness is asked."""
    policy = policy_here()
    return _covered(policy, using)[0] if policy is not None else 0


def coverage(entry_ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, Coverage]:
    """How far each of these entries is; one that is in no table counts as pending."""
    asked, covered = list(entry_ids), covered_size(using=using)
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT entry_id, position, (SELECT coalesce(max(size), 0) FROM audit_checkpoint) FROM ("
            " SELECT entry_id, position FROM audit_entry WHERE entry_id = ANY(%s)"
            " UNION ALL SELECT entry_id, position FROM audit_detached WHERE entry_id = ANY(%s)) numbered",
            [asked, asked],
        )
        found = {
            entry_id: Coverage.WITNESSED
            if position < covered
            else (Coverage.SIGNED if position < signed else Coverage.NUMBERED)
            for entry_id, position, signed in cursor.fetchall()
        }
    return {entry_id: found.get(entry_id, Coverage.PENDING) for entry_id in asked}


def releases_may_go_on(now: datetime | None = None, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a model may be released: not while the evidence is stale, nor while the policy file cannot be read."""
    try:
        return witness_state(now, using=using).state is not WitnessStanding.STALE
    except (OSError, witness_policy.PolicyInvalid):
        return False
