"""Why there is no recommendation, by name. Stored and shown like a recommendation (N2)."""

from __future__ import annotations

from enum import StrEnum


class Withheld(StrEnum):
    """Reasons for which nothing is proposed. Which is asked before which stands in `recommend.composing`."""

    HUMAN_ONLY_CARE = "human_only_care"
    KILL_SWITCH = "kill_switch"
    SUSPENDED = "suspended"
    POLICY_STALE = "policy_stale"
    PREGNANCY = "pregnancy"
    DANGER_LOCK = "danger_lock"
    DANGER_BAR = "danger_bar"
    AGE_UNKNOWN = "age_unknown"
    AGE_OUTSIDE = "age_outside_pathway"
    DIALYSIS_OR_ESRD = "dialysis_or_esrd"
    NO_TARGET = "no_signed_target"
    NO_LIST_OF_MEDICINES = "no_list_of_medicines"
    REGIMEN_NOT_FULLY_KNOWN = "regimen_not_fully_known"
    NOT_ENOUGH_READINGS = "not_enough_readings"
    OBSERVED = "model_observes_only"
    NO_APPROVED_MODEL = "no_approved_model"
    MODEL_DOWN = "model_down"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    TOO_SOON = "too_soon_after_change"
    ONE_WINDOW_OVER = "too_few_windows_over_target"
    LOW_ADHERENCE = "low_adherence"
    LABS_OVERDUE = "labs_overdue"
    ASKED_BEFORE = "rejected_or_declined_lately"
    NO_CANDIDATE = "no_candidate_left"
    LIMITS_LEFT_NOTHING = "limits_left_nothing"
    IN_TARGET = "in_target"
