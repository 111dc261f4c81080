"""What is filled in to open a record in an emergency, and to close its review. Nothing is filled in beforehand."""

from __future__ import annotations

from django import forms

from ..break_glass import ReviewOutcome, glass_rules
from ..presenters import vocabulary
from .clinic import OnceForm


class GlassForm(OnceForm):
    """Which record, why, in a code and in words."""

    record = forms.CharField(
        label="Number of the record, or the patient's number at the hospital they come from",
        max_length=120,
        strip=True,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    reason_code = forms.ChoiceField(label="Why", choices=[])
    text = forms.CharField(
        label="In your own words",
        max_length=2000,
        widget=forms.Textarea({"rows": 3}),
        help_text="It stands in the record, and in what the patient can ask for.",
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.fields["reason_code"].choices = [("", "Choose…"), *glass_rules().reasons]  # type: ignore[attr-defined]


class GlassReviewForm(OnceForm):
    """What another person found."""

    outcome = forms.ChoiceField(
        label="What you found",
        choices=[("", "Choose…"), *((each.value, vocabulary.GLASS_REVIEWS[each]) for each in ReviewOutcome)],
    )
    text = forms.CharField(label="On what you base it", max_length=2000, widget=forms.Textarea({"rows": 4}))
