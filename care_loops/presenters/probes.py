"""Probes in words: the page of somebody who does not exist, and what is told once a probe is decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..models import Probe
from ..oversight.probes import Case
from ..pathways.hypertension.tables_probes import probe_library
from ..selectors.probes import loop_of, patient_of
from . import words
from .changes import pressure
from .recommendation import recommendation_shown
from .worklist import about


@dataclass(frozen=True, slots=True)
class NobodyShown:
    """What is on record of somebody who does not exist."""

    name: str
    about: str
    synthetic: bool
    average: str
    readings: int
    case: Case
    what: str
    probe: Probe


@dataclass(frozen=True, slots=True)
class Revealed:
    """What a probe was."""

    name: str
    proposed: str
    decided: str
    noticed: bool
    answered: bool
    wrong: str
    source: str


def case_of(probe: Probe) -> Case:
    """The case as it ships; a library that dropped it has none any more."""
    return probe_library().case(probe.case)


def nobody_shown(probe: Probe, *, now: datetime) -> NobodyShown:
    """The page of the person a probe is about."""
    patient, case = patient_of(probe.about), case_of(probe)
    systolic, diastolic = pressure(case.average.systolic.value), pressure(case.average.diastolic.value)
    return NobodyShown(
        name=patient.shown_name,
        about=about(patient, now=now),
        synthetic=patient.synthetic,
        average=f"{systolic}/{diastolic}",
        readings=case.readings,
        case=case,
        what=recommendation_shown(loop_of(probe), now=now).heading,
        probe=probe,
    )


def revealed(probe: Probe, *, now: datetime) -> Revealed:
    """What it was and what was made of it."""
    case, answer = case_of(probe), getattr(probe, "answer", None)
    return Revealed(
        name=patient_of(probe.about).shown_name,
        proposed=recommendation_shown(loop_of(probe), now=now).heading,
        decided=words.decision(answer.kind) if answer is not None else "",
        noticed=answer is not None and answer.noticed,
        answered=answer is not None,
        wrong=case.wrong,
        source=case.source,
    )
