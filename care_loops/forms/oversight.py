"""What people fill in on the pages of incidents, adverse events and autonomy."""

from __future__ import annotations

from django import forms

from governance.autonomy import Level
from governance.findings import SUBJECTS
from governance.forms import KeyedForm
from governance.incidents import IncidentClass, IncidentState
from governance.presenters.oversight import CLASSES, INCIDENT_STATES, LEVELS, SCOPES

from ..domain.adverse import AdverseKind
from ..pathways.hypertension.tables_cohorts import cohorts
from ..presenters.vocabulary import ADVERSE, KINDS
from ..selectors.autonomy import ACTIONS

_AT = {"type": "datetime-local"}
_CLASSES = [(c.value, CLASSES[c]) for c in IncidentClass]


class IncidentForm(KeyedForm):
    """What happened, about what, when, and as which class it is seen."""

    title = forms.CharField(label="What happened", max_length=200, help_text="Name no patient here.")
    subject = forms.ChoiceField(label="About", choices=[(s, SCOPES[s]) for s in SUBJECTS])
    name = forms.CharField(label="Its name", required=False, max_length=160)
    happened_from = forms.DateTimeField(label="From (UTC)", widget=forms.DateTimeInput(attrs=_AT))
    happened_until = forms.DateTimeField(label="Until (UTC)", widget=forms.DateTimeInput(attrs=_AT))
    aware_at = forms.DateTimeField(label="Somebody here knew at (UTC)", widget=forms.DateTimeInput(attrs=_AT))
    of = forms.ChoiceField(label="Seen as", choices=_CLASSES)
    said = forms.CharField(label="In words", required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class IncidentStepForm(KeyedForm):
    """Assessed as which class, reported to whom, or closed, and why."""

    state = forms.ChoiceField(
        label="Now", choices=[(s.value, INCIDENT_STATES[s]) for s in IncidentState if s is not IncidentState.OPEN]
    )
    of = forms.ChoiceField(label="Class", choices=_CLASSES)
    authority = forms.CharField(label="Authority told", required=False, max_length=120)
    reference = forms.CharField(label="Its reference", required=False, max_length=120)
    said = forms.CharField(label="Why", max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))


class AdverseForm(KeyedForm):
    """What happened to a patient, how grave, and when."""

    kind = forms.ChoiceField(label="What happened", choices=[(k.value, ADVERSE[k]) for k in AdverseKind])
    of = forms.ChoiceField(label="How grave", choices=_CLASSES)
    onset_at = forms.DateTimeField(label="It began (UTC)", widget=forms.DateTimeInput(attrs=_AT))
    known_at = forms.DateTimeField(label="You knew at (UTC)", widget=forms.DateTimeInput(attrs=_AT))
    words = forms.CharField(label="In words", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class GateForm(KeyedForm):
    """Which level is asked for, for which groups and changes."""

    level = forms.ChoiceField(
        label="Level", choices=[(level.value, LEVELS[level]) for level in Level if level is not Level.OBSERVE]
    )
    cohorts = forms.MultipleChoiceField(
        label="Groups of patients",
        choices=[(c.name, c.name.replace("_", " ")) for c in cohorts()],
        widget=forms.CheckboxSelectMultiple,
    )
    actions = forms.MultipleChoiceField(
        label="Changes",
        choices=[(a, words) for a, words in ((k.value, KINDS[k]) for k in KINDS) if a in ACTIONS],
        widget=forms.CheckboxSelectMultiple,
    )
