"""Adverse events: what kinds are told apart. Their gravity is the class an authority would give them."""

from __future__ import annotations

from enum import StrEnum


class AdverseKind(StrEnum):
    """What happened to the patient."""

    HYPOTENSION = "symptomatic_hypotension"
    SYNCOPE = "syncope"
    FALL = "fall"
    HYPERKALAEMIA = "hyperkalaemia"
    HYPONATRAEMIA = "hyponatraemia"
    KIDNEY_INJURY = "acute_kidney_injury"
    ANGIO_OEDEMA = "angio_oedema"
    BRADYCARDIA = "bradycardia"
    STROKE = "stroke"
    HEART_ATTACK = "myocardial_infarction"
    HEART_FAILURE = "heart_failure"
    DEATH = "death"
    OTHER = "other"
