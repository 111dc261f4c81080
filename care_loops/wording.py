"""A change in plain words for the patient: old and new total daily dose, and what to stop.

Rules
 * No dose without its unit and "a day in all". No name of a rule or of a model.
 * The same change always gives the same words; the words are kept with the message.
"""

from __future__ import annotations

from .domain.changes import Change, ChangeKind
from .domain.units import Milligrams

WHEN = "Start with your next dose. If you are not sure, ask a person before you change anything."
NOTES = {
    "take_in_the_evening": "in the evening instead of the morning",
    "take_in_the_morning": "in the morning instead of the evening",
}


def change_for_patient(change: Change) -> str:
    """What the patient reads."""
    drug = change.drug or "your medicine"
    match change.kind:
        case ChangeKind.STEP_UP | ChangeKind.STEP_DOWN:
            return (
                f"Take {dose(change.new_daily_dose)} of {drug} a day in all, instead of "
                f"{dose(change.old_daily_dose)} a day. Stop the old dose: do not take both. {WHEN}"
            )
        case ChangeKind.START:
            return (
                f"Start {drug}: {dose(change.new_daily_dose)} a day in all. You did not take it before. "
                f"Go on with your other medicines. {WHEN}"
            )
        case ChangeKind.STOP:
            return (
                f"Stop {drug} ({dose(change.old_daily_dose)} a day until now).{_taper(change)} Go on with your others."
            )
        case ChangeKind.TIMING:
            when = NOTES.get(change.note or "", "at the time your clinician told you")
            return f"Take {drug} {when}. The dose stays the same: {dose(change.old_daily_dose)} a day in all."
        case ChangeKind.STAY:
            return "Go on with your medicines as they are."


def recalled_for_patient(change: Change) -> str:
    """What the patient reads when a change was taken back."""
    return (
        f"Your clinician has taken back the change of {change.drug or 'your medicine'}. Go on as before: "
        f"{dose(change.old_daily_dose)} a day in all. If you have already changed, ask a person now."
    )


def moved_for_patient(change: Change) -> str:
    """What the patient reads when the medicines changed elsewhere meanwhile: no dose, since the old one may be gone."""
    drug = change.drug or "your medicine"
    return (
        f"Your medicines have changed since, so the change of {drug} no longer stands: do not follow it. "
        "Go on with what you were told last. If you are not sure, or have already changed, ask a person now."
    )


def dose(value: Milligrams | None) -> str:
    """A dose with its unit; nothing taken is said as such."""
    return "none" if value is None else f"{format(value.value.normalize(), 'f')} mg"


def _taper(change: Change) -> str:
    if not change.taper:
        return ""
    steps = ", then ".join(dose(step) for step in change.taper)
    return f" Do not stop at once: take {steps} a day, as your clinician tells you, and then none."
