"""What people fill in on pages: parsed, and refused field by field. What is allowed is for services to say.

Rules
 * Nothing is filled in beforehand: no decision, no reason, no target (no default for a clinical fact).
 * Approve, modify and reject cost the same: one choice, one reason, one signature.
 * Every form that changes something carries a key, so that sending it twice acts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django import forms

from ..domain.loops import DecisionKind
from ..domain.units import Milligrams, MmHg
from ..drugs import Drug
from ..presenters import words
from ..presenters.changes import CandidateShown
from ..presenters.orders import OrderChoice
from ..services import DISPOSITIONS, REASONS, DecisionInput, NewBoundary, NewBoundaryDrug, OrderInput
from ..services.first import AnswerInput
from ..services.limits import LONGEST, MAX_STEPS

TEXT_MOST = 2000
SYMPTOM_OUTCOMES = ("caused_by_drug", "not_caused_by_drug", "not_sure_watching", "no_longer_present")
CORRECTIONS = ("wrong_patient", "entered_in_error")
_CHOOSE = ("", "Choose…")


def reason_choices(codes: Iterable[str]) -> list[tuple[str, str]]:
    """Coded reasons in words, nothing chosen."""
    return [_CHOOSE, *((code, words.reason(code)) for code in codes)]


class OnceForm(forms.Form):
    """A form that acts once however often it is sent. `key` is drawn when the page is shown."""

    use_required_attribute = True
    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["key"].initial = uuid4().hex
        self.label_suffix = ""

    def order_with_errors(self) -> list[forms.BoundField]:
        """Visible fields that need correcting, for the summary on top."""
        return [field for field in self.visible_fields() if field.errors]


class DecisionForm(OnceForm):
    """One choice, one reason, one signature. `choice` is `approve`, `reject` or `modify:<candidate>`."""

    choice = forms.ChoiceField(
        widget=forms.RadioSelect, label="Your decision", error_messages={"required": "Choose what to do."}
    )
    reason_code = forms.ChoiceField(label="Reason", error_messages={"required": "Choose the reason."})
    free_text = forms.CharField(
        label="In your own words",
        required=False,
        max_length=TEXT_MOST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Optional, unless the reason is “other”.",
    )
    seen_version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def __init__(self, *args: object, alternatives: Sequence[CandidateShown], seen_version: int) -> None:
        super().__init__(*args)
        self.alternatives = tuple(alternatives)
        choices = [("approve", "Approve"), ("reject", "Reject")]
        choices += [(f"modify:{one.change.key}", one.change.sentence) for one in self.alternatives]
        self.fields["choice"].choices = choices  # type: ignore[attr-defined]
        self.fields["reason_code"].choices = reason_choices(REASONS)  # type: ignore[attr-defined]
        self.fields["seen_version"].initial = seen_version

    def decision(self) -> DecisionInput:
        """What was chosen; only after `is_valid`."""
        kind, _, key = self.cleaned_data["choice"].partition(":")
        return DecisionInput(
            kind=DecisionKind(kind),
            reason_code=self.cleaned_data["reason_code"],
            free_text=self.cleaned_data["free_text"],
            seen_version=self.cleaned_data["seen_version"],
            candidate_key=key or None,
        )


class FirstAnswerForm(OnceForm):
    """What a clinician would do before they see the proposal; nothing is filled in, nothing stands out."""

    answer = forms.ChoiceField(
        widget=forms.RadioSelect, label="What you would do", error_messages={"required": "Choose what you would do."}
    )
    free_text = forms.CharField(
        label="In your own words",
        required=False,
        max_length=TEXT_MOST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Needed for “something else”.",
    )
    seen_version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def __init__(self, *args: object, choices: Sequence[CandidateShown], seen_version: int) -> None:
        super().__init__(*args)
        listed = [(one.change.key, one.change.sentence) for one in choices]
        listed += [("stay", "No change of medication now"), ("other", "Something else, in words")]
        self.fields["answer"].choices = listed  # type: ignore[attr-defined]
        self.fields["seen_version"].initial = seen_version

    def said(self) -> AnswerInput:
        """What was answered; only after `is_valid`."""
        return AnswerInput(**{name: self.cleaned_data[name] for name in ("answer", "free_text", "seen_version")})


class OrderForm(OnceForm):
    """A change that a clinician writes without a proposal. A rule that stops it is overridden by name, in words."""

    candidate_key = forms.ChoiceField(
        widget=forms.RadioSelect, label="The change", error_messages={"required": "Choose the change."}
    )
    override = forms.MultipleChoiceField(required=False, label="Rules overridden")
    reason_code = forms.ChoiceField(label="Reason", error_messages={"required": "Choose the reason."})
    free_text = forms.CharField(
        label="In your own words",
        required=False,
        max_length=TEXT_MOST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Needed when a rule is overridden, or the reason is “other”.",
    )

    def __init__(self, *args: object, choices: Sequence[OrderChoice]) -> None:
        super().__init__(*args)
        keys = [(one.candidate.change.key, one.candidate.change.sentence) for one in choices if not one.closed]
        stops = {rule.code: rule.words for one in choices for rule in one.overrides}
        self.fields["candidate_key"].choices = keys  # type: ignore[attr-defined]
        self.fields["override"].choices = sorted(stops.items())  # type: ignore[attr-defined]
        self.fields["reason_code"].choices = reason_choices(REASONS)  # type: ignore[attr-defined]

    def order(self) -> OrderInput:
        """What was ordered; only after `is_valid`."""
        said = self.cleaned_data
        return OrderInput(
            candidate_key=said["candidate_key"],
            reason_code=said["reason_code"],
            free_text=said["free_text"],
            override=tuple(said["override"]),
        )


class ReasonForm(OnceForm):
    """A coded reason and words: to recall a change."""

    reason_code = forms.ChoiceField(label="Reason", error_messages={"required": "Choose the reason."})
    free_text = forms.CharField(
        label="In your own words", required=False, max_length=TEXT_MOST, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.fields["reason_code"].choices = reason_choices(REASONS)  # type: ignore[attr-defined]


class TargetForm(OnceForm):
    """The home pressure to stay under, in whole or half mmHg."""

    systolic_below = forms.DecimalField(
        label="Systolic under (mmHg)", max_digits=5, decimal_places=1, min_value=Decimal(1), max_value=Decimal(300)
    )
    diastolic_below = forms.DecimalField(
        label="Diastolic under (mmHg)", max_digits=5, decimal_places=1, min_value=Decimal(1), max_value=Decimal(300)
    )

    def pressures(self) -> tuple[MmHg, MmHg]:
        """Systolic and diastolic; only after `is_valid`."""
        return MmHg(self.cleaned_data["systolic_below"]), MmHg(self.cleaned_data["diastolic_below"])


class BoundaryForm(OnceForm):
    """The limits within which a small step may go straight to the patient: one line for each drug taken."""

    max_steps = forms.IntegerField(label="Steps in all", min_value=0, max_value=MAX_STEPS)
    min_interval_days = forms.IntegerField(label="Days between two steps, at least", min_value=28, max_value=184)
    expires_on = forms.DateField(
        label="Last day on which it holds", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    review_everything = forms.BooleanField(
        label="Send everything to me for review (nothing goes straight to the patient)", required=False
    )
    reason = forms.CharField(
        label="Why so much at once",
        required=False,
        max_length=500,
        help_text="Above the site's threshold (more drugs, or further up) a pharmacist approves it before you sign.",
    )

    def __init__(self, *args: object, drugs: Mapping[Drug, Milligrams | None]) -> None:
        """`drugs` with what is taken a day now, where that is known: a boundary goes up from there."""
        super().__init__(*args)
        self.drugs = tuple(drugs)
        for drug, now in drugs.items():
            above = [s.daily_dose for s in drug.steps if now is None or s.daily_dose.value > now.value]
            steps = [(format(dose.value, "f"), f"up to {_mg(dose)} a day") for dose in above]
            self.fields[f"most_{drug.ingredient}"] = forms.ChoiceField(
                label=f"{drug.name}", required=False, choices=[("", "Not covered"), *steps]
            )

    def drug_fields(self) -> list[forms.BoundField]:
        """The lines of drugs, for the template."""
        return [self[f"most_{drug.ingredient}"] for drug in self.drugs]

    def boundary(self, *, zone: str, now: datetime) -> NewBoundary:
        """What was filled in; it begins now and ends with the last local day. Only after `is_valid`."""
        after = self.cleaned_data["expires_on"] + timedelta(days=1)
        return NewBoundary(
            drugs=tuple(
                NewBoundaryDrug(
                    ingredient=drug.ingredient,
                    max_daily_dose_mg=Decimal(self.cleaned_data[f"most_{drug.ingredient}"]),
                    allow_up=True,
                )
                for drug in self.drugs
                if self.cleaned_data[f"most_{drug.ingredient}"]
            ),
            max_steps=self.cleaned_data["max_steps"],
            min_interval_days=self.cleaned_data["min_interval_days"],
            starts_at=now,
            expires_at=datetime.combine(after, time.min, tzinfo=ZoneInfo(zone)),
            review_everything=self.cleaned_data["review_everything"],
        )


class AcknowledgeForm(OnceForm):
    """Nothing but the key: a person has seen it."""


class DispositionForm(OnceForm):
    """How an alert ended."""

    code = forms.ChoiceField(label="How it ended", error_messages={"required": "Choose how it ended."})
    text = forms.CharField(label="In your own words", required=False, max_length=TEXT_MOST)

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.fields["code"].choices = reason_choices(DISPOSITIONS)  # type: ignore[attr-defined]


class SymptomReviewForm(OnceForm):
    """What came of a symptom."""

    outcome = forms.ChoiceField(label="What came of it", error_messages={"required": "Choose what came of it."})
    text = forms.CharField(label="In your own words", required=False, max_length=TEXT_MOST)

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.fields["outcome"].choices = reason_choices(SYMPTOM_OUTCOMES)  # type: ignore[attr-defined]


class CorrectionForm(OnceForm):
    """Why a reading does not count, and whose it is."""

    reason = forms.ChoiceField(label="Why it does not count", error_messages={"required": "Choose why."})
    moved_to = forms.UUIDField(
        label="It belongs to the patient with this identifier",
        required=False,
        help_text="Only when it was taken for the wrong patient, and that patient is in your care too.",
    )
    text = forms.CharField(label="In your own words", required=False, max_length=TEXT_MOST)

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.fields["reason"].choices = reason_choices(CORRECTIONS)  # type: ignore[attr-defined]

    def moved(self) -> UUID | None:
        """Whose reading it is; only after `is_valid`."""
        found = self.cleaned_data["moved_to"]
        return found if isinstance(found, UUID) else None


def longest_expiry(now: datetime, zone: str) -> date:
    """The last day a boundary signed now may hold."""
    return (now + LONGEST).astimezone(ZoneInfo(zone)).date() - timedelta(days=1)


def _mg(dose: Milligrams) -> str:
    return f"{format(dose.value.normalize(), 'f')} mg"
