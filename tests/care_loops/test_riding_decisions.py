"""A decision that rides with its entry is refused by the same triggers, and takes the entry with it."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import ObjectVersion, Pending
from care_loops.domain.loops import LoopState
from care_loops.models import Decision, Loop, Step
from care_loops.services import moves
from care_loops.services.events import note
from care_loops.services.moves import Why, enter
from governance.models import Signature, SignatureEvidence
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


def written() -> tuple[int, ...]:
    return tuple(each.objects.count() for each in (Pending, ObjectVersion, Decision, Step, Signature))


def prepared() -> list[str]:
    """The statements that this connection has prepared and that write an entry."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall() if "INSERT INTO audit_pending" in statement]


def decision_of(loop: Loop, by: Decision) -> Decision:
    """The same person's decision of `loop`, under the signature that was made over another."""
    same = {name: getattr(by, name) for name in ("kind", "decided_by", "decided_at", "original_change", "final_change")}
    return Decision(
        loop=loop, seen_version=loop.version, reason_code=by.reason_code, free_text="", seconds_to_decide=1,
        policies=by.policies, signature=by.signature, **same
    )  # fmt: skip


def test_a_signature_over_another_record_is_refused_and_nothing_stays(hospital):
    other = hospital.loop_at(LoopState.APPROVED).decision
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    before = written()
    why = Why(decision=decision_of(loop, other), payload={"state": "approved"})
    with pytest.raises(IntegrityError, match="is not signed over this very record"), transaction.atomic():
        enter(moves.lock(loop.pk), LoopState.APPROVED, by=hospital.acting("clinician"), now=LATER, why=why)
    assert written() == before
    loop.refresh_from_db()
    assert loop.state == LoopState.WITH_CLINICIAN.value
    hospital.approve(loop, now=LATER)


def test_a_step_that_may_not_follow_is_refused_and_nothing_stays(hospital):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    before = written()
    step = Step(
        loop=loop, seq=loop.version + 1, before="with_clinician", state="delivered", entered_at=LATER,
        actor_kind="service", actor_id="x",
    )  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        note(
            "recommendation.delivered",
            of=("recommendation", loop.pk, loop.version + 1),
            by=hospital.acting("clinician"),
            now=LATER,
            patient_id=loop.patient_id,
            payload={"state": "delivered"},
            rows=[step],
        )
    assert written() == before


def test_the_decision_its_step_and_their_entry_are_one_statement(hospital):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    with CaptureQueriesContext(connection) as asked:
        hospital.approve(loop)
    apart = " ".join(each["sql"] or "" for each in asked)  # what is prepared, as the record's statement is, has no text
    for together in (
        ("care_loops_decision", "care_loops_step"),
        ("governance_signature", "governance_signatureevidence"),
    ):
        assert not any(f'INSERT INTO "{table}"' in apart for table in together)
        assert [made for made in prepared() if all(f'INSERT INTO "{table}"' in made for table in together)]
    decision = Decision.objects.get(loop=loop)
    step = loop.steps.get(state="approved")
    assert decision.entry == step.entry
    assert ObjectVersion.objects.get(object_id=str(loop.pk), version=step.seq).entry_id == decision.entry
    evidence = SignatureEvidence.objects.get(signature=decision.signature)
    assert evidence.entry == decision.signature.entry
