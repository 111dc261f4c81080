"""Second reviews: a seed is recorded, decisions are taken, some are drawn by it, another clinician reads them blind.

Rules (CLI-15, CLINICAL 4.3, PEERS 0 item 5)
 * The next seed is recorded in the moment of a draw, so it stands before the decisions that it will draw from. The draw
   records its seed, its rules, and a digest of the decisions it drew from: anybody with the record can draw again.
 * Who reads may read the patient's record, may decide, and did not decide this. The first decision is not shown before
   the second is recorded; then they agree, disagree with a coded reason, or raise a concern.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from audit.domain import Purpose
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Refusal
from governance.findings import About, Severity
from governance.services import Acting
from governance.services.findings import Seen, raise_finding
from governance.suspension import Scope

from ..domain.loops import DecisionKind
from ..models import Alert, Decision, Loop, ReviewDraw, ReviewSeed, SecondReading, SecondReview, SecondVerdict
from ..models.reviews import VERDICTS
from ..pathways.hypertension.tables_review import sampling_rules
from ..sampling import Considered, Mark, SamplingRules, considered, drawn, population_digest
from ..selectors.access import NOBODY, role_for
from .decide import REASONS
from .events import note

CONCERNS = ("danger_missed", "limit_ignored", "evidence_not_opened", "wrong_change", "should_have_waited", "other")
_DANGER = ("critical", "urgent")


class AlreadyRead(Refusal):
    """This decision was read a second time already, or this reading already has its verdict."""

    code = "already_reviewed"


def set_seed(*, by: Acting, now: datetime) -> ReviewSeed:
    """Record the seed of the next draw, when none waits; the one that waits."""
    with transaction.atomic():
        waiting = ReviewSeed.objects.filter(draw__isnull=True).order_by("entry").first()
        return waiting or _new_seed(by, now)


def _new_seed(by: Acting, now: datetime) -> ReviewSeed:
    seed, rules, key = secrets.token_hex(32), sampling_rules().version, uuid4()
    said = {"seed": seed, "rules": rules}
    of = ("review_seed", key, 1)
    entry = note("review.seeded", of=of, by=by, now=now, payload=said, purpose=Purpose.QUALITY).entry_id
    return ReviewSeed.objects.create(id=key, seed=seed, rules=rules, made_at=now, entry=entry)


def draw_reviews(*, by: Acting, now: datetime) -> ReviewDraw | None:
    """Draw from the decisions taken since the first seed that took part in no draw yet; set the next seed.

    Without a seed one is set and nothing is drawn; without a decision nothing is drawn and the seed goes on waiting.
    """
    rules = sampling_rules()
    with transaction.atomic():
        seed = ReviewSeed.objects.filter(draw__isnull=True).order_by("entry").first()
        if seed is None:
            _new_seed(by, now)
            return None
        if not (found := _population(rules)):
            return None
        chosen = drawn(bytes.fromhex(seed.seed), found.values(), rules)
        made = _new_draw(seed, found, chosen, by=by, now=now)
        _new_seed(by, now)
    return made


def _population(rules: SamplingRules) -> dict[UUID, Considered]:
    """The decisions that take part, each with its tickets. An entry's id begins with the time it was recorded."""
    first = ReviewSeed.objects.order_by("entry").values_list("entry", flat=True).first()
    rows = Decision.objects.filter(second_review__isnull=True, entry__gt=first).select_related("loop")
    return {row.pk: considered(str(row.pk), _marks(row, rules), rules) for row in rows}


def _marks(row: Decision, rules: SamplingRules) -> list[Mark]:
    outcome = json.loads(row.loop.outcome)
    days = timedelta(days=rules.danger_days)
    alerts = Alert.objects.filter(
        patient_id=row.loop.patient_id,
        severity__in=_DANGER,
        raised_at__lte=row.decided_at,
        raised_at__gt=row.decided_at - days,
    )
    held = {
        Mark.CLINICIAN_DECIDES: row.loop.tier == "clinician_decides",
        Mark.DANGER: alerts.exists(),
        Mark.OVERRIDE: row.kind != DecisionKind.APPROVE.value,
        Mark.UNCERTAIN: bool((outcome.get("prediction") or {}).get("uncertain")),
        Mark.QUICK: row.seconds_to_decide < rules.quick_seconds,
    }
    return [mark for mark, holds in held.items() if holds]


def _new_draw(
    seed: ReviewSeed, found: dict[UUID, Considered], chosen: frozenset[str], *, by: Acting, now: datetime
) -> ReviewDraw:
    key, digest = uuid4(), population_digest(found.values())
    said = {
        "seed": seed.seed,
        "rules": sampling_rules().version,
        "population": len(found),
        "population_sha256": digest,
        "drawn": sorted(chosen),
        "tickets": {str(decision): each.tickets for decision, each in sorted(found.items())},
    }
    of = ("review_draw", key, 1)
    entry = note("review.drawn", of=of, by=by, now=now, payload=said, cause=seed.entry, purpose=Purpose.QUALITY)
    made = ReviewDraw.objects.create(
        id=key,
        seed=seed,
        population=len(found),
        population_sha256=digest,
        drawn=len(chosen),
        drawn_at=now,
        entry=entry.entry_id,
    )
    deciders = dict(Decision.objects.filter(pk__in=found).values_list("pk", "decided_by_id"))
    SecondReview.objects.bulk_create(
        SecondReview(
            draw=made,
            decision_id=decision,
            decided_by_id=deciders[decision],
            marks=[mark.value for mark in each.marks],
            tickets=each.tickets,
            drawn=str(decision) in chosen,
            entry=entry.entry_id,
        )
        for decision, each in found.items()
    )
    return made


