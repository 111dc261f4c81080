"""What was refused is on record, and a flood of refusals does not drown it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from audit.domain import Device, EventInvalid, Job, Model, Outcome
from audit.models import DenialTally, Entry, Pending
from audit.selectors import count_entries, payload_of
from audit.services import append_denied, flush_denials, sequence_until_empty
from audit.services.denials import BURST
from tests.audit.builders import DR_LEE, denial

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])

LATER = timedelta(minutes=2)


def test_a_denial_is_an_entry_with_outcome_and_reason():
    done = append_denied(denial())
    assert done is not None
    sequence_until_empty()
    entry = Entry.objects.get(entry_id=done.entry_id)
    assert (entry.type, entry.outcome, entry.actor_id) == ("access.denied", "denied", "17")


def test_it_is_written_although_the_refused_act_was_rolled_back():
    with pytest.raises(PermissionError), transaction.atomic():
        raise PermissionError
    append_denied(denial())
    assert count_entries() == 1


def test_inside_a_transaction_that_may_roll_back_it_refuses():
    with pytest.raises(RuntimeError), transaction.atomic():
        append_denied(denial())


@pytest.mark.parametrize("wrong", [{"outcome": Outcome.OK}, {"reason_code": None}, {"actor": None}])
def test_a_denial_without_outcome_reason_or_actor_is_refused(wrong):
    with pytest.raises(EventInvalid):
        append_denied(denial(**wrong))
    assert DenialTally.objects.count() == 0


def _flood(actor, many: int) -> list:
    """So many denials within one minute, however the clock stands."""
    while True:
        before = datetime.now(UTC).minute
        done = [append_denied(denial(actor=actor)) for _ in range(many)]
        if datetime.now(UTC).minute == before:
            return done
        DenialTally.objects.all().delete()


@pytest.mark.parametrize(
    "actor", [DR_LEE, Device("cuff"), Job("login", "web"), Model("m", "1")], ids=lambda actor: type(actor).__name__
)
def test_a_flood_is_counted_and_told_in_one_entry(actor):
    done = _flood(actor, BURST + 15)
    assert [each is None for each in done] == [False] * BURST + [True] * 15
    before = set(Pending.objects.values_list("entry_id", flat=True))
    assert flush_denials(now=datetime.now(UTC) + LATER) == 1
    (told,) = set(Pending.objects.values_list("entry_id", flat=True)) - before
    assert payload_of(told)["aggregated"] == 15
    assert DenialTally.objects.count() == 0
    assert flush_denials(now=datetime.now(UTC) + LATER) == 0


def test_the_flood_of_one_does_not_silence_another():
    _flood(DR_LEE, BURST + 1)
    assert append_denied(denial(actor=Device("cuff"))) is not None
    assert append_denied(denial(reason_code="locked")) is not None


def test_the_minute_that_still_runs_is_left_alone():
    _flood(DR_LEE, BURST + 1)
    assert flush_denials(now=datetime.now(UTC) - LATER) == 0
    assert DenialTally.objects.count() == 1


def test_a_few_denials_leave_no_tally_behind():
    append_denied(denial())
    assert flush_denials(now=datetime.now(UTC) + LATER) == 0
    assert DenialTally.objects.count() == 0
