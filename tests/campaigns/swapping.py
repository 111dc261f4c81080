"""Ten thousand requests of the API with ids of others in path, query and body; none may show or touch what is theirs.

The seeded defect is the same API with two doors whose check of the relation is taken out; the same counting sees both.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from django.test import override_settings

from tests.access.cast import built
from tests.access.swapping import swap

from .figure import Figure

DEFECT_TRIES = 1_000
PLANTED = "tests.access.planted"


def object_ids(n: int, *, seed: int) -> Figure:
    """`n` swaps; how many leaked."""
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as folder,
        override_settings(
            AUDIT_SIGNER="tests.signers.forgetful",
            AUDIT_WITNESS_POLICY="",
            CHANNEL_FILE=str(Path(folder) / "sent"),
            ALLOWED_HOSTS=["testserver"],
        ),
    ):
        cast = built()
        done = swap(cast, n, seed=seed)
        with override_settings(ROOT_URLCONF=PLANTED):
            planted = swap(cast, DEFECT_TRIES, seed=seed).leaks
    for leak in done.leaks[:20]:
        print(leak)
    shown, changed = (any(word in leak for leak in planted) for word in ("me/history", "record changed"))
    answers = ", ".join(f"{many} x {status}" for status, many in sorted(done.answered.items()))
    return Figure(
        done.tried, len(done.leaks), seed, shown and changed, f"answers {answers}; planted {len(planted)} leaks"
    )
