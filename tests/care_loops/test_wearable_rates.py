"""A lone dangerous heart rate of a wearable speaks by the rule of heart rate (CLINICAL 1.3 C12)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from care_loops.domain.evidence import Evidence
from care_loops.domain.loops import LoopState
from care_loops.freeze import thaw
from care_loops.models import Alert
from care_loops.presenters.alerts import evidence_words
from care_loops.selectors.alert_evidence import newest_evidence
from care_loops.services import Sample, take_in_samples
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import BISOPROLOL, NOW, job

_numbers = count(1)


def sample(value: object, *, kind: str = "heart_rate", at: datetime = NOW, minutes: int = 0) -> Sample:
    return Sample(
        source_system="watch",
        source_id=f"w{next(_numbers)}",
        kind=kind,
        value=Decimal(str(value)),
        unit="/min",
        starts_at=at - timedelta(minutes=minutes),
        ends_at=at,
    )


def sent(patient, *samples: Sample, now: datetime = NOW) -> list[Alert]:
    take_in_samples(patient.pk, samples, by=job(), now=now, received_at=now)
    return list(Alert.objects.filter(patient=patient))


@pytest.mark.parametrize(("rate", "spoken"), [(49, True), (50, False), (120, False), (121, True)])
def test_a_card_at_the_numbers_of_the_rule(hospital, rate, spoken):  # noqa: F811
    alerts = sent(hospital.patient(), sample(72), sample(rate), sample(80))
    assert [(a.kind, a.severity, a.pages, a.locks) for a in alerts] == (
        [("heart_rate", "card", False, False)] if spoken else []
    )
    for alert in alerts:
        shown = newest_evidence(Alert.objects.prefetch_related("events"))[alert.pk]
        assert evidence_words(shown) == f"heart rate {rate} a minute"
        assert "patient_facing" in alert.bars
    commits()


def test_under_sixty_speaks_only_on_a_drug_that_slows(hospital):  # noqa: F811
    plain, slowed = hospital.patient(), hospital.patient()
    hospital.takes(slowed, BISOPROLOL, "5", since=NOW - timedelta(days=90))
    assert sent(plain, sample(57)) == []
    assert [a.rules for a in sent(slowed, sample(57))] == [["C12.slow_on_drug"]]


def test_a_fast_heart_in_effort_says_nothing_and_at_rest_it_does(hospital):  # noqa: F811
    runs = hospital.patient()
    walk = sample(4000, kind="steps", at=NOW, minutes=30)
    assert sent(runs, walk, sample(150, at=NOW - timedelta(minutes=5)), sample(140, at=NOW)) == []
    later = NOW + timedelta(hours=2)
    assert len(sent(runs, sample(150, at=NOW), sample(130, at=later), now=later)) == 1


def test_what_is_old_or_sent_again_says_nothing(hospital):  # noqa: F811
    patient = hospital.patient()
    assert sent(patient, sample(40, at=NOW - timedelta(days=15))) == []
    slow = sample(40)
    for _ in range(2):
        (alert,) = sent(patient, slow)
    assert alert.occurrences == 1


def test_it_takes_a_patient_facing_change_back(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    assert thaw(loop.evidence, Evidence).alerts == ()
    soon = NOW + timedelta(minutes=5)
    sent(loop.patient, sample(44, at=soon), now=soon)
    pass_on(soon)
    loop.refresh_from_db()
    assert loop.state == "withdrawn"