# --- reading ----------------------------------------------------------------------------------------------------------


def review_for(review_id: UUID, *, by: Acting, now: datetime) -> SecondReview:
    """A drawn decision that this person may read a second time. Raises NotFound, and NotAllowed to who decided it."""
    found = SecondReview.objects.filter(pk=review_id, drawn=True).select_related("decision__loop__patient").first()
    if found is None:
        raise NotFound(NOBODY)
    try:
        role_for(by, found.decision.loop.patient, Permission.SECOND_REVIEW, now=now)
    except NotAllowed as refusal:
        raise NotFound(NOBODY) from refusal
    if found.decided_by_id == by.person().pk:
        raise NotAllowed("You decided this yourself: another clinician reads it.", missing="another_person")
    return found


def read_again(
    review_id: UUID, *, kind: DecisionKind, reason_code: str, free_text: str, by: Acting, now: datetime
) -> SecondReading:
    """Record what this person would have decided. Raises as `review_for`, AlreadyRead, BadInput."""
    _check_reason(reason_code, free_text, REASONS)
    with _once(), transaction.atomic():
        review = review_for(review_id, by=by, now=now)
        if SecondReading.objects.filter(review=review).exists():
            raise AlreadyRead("Somebody has read this decision a second time already.")
        loop, key = review.decision.loop, uuid4()
        said = {"loop": str(loop.pk), "kind": kind.value, "reason_code": reason_code, "free_text": free_text}
        role = role_for(by, loop.patient, Permission.SECOND_REVIEW, now=now)
        entry = note(
            "review.read",
            of=("second_reading", key, 1),
            by=by.under(role),
            now=now,
            patient_id=loop.patient_id,
            payload=said,
            purpose=Purpose.QUALITY,
        )
        return SecondReading.objects.create(
            id=key,
            review=review,
            decided_by_id=review.decided_by_id,
            reader=by.person(),
            kind=kind.value,
            reason_code=reason_code,
            free_text=free_text,
            read_at=now,
            entry=entry.entry_id,
        )


def conclude(
    review_id: UUID, *, verdict: str, reason_code: str, free_text: str, by: Acting, now: datetime
) -> SecondVerdict:
    """What the second reader says once they have seen the first decision. Raises as `review_for`, AlreadyRead."""
    if verdict not in VERDICTS:
        raise BadInput("Choose whether you agree.", field="verdict")
    if verdict != "agree":
        _check_reason(reason_code, free_text, CONCERNS)
    with _once(), transaction.atomic():
        review = review_for(review_id, by=by, now=now)
        reading = SecondReading.objects.filter(review=review, reader=by.person()).first()
        if reading is None:
            raise NotAllowed("Record your own reading first.", missing="reading")
        if SecondVerdict.objects.filter(reading=reading).exists():
            raise AlreadyRead("This review is concluded.")
        key, loop = uuid4(), review.decision.loop
        if verdict == "concern":
            _found(loop, reason_code, by=by, now=now)
        said = {"loop": str(loop.pk), "verdict": verdict, "reason_code": reason_code, "free_text": free_text}
        role = role_for(by, loop.patient, Permission.SECOND_REVIEW, now=now)
        entry = note(
            "review.concluded",
            of=("second_verdict", key, 1),
            by=by.under(role),
            now=now,
            patient_id=loop.patient_id,
            payload=said,
            cause=reading.entry,
            purpose=Purpose.QUALITY,
        )
        return SecondVerdict.objects.create(
            id=key,
            reading=reading,
            verdict=verdict,
            reason_code="" if verdict == "agree" else reason_code,
            free_text=free_text,
            said_at=now,
            entry=entry.entry_id,
        )


def _found(loop: Loop, reason_code: str, *, by: Acting, now: datetime) -> None:
    """A concern is a finding about the model that proposed, or about how we work where none did."""
    model = f"{loop.model_name}@{loop.model_version}" if loop.model_name else ""
    seen = Seen(
        cause=f"review_{reason_code}",
        subject=(Scope.MODEL if model else About.PROCESS).value,
        name=model,
        severity=Severity.MAJOR,
        title=f"A second reader is concerned: {reason_code.replace('_', ' ')}",
        evidence_kind="recommendation",
        evidence=str(loop.pk),
    )
    raise_finding(seen, by=by, now=now)


@contextmanager
def _once() -> Iterator[None]:
    """Of two at the same moment the database lets one in; the other is told."""
    try:
        yield
    except IntegrityError as taken:
        raise AlreadyRead("Somebody has just recorded the same.") from taken


def _check_reason(reason_code: str, free_text: str, known: tuple[str, ...]) -> None:
    if reason_code not in known:
        raise BadInput("Choose a reason from the list.", field="reason_code", known=list(known))
    if reason_code == "other" and not free_text.strip():
        raise BadInput("Say in words what the other reason is.", field="free_text")
