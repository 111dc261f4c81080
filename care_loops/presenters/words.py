"""One plain word or sentence for every member of every closed set that people see.

Rules
 * A test walks every member of the sets that need a sentence; a page never fails for want of one (the code is opened).
 * What is not a member of its set raises: a stored word never changes meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from governance.domain import Role

from ..danger import LimitName
from ..domain.alerts import AlertKind, Ask, Scope
from ..domain.changes import ChangeKind
from ..domain.loops import DecisionKind, LoopState
from ..domain.readings import Flag, Implausible, Insufficient, Method, NotUsed, Position, Setting
from ..domain.record import ConditionKind, DrugClass, LabKind, Pregnancy, Sex, SymptomKind
from ..domain.refusals import Withheld
from ..selectors.alert_evidence import Doubt
from .vocabulary import (
    ALERTS,
    ASKS,
    BEYOND,
    CLASSES,
    CONDITIONS,
    DECISIONS,
    DOUBTS,
    IMPLAUSIBLE,
    INSUFFICIENT,
    KINDS,
    LABS,
    LIMITS,
    METHODS,
    MODELS,
    MOVED,
    NOT_USED,
    NOTES,
    PREGNANCY,
    REASONS,
    SCOPES,
    SENTENCES,
    SEVERITIES,
    STATES,
    SYMPTOMS,
    TIERS,
    VISITS,
    WITHHELD,
    WITHHELD_THEN,
)

_Member = TypeVar("_Member", bound=StrEnum)
_WITHHELD_CODES = frozenset(reason.value for reason in Withheld)


SAY_FIRST = "Say first what you would do; the proposal is shown after"


def opened(code: str) -> str:
    """A code we have no sentence for, readable: underscores and hyphens become blanks."""
    return code.replace("_", " ").replace("-", " ").strip()


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def state(value: LoopState | str) -> str:
    """Where a recommendation stands."""
    return _or_opened(STATES, LoopState(value))


def withheld(value: Withheld | str) -> str:
    """Why nothing is proposed; goes after 'Nothing proposed because'."""
    return _or_opened(WITHHELD, Withheld(value))


def withheld_then(value: Withheld | str) -> str:
    """Why nothing was proposed on an earlier day: what was so then, and need not be so now."""
    return _or_opened(WITHHELD_THEN, Withheld(value))


def not_used(value: NotUsed | str) -> str:
    """Why a reading did not enter the average."""
    return _or_opened(NOT_USED, NotUsed(value))


def insufficient(value: Insufficient | str) -> str:
    """Why there is no average."""
    return _or_opened(INSUFFICIENT, Insufficient(value))


def implausible(value: Implausible | str) -> str:
    """Why a reading is held back."""
    return _or_opened(IMPLAUSIBLE, Implausible(value))


def doubt(value: Doubt | str) -> str:
    """Why a pressure in a danger range sets no lock."""
    return _or_opened(DOUBTS, Doubt(value))


def change_kind(value: ChangeKind | str) -> str:
    """What kind of change, as a verb."""
    return _or_opened(KINDS, ChangeKind(value))


def decision(value: DecisionKind | str) -> str:
    """What was decided, as a past participle."""
    return _or_opened(DECISIONS, DecisionKind(value))


def lab(value: LabKind | str) -> tuple[str, str]:
    """Name and unit of a laboratory test."""
    return LABS[LabKind(value)]


def limit(value: LimitName | str) -> tuple[str, str]:
    """What an alert limit is of, and its unit."""
    return LIMITS[LimitName(value)]


def beyond(compare: str, number: str) -> str:
    """On which side of a number an alert speaks: `180 or more`."""
    return BEYOND[compare].format(number)


def visit(value: str) -> str:
    """What became of a visit."""
    return VISITS[value]


def sex(value: Sex | str) -> str:
    """Administrative sex; unknown is said to be not on record."""
    member = Sex(value)
    return "sex not on record" if member is Sex.UNKNOWN else member.value


def pregnancy(value: Pregnancy | str) -> str:
    """What the record says of pregnancy."""
    return _or_opened(PREGNANCY, Pregnancy(value))


def method(value: Method | str) -> str:
    """How pressure was measured."""
    return _or_opened(METHODS, Method(value))


def flag(value: Flag | str) -> str:
    """What disturbs a reading."""
    return opened(Flag(value).value)


def setting(value: Setting | str) -> str:
    """Where pressure was measured."""
    member = Setting(value)
    return "place not known" if member is Setting.UNKNOWN else member.value


def position(value: Position | str) -> str:
    """Posture of the person."""
    member = Position(value)
    return "posture not known" if member is Position.UNKNOWN else member.value


def drug_class(value: DrugClass | str) -> str:
    """Name of a class of drugs."""
    return _or_opened(CLASSES, DrugClass(value))


def condition(value: ConditionKind | str) -> str:
    """Name of a condition."""
    return _or_opened(CONDITIONS, ConditionKind(value))


def symptom(value: SymptomKind | str) -> str:
    """Name of a symptom."""
    return _or_opened(SYMPTOMS, SymptomKind(value))


def role(value: Role | str) -> str:
    """Name of a role."""
    return opened(Role(value).value)


def tier(code: str) -> str:
    """Who must act."""
    return TIERS.get(code, opened(code))


def severity(code: str) -> str:
    """How a rule binds, or how urgent an alert is."""
    return SEVERITIES.get(code, _first_upper(opened(code)))


def alert_kind(value: AlertKind | str) -> str:
    """Name of an alert."""
    return _or_opened(ALERTS, AlertKind(value))


def why_called(rules: Iterable[str]) -> str:
    """Why an alert that rests on no reading was raised; empty where its rules are of the danger table."""
    return ". ".join(MOVED[rule] for rule in rules if rule in MOVED)


def ask(value: Ask | str) -> str:
    """What an alert asks of people."""
    return _or_opened(ASKS, Ask(value))


def scope(value: Scope | str) -> str:
    """What an alert stops."""
    return _or_opened(SCOPES, Scope(value))


def sentence(code: str) -> str:
    """A code among reasons as a sentence begins: in words where we have them, else opened."""
    if code in _WITHHELD_CODES:
        return _first_upper(withheld(code))
    return SENTENCES.get(code) or MOVED.get(code) or REASONS.get(code) or _first_upper(opened(code))


def model(name: str) -> str:
    """Name of a predictor."""
    return MODELS.get(name, name)


def reason(code: str) -> str:
    """A coded reason that people choose from."""
    return REASONS.get(code, _first_upper(opened(code)))


def note(code: str | None) -> str:
    """What to tell beside a change, or nothing."""
    return NOTES.get(code, opened(code)) if code else ""


def _or_opened(words: Mapping[_Member, str], member: _Member) -> str:
    return words.get(member, opened(member.value))
