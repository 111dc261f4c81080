"""What a clinician fills in about visits: when the next one is, and what became of the one before."""

from __future__ import annotations

from django import forms

from ..models import Visit
from ..presenters import words
from ..services import NewVisit
from .clinic import TEXT_MOST, OnceForm


def _day(label: str, *, required: bool = True) -> forms.DateField:
    return forms.DateField(
        label=label, required=required, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


def _text(label: str) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=TEXT_MOST)


class VisitForm(OnceForm):
    """When to meet next, instead of when the rule says."""

    due_on = _day("Next visit on")
    reason = forms.CharField(label="Reason", max_length=TEXT_MOST)


class VisitOutcomeForm(OnceForm):
    """What became of a visit, and what was talked of. Held, not held and cancelled cost the same; none is chosen."""

    outcome = forms.ChoiceField(
        label="What became of it",
        widget=forms.RadioSelect,
        choices=[(outcome, words.visit(outcome)) for outcome in Visit.OUTCOMES],
        error_messages={"required": "Say what became of it."},
    )
    on_day = _day("Held on (only if it was held)", required=False)
    diet = _text("Diet")
    activity = _text("Activity")
    sleep = _text("Sleep")
    stress = _text("Stress")
    note = _text("Note")

    def factors(self) -> list[forms.BoundField]:
        """The lines of what was talked of, for the template."""
        return [self[name] for name in ("diet", "activity", "sleep", "stress", "note")]

    def visit(self) -> NewVisit:
        """What was filled in; only after `is_valid`."""
        said = self.cleaned_data
        return NewVisit(
            outcome=said["outcome"],
            on_day=said["on_day"],
            diet=said["diet"],
            activity=said["activity"],
            sleep=said["sleep"],
            stress=said["stress"],
            note=said["note"],
        )
