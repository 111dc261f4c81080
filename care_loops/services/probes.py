"""Probes: placed among real proposals, decided and signed like them, and told as what they are right after.

Rules (CLINICAL 4.3)
 * A probe is about a `ProbePerson`, who is no patient; no step, message, outbox line or order comes of it. The database
   refuses each of them as well (migration 0025).
 * One waits for a person at a time; after how many real proposals is drawn with the site's key. While anything is
   suspended none is placed: then nothing would be proposed either.
 * Deciding it is signed over the same record as a decision. Nothing follows: the answer ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from audit.domain import ObjectRef, Purpose
from audit.services import keys
from governance.domain import NotFound, Permission, Relation, Role
from governance.models import RoleHeld, User
from governance.permissions import check
from governance.selectors.suspensions import standing
from governance.services import Act, Acting, sign
from models.registry.models import ModelVersion

from ..domain.changes import STAY, Change
from ..domain.evidence import Outcome
from ..domain.loops import DecisionKind, LoopState, Origin
from ..freeze import digest, freeze, thaw
from ..models import CareTeamMember, Patient, Probe, ProbeAnswer, ProbePerson, ProbeRule, Step
from ..oversight.probes import Case, chosen, gap, outcome_of
from ..pathways.hypertension.tables_probes import probe_library
from ..policies import NotNow, check_not_expired, check_seen
from ..selectors.access import NOBODY
from ..selectors.probes import probe_for, probe_rule_now
from ..selectors.signed import content_of_answer
from .decide import MEANING, DecisionInput, _final, check_reason
from .events import note

DUE_IN, STANDS_FOR = timedelta(days=3), timedelta(days=7)  # as a proposal
ANSWERED = "recommendation.answered"


def begin_probes(*, by: Acting, now: datetime) -> ProbeRule | None:
    """Begin the library that ships, unless it was begun last. None when nothing is new."""
    with transaction.atomic():
        library, held = probe_library(), probe_rule_now()
        if held is not None and held.library == library.version:
            return None
        key = uuid4()
        said = {"library": library.version, "least_gap": library.least_gap, "most_gap": library.most_gap}
        entry = note("probe.begun", of=("probe_rule", key, 1), by=by, now=now, payload=said, purpose=Purpose.QUALITY)
        return ProbeRule.objects.create(id=key, begun_at=now, entry=entry.entry_id, **said)


def place_probes(*, by: Acting, now: datetime) -> int:
    """Place what is due: for each clinician whose turn came, one. Returns how many were placed."""
    begin_probes(by=by, now=now)
    rule = probe_rule_now()
    if rule is None or standing():
        return 0
    return sum(_place_for(user, rule, by=by, now=now) for user in _clinicians())


def _clinicians() -> Iterator[User]:
    held = RoleHeld.objects.filter(role=Role.CLINICIAN.value, until__isnull=True).values("user")
    yield from User.objects.filter(pk__in=held, is_active=True).order_by("pk")


def _place_for(user: User, rule: ProbeRule, *, by: Acting, now: datetime) -> bool:
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        placed = list(Probe.objects.filter(person=user).order_by("number"))
        since = max(placed[-1].opened_at, rule.begun_at) if placed else rule.begun_at
        if placed and placed[-1].expires_at > now and not hasattr(placed[-1], "answer"):
            return False
        library, key = probe_library(), keys.tenant_key()
        if _met(user, since=since, until=now) < gap(key, str(user.pk), len(placed), library):
            return False
        case = chosen(
            key, str(user.pk), len(placed), library, seen={one.case for one in placed[-len(library.cases) + 1 :]}
        )
        place_probe(user, case, number=len(placed), by=by, now=now)
    return True


def _met(user: User, *, since: datetime, until: datetime) -> int:
    """How many real proposals came to this person's patients in that time."""
    mine = CareTeamMember.objects.filter(user=user, until__isnull=True).values("patient")
    steps = Step.objects.filter(
        state=LoopState.WITH_CLINICIAN.value, loop__origin=Origin.PROPOSAL.value, loop__patient__in=mine
    )
    return steps.filter(entered_at__gt=since, entered_at__lte=until).values("loop").distinct().count()


