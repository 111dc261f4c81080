"""What a second reader fills in: first what they would have decided, then what they say of the first decision."""

from __future__ import annotations

from django import forms

from ..domain.loops import DecisionKind
from ..services.decide import REASONS
from ..services.reviews import CONCERNS
from .clinic import TEXT_MOST, OnceForm, reason_choices

_OWN = (
    (DecisionKind.APPROVE.value, "I would approve it as proposed"),
    (DecisionKind.MODIFY.value, "I would prescribe another change"),
    (DecisionKind.REJECT.value, "I would prescribe no change"),
)
_VERDICTS = (("agree", "I agree"), ("disagree", "I disagree"), ("concern", "I raise a concern"))


class _InWords(forms.CharField):
    """What somebody says beside their choice."""

    def __init__(self) -> None:
        box = forms.Textarea({"rows": 3})
        super().__init__(widget=box, label="In your own words", required=False, max_length=TEXT_MOST)


class SecondReadingForm(OnceForm):
    """Nothing is filled in beforehand."""

    kind = forms.ChoiceField(label="Your own decision", widget=forms.RadioSelect, choices=_OWN)
    reason_code = forms.ChoiceField(label="Reason", choices=reason_choices(REASONS))
    free_text = _InWords()


class VerdictForm(OnceForm):
    """Agreeing needs no reason; the others do."""

    verdict = forms.ChoiceField(label="What you say of it", widget=forms.RadioSelect, choices=_VERDICTS)
    reason_code = forms.ChoiceField(label="Reason, unless you agree", choices=reason_choices(CONCERNS), required=False)
    free_text = _InWords()
