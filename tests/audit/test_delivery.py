"""Messages leave after commit, at least once; their effect in the database happens once; nothing circles for ever."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from audit.models import Inbox, Outbox
from audit.selectors import count_entries
from audit.services import NotInTransaction, RelayReport, append, enqueue, relay, take_once
from audit.services.delivery import MAX_ATTEMPTS
from tests.audit.builders import event

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def _send(n: int = 1, topic: str = "to_phone", **when) -> list:
    with transaction.atomic():
        return [enqueue(topic, {"loop": f"loop-{i}"}, **when) for i in range(n)]


def _due_now() -> None:
    """Let the back-off pass."""
    Outbox.objects.update(available_at=datetime.now(UTC) - timedelta(seconds=1))


def test_a_message_is_left_in_the_transaction_or_not_at_all():
    with pytest.raises(NotInTransaction):
        enqueue("to_phone", {"loop": "1"})
    with transaction.atomic():
        enqueue("to_phone", {"loop": "1"})
        transaction.set_rollback(True)
    assert Outbox.objects.count() == 0


def test_each_message_is_handed_over_once_and_marked_sent():
    sent, seen = _send(3), []
    assert relay({"to_phone": seen.append}) == RelayReport(sent=3)
    assert {message.id for message in seen} == set(sent)
    assert {message.payload["loop"] for message in seen} == {"loop-0", "loop-1", "loop-2"}
    assert relay({"to_phone": seen.append}) == RelayReport()
    assert len(seen) == 3


def test_other_topics_and_later_messages_are_left_alone():
    _send(topic="to_worklist")
    _send(available_at=datetime.now(UTC) + timedelta(hours=1))
    assert relay({"to_phone": lambda _: None}) == RelayReport()
    assert Outbox.objects.filter(attempts=0).count() == 2


def test_a_failing_handler_undoes_its_effect_and_is_tried_again_later():
    _send()

    def fails(message):
        append(event("half"))
        raise ConnectionError("patient Smith's phone is off")

    assert relay({"to_phone": fails}) == RelayReport(failed=1)
    assert count_entries() == 0
    row = Outbox.objects.get()
    assert (row.last_error, row.attempts, row.sent_at) == ("ConnectionError", 1, None)
    assert relay({"to_phone": fails}) == RelayReport()  # not before its time
    _due_now()
    assert relay({"to_phone": lambda _: None}) == RelayReport(sent=1)


def test_after_five_failures_a_message_is_parked_for_a_person():
    _send()

    def fails(message):
        raise ConnectionError

    reports = []
    for _ in range(MAX_ATTEMPTS + 2):
        reports.append(relay({"to_phone": fails}))
        _due_now()
    assert [report.failed for report in reports] == [1, 1, 1, 1, 0, 0, 0]
    assert [report.parked for report in reports] == [0, 0, 0, 0, 1, 0, 0]
    assert Outbox.objects.get().parked_at is not None


def test_a_message_whose_handler_kills_its_process_is_parked_too():
    """The attempt is counted and committed before the handler runs, so dying counts."""
    _send()
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            relay({"to_phone": _dies})
        _due_now()
    assert relay({"to_phone": _dies}) == RelayReport(parked=1)
    assert Outbox.objects.get().last_error == "died"


def _dies(message) -> None:
    raise SystemExit(137)


def test_delivered_twice_the_effect_in_the_database_happens_once():
    """A crash after the effect committed elsewhere, or a lease that ran out: the inbox remembers."""
    (message_id,) = _send()
    seen = []
    relay({"to_phone": seen.append})
    Outbox.objects.update(sent_at=None)
    _due_now()
    assert relay({"to_phone": seen.append}) == RelayReport(repeated=1)
    assert len(seen) == 1
    with transaction.atomic():
        assert take_once("relay:to_phone", message_id) is False
        assert take_once("another consumer", message_id) is True
    assert Inbox.objects.count() == 2


def test_the_inbox_is_asked_in_the_transaction_of_the_effect():
    with pytest.raises(NotInTransaction):
        take_once("consumer", _send()[0])


def test_several_relays_at_once_share_the_work_and_double_none():
    _send(40)
    barrier, seen, reports = threading.Barrier(4), [], []

    def work():
        try:
            barrier.wait(10)
            reports.append(relay({"to_phone": seen.append}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(report.sent for report in reports) == 40
    assert len(seen) == len({message.id for message in seen}) == 40
    assert Outbox.objects.filter(sent_at__isnull=True).count() == 0
