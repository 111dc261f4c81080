"""What a model card must say before a predictor may serve (N7), and what is missing from one.

Rules
 * A card answers every heading of `REQUIRED` in words; an empty answer is a missing one.
 * Nothing is filled in by machine: whoever registers the predictor writes the card.
"""

from __future__ import annotations

from collections.abc import Mapping

REQUIRED = (
    "intended_use",
    "not_for",
    "how_it_works",
    "inputs",
    "evidence",
    "limits",
    "training_data",
    "privacy",
    "oversight",
    "owner",
)


class IncompleteCard(ValueError):
    """The card does not say all it must; `missing` names the headings."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(f"the card does not answer: {', '.join(missing)}")
        self.missing = missing


def check_card(card: Mapping[str, str]) -> None:
    """Raise `IncompleteCard` unless every heading is answered."""
    missing = tuple(heading for heading in REQUIRED if not str(card.get(heading, "")).strip())
    if missing:
        raise IncompleteCard(missing)