def place_probe(user: User, case: Case, *, number: int, by: Acting, now: datetime) -> Probe:
    """Put one case before this person, beside its entry, in the caller's transaction or its own."""
    with transaction.atomic():
        key, outcome = uuid4(), freeze(outcome_of(case, now=now))
        said = {"case": case.name, "library": probe_library().version, "person": str(user.pk)}
        entry = note("probe.placed", of=("probe", key, 1), by=by, now=now, payload=said, purpose=Purpose.QUALITY)
        model = ModelVersion.objects.filter(active=True).order_by("pk").first()
        about = ProbePerson.objects.create(
            given_name=case.names[0],
            family_name=case.names[1],
            sex=case.sex.value,
            born_on=(now - timedelta(days=case.age * 365 + 200)).date(),
            zone=_zone(user),
            entry=entry.entry_id,
        )
        return Probe.objects.create(
            id=key,
            about=about,
            person=user,
            number=number,
            case=case.name,
            library=probe_library().version,
            outcome=outcome,
            digest=digest(outcome),
            model_name=model.name if model else "",
            model_version=model.version if model else "",
            opened_at=now,
            due_at=now + DUE_IN,
            expires_at=now + STANDS_FOR,
            entry=entry.entry_id,
        )


def _zone(user: User) -> str:
    """That of one of this person's patients."""
    mine = CareTeamMember.objects.filter(user=user, until__isnull=True).order_by("pk").values("patient")[:1]
    return Patient.objects.filter(pk__in=mine).values_list("zone", flat=True).first() or "UTC"


def answer_probe(probe_id: UUID, said: DecisionInput, *, by: Acting, now: datetime) -> ProbeAnswer:
    """Decide a probe. Raises NotFound to everybody it was not placed for, and what `decide` raises."""
    role = check(Permission.DECIDE, by.standing, frozenset({Relation.CARE_TEAM}))
    try:
        with transaction.atomic():
            return _answer(probe_id, said, by=by.under(role), role=role, now=now)
    except IntegrityError as taken:
        raise NotNow("This recommendation is decided.", state="decided") from taken


def _answer(probe_id: UUID, said: DecisionInput, *, by: Acting, role: Role, now: datetime) -> ProbeAnswer:
    probe = probe_for(by, probe_id)
    if probe is None:
        raise NotFound(NOBODY)
    if ProbeAnswer.objects.filter(probe=probe).exists():
        raise NotNow("This recommendation is decided.", state="decided")
    check_not_expired(probe.expires_at, now)
    check_seen(said.seen_version, 2)
    check_reason(said)
    outcome = thaw(probe.outcome, Outcome)
    final: Change = STAY if said.kind is DecisionKind.REJECT else _final(outcome, said)
    answer = ProbeAnswer(
        probe=probe,
        person=by.person(),
        role=role.value,
        kind=said.kind.value,
        final_change=freeze(final),
        reason_code=said.reason_code,
        free_text=said.free_text,
        noticed=said.kind is not DecisionKind.APPROVE,
        answered_at=now,
    )
    content = content_of_answer(answer)
    act = Act(ANSWERED, ObjectRef(type="recommendation", id=str(probe.pk), version=1), subject=None)
    answer.signature, esign = sign(content, act=act, meaning=MEANING[said.kind], by=by, now=now)
    entry = note(
        ANSWERED,
        of=("recommendation", probe.pk, 1),
        by=by,
        now=now,
        payload={"case": probe.case, "kind": said.kind.value, **content},
        esign=esign,
        purpose=Purpose.QUALITY,
    )
    answer.entry = entry.entry_id
    answer.save(force_insert=True)
    return answer
