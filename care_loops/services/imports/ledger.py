"""What the record holds already, by the resource's source id and content.

Rule: the same resource with other content is another row, `<source_id>#<digest>`; content that is known makes no row.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

Signature = tuple[object, ...]
A_MOMENT = timedelta(seconds=1)


@dataclass(slots=True)
class Ledger:
    """What the record holds of one kind of evidence: content by the resource's source id."""

    held: dict[str, set[Signature]] = field(default_factory=lambda: defaultdict(set))

    def hold(self, source_id: str, signature: Signature) -> None:
        """Note a row of the record."""
        self.held[base_of(source_id)].add(signature)

    def place(self, source_id: str, signature: Signature) -> str | None:
        """The source id for a new row, or `None` when the record holds this content already. Notes it as held."""
        known = self.held[source_id]
        if signature in known:
            return None
        place = source_id if not known else f"{source_id}#{digest_of(signature)}"
        known.add(signature)
        return place


def base_of(source_id: str) -> str:
    """The resource's own source id."""
    return source_id.partition("#")[0]


def digest_of(signature: Signature) -> str:
    """What tells contents of one resource apart in their source ids."""
    return hashlib.sha256(repr(signature).encode()).hexdigest()[:8]
