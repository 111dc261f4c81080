"""Two thousand honest logs, each its own, and the offline verifier accuses none (SECURITY N1)."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.audit.tamper.forging import bundle, zipped
from tests.audit.tamper.trial import Auditor, Tally, Verdict, clean, desk
from tests.audit.tamper.world import grown

SEED = 20261122
PARTS = 4
EACH = 500  # of 2,000


@pytest.mark.parametrize("part", range(PARTS))
def test_no_honest_log_is_accused(part):
    """Whole or one patient's part of it; what nobody has seen yet is counted to the entry and never called good."""
    tally = Tally(SEED + part)
    with desk() as folder:
        clean(tally, range(EACH), folder=folder, sizes=range(10, 36))
    print(tally.table())
    assert tally.clean == EACH
    assert tally.false_alarms == []


def test_the_counting_notices_an_honest_log_that_is_accused():
    """The seeded defect: one receipt of another log's entry among this log's."""
    world, other = grown(random.Random(1), 30), grown(random.Random(2), 30, share=1)
    with desk() as folder:
        auditor = Auditor(folder)
        file = zipped(bundle(replace(world, now=world.now + timedelta(days=1))))
        assert auditor.judge(file, seen=world.seen) == Verdict(0, "")
        assert auditor.judge(file, seen=world.seen, receipts=[*other.receipts.values()]).code == "receipt-missing"
