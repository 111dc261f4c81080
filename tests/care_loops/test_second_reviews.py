"""Second readings: drawn by nobody's choice, read blind, by another person, and counted."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit.models import Payload
from audit.selectors import payload_of
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.models import ReviewDraw, ReviewSeed, SecondReading, SecondReview, SecondVerdict
from care_loops.pathways.hypertension.tables_review import sampling_rules
from care_loops.sampling import Mark, considered, drawn, how_many, population_digest
from care_loops.selectors.reviews import rates, waiting_for
from care_loops.services import join_care_team
from care_loops.services.reviews import AlreadyRead, conclude, draw_reviews, read_again, set_seed
from governance.domain import BadInput, NotAllowed, NotFound, Role
from tests.factories import Hospital, job
from tests.signing_in import signed_in

RULES = sampling_rules()


# --- the draw, as a rule ----------------------------------------------------------------------------------------------


def people(count, marks=()):
    return [considered(f"d{number}", marks, RULES) for number in range(count)]


@given(st.binary(min_size=32, max_size=32), st.lists(st.sets(st.sampled_from(Mark)), max_size=60))
def test_the_same_seed_over_the_same_decisions_draws_the_same_in_any_order(seed, marks):
    everybody = [considered(f"d{number}", each, RULES) for number, each in enumerate(marks)]
    first = drawn(seed, everybody, RULES)
    assert first == drawn(seed, reversed(everybody), RULES)
    assert len(first) == how_many(len(everybody), RULES)
    assert first <= {each.decision_id for each in everybody}


def test_another_seed_draws_others_and_risk_is_drawn_more_often():
    """Over 400 seeds: of 20 decisions, one with every mark against 19 with none (16 tickets against 19 x 1)."""
    everybody = [*people(19), considered("risky", Mark, RULES)]
    found = Counter(one for n in range(400) for one in drawn(n.to_bytes(32, "big"), everybody, RULES))
    tickets = everybody[-1].tickets
    assert 400 * tickets / (tickets + 19) * 0.8 < found["risky"] < 400 * tickets / (tickets + 19) * 1.2
    assert len(found) > 15
    alike = Counter(one for n in range(400) for one in drawn(n.to_bytes(32, "big"), people(20), RULES))
    assert max(alike.values()) < 60  # without marks nobody stands out


def test_a_share_is_rounded_up_and_of_none_is_none():
    assert [how_many(count, RULES) for count in (0, 1, 20, 21)] == [0, 1, 1, 2]


def test_the_digest_of_a_population_changes_with_any_ticket():
    assert population_digest(people(3)) != population_digest([*people(2), considered("d2", [Mark.QUICK], RULES)])


# --- in the house -----------------------------------------------------------------------------------------------------

house = pytest.mark.django_db


def reviewed() -> Hospital:
    """A seed, then a decision by the clinician; another clinician is in the team as well."""
    from django.utils import timezone

    hospital = Hospital(now=timezone.now().replace(microsecond=0) - timedelta(hours=2))
    hospital.seed = set_seed(by=job(), now=hospital.now)
    hospital.loop = hospital.loop_at(LoopState.REJECTED)
    hospital.mary = hospital.loop.patient
    other = hospital.people["other_clinician"]
    join_care_team(hospital.mary.pk, other.pk, responsible=False, by=hospital.acting("admin"), now=hospital.now)
    return hospital


@pytest.fixture
def site(db, built) -> Hospital:
    return built.once(reviewed, fresh_s=120)


def draw(site) -> SecondReview:
    assert draw_reviews(by=job(), now=site.now) is not None
    return SecondReview.objects.get()


def reads(site, review, who="other_clinician", kind=DecisionKind.APPROVE) -> SecondReading:
    chosen = {"kind": kind, "reason_code": "agrees_with_plan", "free_text": ""}
    return read_again(review.pk, **chosen, by=site.acting(who), now=site.now)


@house
def test_a_draw_uses_the_seed_recorded_before_and_anybody_can_draw_again(site):
    review = draw(site)
    made = ReviewDraw.objects.get()
    assert made.seed == site.seed
    said = payload_of(made.entry)
    assert said["seed"] == payload_of(site.seed.entry)["seed"]
    assert site.seed.entry < review.decision.entry < made.entry
    again = [considered(key, review.marks, RULES) for key in said["tickets"]]
    assert {each.decision_id: each.tickets for each in again} == said["tickets"]
    assert drawn(bytes.fromhex(said["seed"]), again, RULES) == set(said["drawn"]) == {str(review.decision_id)}
    assert population_digest(again) == made.population_sha256
    assert ReviewSeed.objects.filter(draw__isnull=True).count() == 1
    assert draw_reviews(by=job(), now=site.now) is None, "no decision takes part twice"
    assert Mark.OVERRIDE.value in review.marks


@house
def test_a_decision_taken_before_the_first_seed_takes_no_part(db):
    hospital = Hospital()
    hospital.loop_at(LoopState.REJECTED)
    assert draw_reviews(by=job(), now=hospital.now) is None
    assert draw_reviews(by=job(), now=hospital.now) is None
    assert not SecondReview.objects.exists()


@house
def test_nobody_reads_their_own_decision_by_no_road(site):
    review = draw(site)
    with pytest.raises(NotAllowed):
        reads(site, review, "clinician")
    assert not waiting_for(site.acting("clinician"), now=site.now).exists()
    assert waiting_for(site.acting("other_clinician"), now=site.now).get() == review
    clinician, other = site.people["clinician"], site.people["other_clinician"]
    row = {"review": review, "kind": "approve", "reason_code": "x", "read_at": site.now, "entry": review.entry}
    for decider, reader in ((clinician, clinician), (other, clinician), (other, other)):
        with pytest.raises(DatabaseError), transaction.atomic():
            SecondReading.objects.create(decided_by=decider, reader=reader, **row)
    with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
        cursor.execute("UPDATE care_loops_secondreview SET drawn = true")


@house
def test_who_may_not_read_the_record_or_decide_reads_nothing(site):
    review = draw(site)
    site.join("stranger", Role.CLINICIAN, now=site.now - timedelta(days=1))
    for who in ("pharmacist", "admin", "stranger"):
        with pytest.raises((NotFound, NotAllowed)):
            reads(site, review, who)
    with pytest.raises(NotFound):
        read_again(
            uuid4(),
            kind=DecisionKind.APPROVE,
            reason_code="agrees_with_plan",
            free_text="",
            by=site.acting("other_clinician"),
            now=site.now,
        )


@house
def test_a_review_goes_from_reading_to_verdict_once_each_and_is_counted(site):
    review, by = draw(site), site.acting("other_clinician")
    said = {"verdict": "concern", "reason_code": "wrong_change", "free_text": "", "by": by, "now": site.now}
    with pytest.raises(NotAllowed):
        conclude(review.pk, **said)
    reads(site, review)
    with pytest.raises(AlreadyRead):
        reads(site, review)
    with pytest.raises(BadInput):
        conclude(review.pk, **{**said, "reason_code": ""})
    conclude(review.pk, **said)
    with pytest.raises(AlreadyRead):
        conclude(review.pk, **said)
    every = next(rate for rate in rates(()) if not rate.mark)
    assert (every.drawn, every.read, every.differed, every.concerns) == (1, 1, 1, 1)
    verdict = SecondVerdict.objects.get()
    assert payload_of(verdict.entry)["verdict"] == "concern"
    assert Payload.objects.filter(entry_id__in=[verdict.entry, verdict.reading.entry]).count() == 2


@house
def test_the_page_is_blind_until_the_second_reading_is_recorded(site):
    review = draw(site)
    browser = signed_in(site.people["other_clinician"])
    listed = browser.get("/second-reviews/").content.decode()
    assert site.mary.shown_name in listed
    assert "decided otherwise than proposed" not in listed.split("How often")[0]
    where = f"/second-reviews/{review.pk}/"
    blind = browser.get(where).content.decode()
    told = ("Rejected", "rejected", ">Clinician Example", "patient prefers it.", "What was decided</h2>")
    assert [word for word in told if word in blind] == []
    sent = {"key": "r" * 12, "kind": "approve", "reason_code": "agrees_with_plan", "free_text": ""}
    assert browser.post(where, {**sent, "kind": ""}).status_code == 422
    assert browser.post(where, sent).status_code == 303
    shown = browser.get(where).content.decode()
    assert "<dd>Clinician Example" in shown
    verdict = {"key": "v" * 12, "verdict": "disagree", "reason_code": "", "free_text": ""}
    refused = browser.post(f"{where}verdict/", verdict)
    assert refused.status_code == 422
    assert "Choose a reason" in refused.content.decode()
    assert browser.post(f"{where}verdict/", {**verdict, "verdict": "agree"}).status_code == 303
    assert SecondVerdict.objects.get().verdict == "agree"
    assert signed_in(site.people["clinician"]).get(where).status_code == 403


@house
def test_auditors_see_counts_and_no_patient(site):
    draw(site)
    site.join("auditor", Role.AUDITOR, now=site.now - timedelta(days=1))
    html = signed_in(site.people["auditor"]).get("/second-reviews/").content.decode()
    assert "How often second readings differ" in html
    assert site.mary.shown_name not in html
    assert site.mary.family_name not in html
    review = SecondReview.objects.get()
    assert signed_in(site.people["auditor"]).get(f"/second-reviews/{review.pk}/").status_code == 403
