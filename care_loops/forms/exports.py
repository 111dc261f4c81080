"""What is filled in to find a patient in the record, and to ask for an export.

Rules
 * Only patients whose record is open to who fills it in are offered by name; anybody else's is given by identifier.
 * An export has only the fields that its report is asked for with, and only the purposes of who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django import forms

from audit.bundles.selecting import Report
from audit.domain import Purpose
from audit.words import of

from ..models import Patient
from ..selectors.exports import ExportRequest, needs_of
from .clinic import OnceForm

_UTC = {"type": "datetime-local", "step": "1"}


def _by_name(patients: Iterable[Patient]) -> list[tuple[str, str]]:
    near = sorted((patient.shown_name, str(patient.pk)) for patient in patients)
    return [("", "Choose…"), *((key, name) for name, key in near)]


class FindPatientForm(forms.Form):
    """Whom to look for: one of one's own patients, or an identifier."""

    mine = forms.ChoiceField(label="One of your patients", required=False)
    record_id = forms.UUIDField(
        label="Identifier of the record",
        required=False,
        error_messages={
            "invalid": "This is no identifier of a record: they look like 6ba7b810-9dad-41d1-80b4-00c04fd430c8."
        },
    )

    def __init__(self, *args: object, patients: Iterable[Patient]) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.label_suffix = ""
        choices = _by_name(patients)
        self.fields["mine"].choices = choices  # type: ignore[attr-defined]
        if len(choices) == 1:
            del self.fields["mine"]

    def clean(self) -> dict[str, object]:
        """Exactly one of the two."""
        said = super().clean() or {}
        if not self.errors and bool(said.get("mine")) == bool(said.get("record_id")):
            raise forms.ValidationError("Give one patient: by name or by identifier.")
        return said

    def patient_id(self) -> UUID:
        """Whom; only after `is_valid`."""
        return self.cleaned_data.get("record_id") or UUID(self.cleaned_data["mine"])


class ExportForm(OnceForm):
    """One export: the fields its report needs, why it is taken out, and to whom it goes."""

    report = forms.ChoiceField(widget=forms.HiddenInput, choices=[(report.value, report.value) for report in Report])
    mine = forms.ChoiceField(label="One of your patients", required=False)
    patient = forms.UUIDField(label="Identifier of the patient's record", required=False)
    decision = forms.UUIDField(label="Identifier of the recommendation", required=False)
    model = forms.CharField(label="Model", max_length=200, required=False, help_text="As name@version, or its digest.")
    person = forms.CharField(label="User name", max_length=150, required=False)
    since = forms.DateTimeField(label="Recorded from (UTC)", required=False, widget=forms.DateTimeInput(_UTC))
    until = forms.DateTimeField(label="Recorded before (UTC)", required=False, widget=forms.DateTimeInput(_UTC))
    purpose = forms.ChoiceField(
        label="Why it is taken out",
        required=False,
    )
    recipient = forms.CharField(
        label="For whom", max_length=200, required=False, help_text="When it is for somebody else than you."
    )

    def __init__(
        self, *args: object, chosen: Report, patients: Iterable[Patient], purposes: Iterable[Purpose], **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["report"].initial = chosen.value
        self.fields["purpose"].choices = [  # type: ignore[attr-defined]
            ("", "The usual purpose of your role"),
            *((p.value, of("purposes", p.value).capitalize()) for p in purposes),
        ]
        self.fields["mine"].choices = _by_name(patients)  # type: ignore[attr-defined]
        needed = set(needs_of(chosen))
        if "patient" in needed and len(self.fields["mine"].choices) > 1:  # type: ignore[attr-defined]
            needed.add("mine")
        for name in {"mine", "patient", "decision", "model", "person", "since", "until"} - needed:
            del self.fields[name]
        for name in needed & {"decision", "model", "person"}:
            self.fields[name].required = True

    def clean(self) -> dict[str, object]:
        """A patient is given once; a period has a bound."""
        said = super().clean() or {}
        if "patient" in self.fields and "patient" not in self.errors and not (said.get("mine") or said.get("patient")):
            self.add_error("patient", "Say which patient.")
        if said.get("mine") and said.get("patient"):
            self.add_error("patient", "Give one patient: by name or by identifier.")
        if "since" in self.fields and not self.errors and not (said.get("since") or said.get("until")):
            self.add_error("since", "Say from when, or before when.")
        return said

    def request(self) -> ExportRequest:
        """What is asked for; only after `is_valid`."""
        said = self.cleaned_data
        mine = said.get("mine")
        return ExportRequest(
            report=Report(said["report"]),
            patient=UUID(mine) if mine else said.get("patient"),
            decision=said.get("decision"),
            model=said.get("model", ""),
            person=said.get("person", ""),
            since=said.get("since"),
            until=said.get("until"),
            purpose=Purpose(said["purpose"]) if said["purpose"] else None,
            recipient=said["recipient"],
        )
