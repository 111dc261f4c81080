"""What a clinician fills in to sign alert limits for a patient: one number each, nothing filled in beforehand."""

from __future__ import annotations

from decimal import Decimal

from django import forms

from ..danger import LimitName
from ..presenters import words
from ..presenters.limits import site_words
from .clinic import OnceForm


class AlertLimitsForm(OnceForm):
    """Where this patient's alerts speak earlier than the site's; a field left empty leaves the site's number."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        for name in LimitName:
            label, unit = words.limit(name)
            self.fields[name.value] = forms.DecimalField(
                label=f"{label} ({unit})",
                help_text=f"The site's limit: {site_words(name)}. Only a narrower number can be signed.",
                required=False,
                max_digits=5,
                decimal_places=1,
                min_value=Decimal(1),
                max_value=Decimal(300),
            )

    def limit_fields(self) -> list[forms.BoundField]:
        """The numbers, for the template."""
        return [self[name.value] for name in LimitName]

    def limits(self) -> dict[LimitName, Decimal]:
        """What was filled in; only after `is_valid`."""
        found = {name: self.cleaned_data[name.value] for name in LimitName}
        return {name: value for name, value in found.items() if value is not None}
