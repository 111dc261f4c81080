"""Every member of every set that people see has words of its own."""

import pytest

from care_loops.danger import LimitName
from care_loops.domain.alerts import AlertKind, AlertSeverity, Ask, Scope
from care_loops.domain.changes import ChangeKind, Severity
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.readings import Flag, Implausible, Insufficient, Method, NotUsed, Position, Setting
from care_loops.domain.record import ConditionKind, DrugClass, LabKind, Pregnancy, Sex, SymptomKind
from care_loops.domain.refusals import Withheld
from care_loops.presenters import vocabulary, words
from care_loops.services.alerts import DISPOSITIONS
from care_loops.services.decide import REASONS

COMPLETE = [
    (vocabulary.STATES, LoopState),
    (vocabulary.WITHHELD, Withheld),
    (vocabulary.NOT_USED, NotUsed),
    (vocabulary.INSUFFICIENT, Insufficient),
    (vocabulary.IMPLAUSIBLE, Implausible),
    (vocabulary.KINDS, ChangeKind),
    (vocabulary.DECISIONS, DecisionKind),
    (vocabulary.PREGNANCY, Pregnancy),
    (vocabulary.METHODS, Method),
    (vocabulary.LIMITS, LimitName),
    (vocabulary.LABS, LabKind),
    (vocabulary.ALERTS, AlertKind),
    (vocabulary.ASKS, Ask),
    (vocabulary.SCOPES, Scope),
]
SPOKEN = [
    (words.drug_class, DrugClass),
    (words.condition, ConditionKind),
    (words.symptom, SymptomKind),
    (words.sex, Sex),
    (words.flag, Flag),
    (words.setting, Setting),
    (words.position, Position),
    (words.severity, AlertSeverity),
    (words.severity, Severity),
]


@pytest.mark.parametrize(("sentences", "members"), COMPLETE, ids=[m.__name__ for _, m in COMPLETE])
def test_each_member_has_a_sentence(sentences, members):
    assert set(sentences) == set(members)


@pytest.mark.parametrize(("say", "members"), SPOKEN, ids=[f"{s.__name__}-{m.__name__}" for s, m in SPOKEN])
def test_no_member_is_shown_as_a_code(say, members):
    assert [say(member) for member in members if "_" in say(member) or not say(member)] == []


def test_coded_reasons_have_words():
    assert set(REASONS) | set(DISPOSITIONS) <= set(vocabulary.REASONS)


def test_a_word_that_is_no_member_is_refused():
    with pytest.raises(ValueError, match="flying"):
        words.state("flying")
