"""The receipt of a decision, for whoever may read it."""

from __future__ import annotations

from audit.services.receipts import receipts_of
from governance.domain import NotFound

from ..models import Decision, Loop


def receipt_of_decision(loop: Loop) -> bytes:
    """The signed receipt of the decision on this loop; raises NotFound while there is none."""
    entry = Decision.objects.filter(loop=loop).values_list("entry", flat=True).first()
    if entry is None:
        raise NotFound("Nothing was decided here yet.")
    return receipts_of([entry])[entry]
