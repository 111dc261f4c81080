"""However often a command is sent, it has one effect and one answer."""

import threading
from hashlib import sha256

import pytest
from django.db import connections

from audit.domain import Device, Job, Model, Person
from audit.models import IdempotencyKey
from audit.selectors import count_entries
from audit.services import BodyDiffers, StillRunning, StoredResponse, append, idempotent
from audit.services.commands import KeyUnusable, actor_name
from tests.audit.builders import DR_LEE, event

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])

BODY = sha256(b"approve").digest()


def _decide(key="k-1", *, actor=DR_LEE, route="decide", body=BODY, work=None) -> StoredResponse:
    def effect() -> StoredResponse:
        append(event(f"loop-{count_entries()}"))
        return StoredResponse(200, b'{"state":"approved"}')

    return idempotent(actor, key=key, route=route, body_sha256=body, work=work or effect)


def test_sent_twice_it_happens_once_and_answers_the_same():
    first, second = _decide(), _decide()
    assert (first.status, first.body, first.replayed) == (200, b'{"state":"approved"}', False)
    assert (second.status, second.body, second.content_type) == (first.status, first.body, first.content_type)
    assert second.replayed
    assert count_entries() == 1


def test_the_same_key_for_another_command_is_refused():
    _decide()
    with pytest.raises(BodyDiffers):
        _decide(body=sha256(b"reject").digest())
    assert count_entries() == 1


@pytest.mark.parametrize("other", [{"actor": Person("18", "clinician")}, {"route": "modify"}, {"key": "k-2"}])
def test_another_person_route_or_key_is_another_command(other):
    _decide()
    _decide(**other)
    assert count_entries() == 2


def test_a_refused_command_may_be_sent_again():
    def refuses() -> StoredResponse:
        append(event("undone"))
        raise PermissionError("not yours")

    with pytest.raises(PermissionError):
        _decide(work=refuses)
    assert count_entries() == 0
    assert _decide().replayed is False


def _at_once(count: int, work) -> list:
    """Run `work` in threads that start together; what each returned or raised."""
    barrier, results = threading.Barrier(count), []

    def run():
        try:
            barrier.wait(10)
            results.append(work())
        except StillRunning as err:
            results.append(err)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_double_submits_at_the_same_moment_have_one_effect():
    for n in range(5):
        results = _at_once(5, lambda n=n: _decide(f"k-{n}"))
        answers = [each for each in results if isinstance(each, StoredResponse)]
        assert len(results) == 5
        assert all(isinstance(each, StoredResponse | StillRunning) for each in results)
        assert sum(not each.replayed for each in answers) == 1
        assert len({each.body for each in answers}) == 1
    assert count_entries() == 5


def test_while_the_first_is_at_work_the_second_is_told_so():
    entered, leave, answers = threading.Event(), threading.Event(), []

    def slow() -> StoredResponse:
        entered.set()
        assert leave.wait(10)
        return StoredResponse(200, b"done")

    def first():
        answers.append(_decide(work=slow))
        connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(StillRunning):
        _decide()
    leave.set()
    thread.join(10)
    assert _decide().body == b"done"
    assert answers[0].replayed is False


def test_the_seeded_defect_of_asking_first_and_storing_later_doubles_the_effect():
    """The power check: read, then write, without the lock; the same barrier doubles it."""
    gate = threading.Barrier(2)

    def naive() -> str:
        seen = IdempotencyKey.objects.filter(key="naive").exists()
        gate.wait(10)
        return "replayed" if seen else "done"

    assert _at_once(2, naive) == ["done", "done"]


@pytest.mark.parametrize("key", ["", "k" * 256, "a\x00b"])
def test_an_unusable_key_is_refused(key):
    with pytest.raises(KeyUnusable):
        _decide(key)


def test_actors_of_different_kinds_never_share_a_name():
    actors = [Person("1", "nurse"), Device("1"), Job("1", "r"), Model("1", "1")]
    assert len({actor_name(actor) for actor in actors}) == 4
