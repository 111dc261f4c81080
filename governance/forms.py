"""What people fill in on the pages of the record: parsed, and refused field by field, by name.

Rules
 * Every field may stay empty: what is empty matches everything. Fields that are given must all hold.
 * Times are UTC, and those of the database's clock.
"""

from __future__ import annotations

import re
from itertools import groupby
from uuid import uuid4

from django import forms

from audit.domain import Outcome
from audit.kinds import REGISTRY
from audit.services.searching import Wanted
from audit.words import kind, of, opened

from .findings import SUBJECTS, Severity
from .presenters.oversight import SCOPES as SUBJECT_WORDS
from .suspension import Scope

SCOPE_WORDS = {scope: SUBJECT_WORDS[scope.value] for scope in Scope}
_PSEUDONYM = re.compile(r"[0-9a-f]{64}")
_FAMILY = {"log": "The record itself", "key": "Keys of the record", "care_team": "Care team"}
_UTC = {"type": "datetime-local", "step": "1"}


def kind_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The closed registry in plain words, by family; a whole family may be chosen."""
    found = []
    for family, names in groupby(sorted(REGISTRY), key=lambda name: name.partition(".")[0]):
        title = _FAMILY.get(family, opened(family).capitalize())
        one = [(name, kind(name)) for name in names]
        found.append((title, [(family, f"{title}: everything"), *one] if len(one) > 1 else one))
    return found


class SearchForm(forms.Form):
    """What to look for. `who_id` is set by `clean_who`."""

    who = forms.CharField(
        label="Who",
        required=False,
        max_length=200,
        help_text="A user name of the staff, or the identifier of a person, device, program or model.",
    )
    kind = forms.ChoiceField(label="What happened", required=False)
    about = forms.CharField(
        label="About the patient (pseudonym)",
        required=False,
        max_length=64,
        help_text="64 characters, as the record knows them.",
    )
    thing = forms.CharField(
        label="Identifier of the thing",
        required=False,
        max_length=200,
        help_text="Of a recommendation, a record, a device, an export.",
    )
    since = forms.DateTimeField(label="Recorded from (UTC)", required=False, widget=forms.DateTimeInput(_UTC))
    until = forms.DateTimeField(label="Recorded before (UTC)", required=False, widget=forms.DateTimeInput(_UTC))
    outcome = forms.ChoiceField(
        label="How it ended",
        required=False,
        choices=[("", "However"), *((each.value, of("outcomes", each.value)) for each in Outcome)],
    )
    below = forms.IntegerField(required=False, min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.label_suffix = ""
        self.fields["kind"].choices = [("", "Anything"), *kind_choices()]  # type: ignore[attr-defined]

    def clean_about(self) -> str:
        """A pseudonym, or nothing."""
        said = str(self.cleaned_data["about"]).strip().lower()
        if said and _PSEUDONYM.fullmatch(said) is None:
            raise forms.ValidationError(
                "This is no pseudonym: one has 64 characters, 0 to 9 and a to f. A record is found by its identifier"
                " under “Find a patient”."
            )
        return said

    def clean(self) -> dict[str, object]:
        """A range that begins before it ends; nothing that no text of the record holds."""
        said = super().clean() or {}
        since, until = said.get("since"), said.get("until")
        if since and until and since >= until:
            self.add_error("until", "The range ends before it begins.")
        for name in ("who", "thing"):
            if "\x00" in str(said.get(name, "")):
                self.add_error(name, "This cannot be read.")
        return said

    def wanted(self, actor: str) -> Wanted:
        """What to look for, once it is valid; `actor` is who `who` names."""
        said = self.cleaned_data
        chosen = said["kind"]
        kinds = (chosen,) if "." in chosen else tuple(n for n in REGISTRY if chosen and n.startswith(f"{chosen}."))
        return Wanted(
            kinds=kinds,
            actor=actor,
            subject=said["about"],
            object_id=said["thing"].strip(),
            since=said["since"],
            until=said["until"],
            outcome=said["outcome"],
        )


class KeyedForm(forms.Form):
    """A form that acts once however often it is sent. `key` is drawn when the page is shown."""

    key = forms.CharField(widget=forms.HiddenInput, min_length=8, max_length=64)

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]  # as the library takes them
        self.fields["key"].initial = uuid4().hex


class SwitchForm(KeyedForm):
    """What is stopped at once, and why."""

    scope = forms.ChoiceField(label="What is stopped", choices=[(s.value, SCOPE_WORDS[s]) for s in Scope])
    name = forms.CharField(
        label="Its name",
        required=False,
        max_length=160,
        help_text="Of a pathway, model (name or name@version), boundary, device type or group. Everything has no name.",
    )
    reason = forms.CharField(label="Why", max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))


class WhyForm(KeyedForm):
    """A reason."""

    reason = forms.CharField(label="Why", max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))


class FindingForm(KeyedForm):
    """What was found, about what, how grave, and what shows it."""

    title = forms.CharField(label="What is not as it should be", max_length=200, help_text="Name no patient here.")
    cause = forms.SlugField(
        label="Cause, as a code", max_length=60, help_text="The same code again is the same finding."
    )
    subject = forms.ChoiceField(label="About", choices=[(s, SUBJECT_WORDS[s]) for s in SUBJECTS])
    name = forms.CharField(label="Its name", required=False, max_length=160)
    severity = forms.ChoiceField(label="How grave", choices=[(s.value, s.value) for s in Severity])
    evidence_kind = forms.ChoiceField(
        label="What shows it", choices=[(k, k) for k in ("entry", "recommendation", "model", "device", "document")]
    )
    evidence = forms.CharField(label="Which one", max_length=160, help_text="Its identifier.")
    text = forms.CharField(label="In words", required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class OwnForm(KeyedForm):
    """Who corrects it, and by when."""

    owner = forms.CharField(label="Owner, by user name", max_length=150)
    due_at = forms.DateTimeField(
        label="Due (UTC)", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )


class SaidForm(KeyedForm):
    """A text."""

    said = forms.CharField(label="In words", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
