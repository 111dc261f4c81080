"""What became known after a change was signed, and is never given to this person: it is held, and said by name.

Rules (CLINICAL 1.7; 1.3 C13)
 * A clinician's own order is stopped by no lock of a danger. What no order could have overridden when it was signed
   (a RAS blocker in pregnancy, an ACE inhibitor after angio-oedema) holds back its delivery and the patient's yes too.
 * A potassium over a row's limit that did not speak at the signature does the same.
 * Held is not taken back: it stands on the worklist, with the row that speaks, until a clinician acts on it. What
   reduces or stops is never held (N3).
"""

from __future__ import annotations

from datetime import datetime

from governance.services import Acting

from ..contraindications import Contraindication, Predicate, check
from ..domain.alerts import AlertKind, AlertSeverity, Finding
from ..domain.changes import Change, Spoken
from ..domain.evidence import Outcome, candidate_key
from ..domain.loops import LoopState
from ..domain.record import LabKind
from ..freeze import thaw
from ..models import Alert, Loop
from ..pathways.hypertension.rules import rules, rules_under, tables
from ..recommend import look
from ..selectors.evidence import assemble
from ..selectors.record import record_ids, whole
from .alerts import raise_findings

ON_ITS_WAY = (LoopState.APPROVED.value, LoopState.MODIFIED.value, LoopState.DELIVERED.value)


def never_overridden() -> frozenset[str]:
    """Rows that no order overrides: a class never given to this person (CLINICAL 1.7: pregnancy, angio-oedema)."""
    return frozenset(row.row_id for row in _rows() if row.patient_path_never and row.classes)


def spoken_since(loop: Loop, change: Change, *, now: datetime) -> tuple[Spoken, ...]:
    """What holds a decided change back that has not been begun. Nothing for a change that nobody decided."""
    if loop.state not in ON_ITS_WAY or not change.intensifies:
        return ()
    evidence = assemble(whole(loop.patient), pathway=loop.pathway, now=now, tables=tables(), without=loop)
    seen = look(evidence, rules_under(evidence.policies))
    holding = never_overridden() | (_potassium() - _signed_over(loop, change))
    spoken = check(change, seen.situation, seen.rules.rulebook.contraindications)
    return tuple(said for said in spoken if said.rule in holding)


def bring_up(loop: Loop, spoken: tuple[Spoken, ...], *, by: Acting, now: datetime) -> None:
    """Put what holds a change back on the worklist, by the name of its row; what stands there is not doubled."""
    for said in spoken:
        row = next(row for row in _rows() if row.row_id == said.rule)
        kind = _kind_of(row)
        standing = Alert.objects.filter(
            patient_id__in=record_ids(loop.patient), kind=kind.value, disposed_at__isnull=True
        )
        if any(said.rule in alert.rules for alert in standing):
            continue
        found = _card(kind, said, loop)
        raise_findings(loop.patient_id, [found], measured_at=now, received_at=now, by=by, now=now, of_event=False)


def _card(kind: AlertKind, said: Spoken, loop: Loop) -> Finding:
    """It wakes nobody, locks nothing and bars nothing: what it is about is held already."""
    return Finding(
        kind=kind,
        severity=AlertSeverity.CARD,
        page=False,
        lock=False,
        bars=frozenset(),
        same_day_item=True,
        unverified=False,
        historic=False,
        asks=(),
        evidence=(str(loop.pk),),
        rules=(said.rule,),
        sources=(),
    )


def _kind_of(row: Contraindication) -> AlertKind:
    if row.predicate is Predicate.PREGNANT_OR_POSTPARTUM:
        return AlertKind.PREGNANCY
    if row.predicate in (Predicate.LAB_ABOVE, Predicate.LAB_BELOW):
        return AlertKind.DANGEROUS_LAB
    return AlertKind.ANGIOEDEMA


def _signed_over(loop: Loop, change: Change) -> frozenset[str]:
    """The rows that spoke against the change when it was signed: who signed it has seen them."""
    outcome, key = thaw(loop.outcome, Outcome), candidate_key(change)
    spoken = [s for c in outcome.candidates if candidate_key(c.change) == key for s in c.spoken]
    return frozenset(said.rule for said in (*spoken, *outcome.spoken))


def _potassium() -> frozenset[str]:
    """Rows of a potassium too high for a class."""
    asked = (row for row in _rows() if row.classes and row.predicate is Predicate.LAB_ABOVE)
    return frozenset(row.row_id for row in asked if row.argument == LabKind.POTASSIUM.value)


def _rows() -> tuple[Contraindication, ...]:
    return rules().rulebook.contraindications.rows
