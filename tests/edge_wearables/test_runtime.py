"""The device and the entrance together lose nothing and store nothing twice, whatever the line and crashes do."""

import json
import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from care_loops.models import BloodPressure
from edge_wearables.envelope import Message
from edge_wearables.models import Received
from edge_wearables.runtime import DeviceRuntime, Ended, HttpLine, Identity, Offline, Reply
from edge_wearables.sequences import Mark
from edge_wearables.services import receive
from edge_wearables.simulators.drive import Faults, drive
from edge_wearables.simulators.faults import Crashed
from edge_wearables.simulators.person import readings
from tests.edge_wearables.entrance import ZONE, ClientLine, a_sender, pressure

pytestmark = pytest.mark.django_db(transaction=True)

HAPPENINGS = ("record", "record", "record", "sync", "offline", "twice", "lost_answer")


class ScriptedLine:
    """Does to the next message what the script says, over the real door."""

    def __init__(self, line):
        self.line, self.next = line, "sync"

    def post(self, path, *, headers, body):
        if self.next == "offline":
            raise Offline("down")
        reply = self.line.post(path, headers=headers, body=body)
        if self.next == "twice":
            reply = self.line.post(path, headers=headers, body=body)
        if self.next == "lost_answer":
            raise Offline("answer lost")
        return reply


class RenumberingRuntime(DeviceRuntime):
    """The seeded defect: what was not acknowledged gets new numbers when it is sent again."""

    def _failed(self):
        self.db.execute("DELETE FROM outgoing")
        for seq, content in self.waiting().items():
            self.db.execute("DELETE FROM reading WHERE seq = ?", [seq])
            self.record(content)


def live_through(runtime_class, script, disk_folder):
    """Run a script of happenings, each perhaps cut short by a crash at its nth step; then send the rest. Returns
    (what the device recorded, what the server holds) as sorted contents."""
    sender = a_sender()
    identity = Identity(str(sender.device_id), sender.private, ZONE)
    line, disk, recorded = ScriptedLine(ClientLine()), disk_folder / f"{uuid4()}.sqlite3", []
    started = timezone.now()
    for number, (what, crash_at) in enumerate(script):
        left = [crash_at]

        def step(_name, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Crashed

        device = runtime_class(disk, identity, line, step=step, batch_size=3)
        try:
            if what == "record":
                content = pressure(1, systolic=100 + number, diastolic=70, ago=600)
                content.pop("seq")
                content["taken_at"] = (started - timedelta(minutes=500 - number)).isoformat()
                device.record(content)
            else:
                line.next = what
                device.sync(now=timezone.now())
        except Crashed:
            pass
        finally:
            device.close()
    line.next = "sync"
    device = runtime_class(disk, identity, line, batch_size=3)
    assert device.sync(now=timezone.now()).ended is Ended.ALL_SENT
    recorded = sorted(int(content["systolic"]) for content in device.kept().values())
    device.close()
    return recorded, sorted(int(row.systolic) for row in sender.stored())


scripts = st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 8)), max_size=14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=scripts)
def test_any_interleaving_of_drops_repeats_and_crashes_ends_with_exactly_the_device_s_readings(script, tmp_path):
    recorded, stored = live_through(DeviceRuntime, script, tmp_path)
    assert stored == recorded


def test_a_runtime_that_renumbers_on_retry_is_caught_by_the_same_test(tmp_path):
    def caught(script):
        recorded, stored = live_through(RenumberingRuntime, script, tmp_path)
        return stored != recorded

    script = find(scripts, caught, settings=settings(max_examples=300, phases=[Phase.generate], deadline=None))
    assert "lost_answer" in {what for what, _ in script}


def test_a_message_is_sent_again_with_the_same_bytes(tmp_path):
    sender = a_sender()
    sent = []

    class Listening(ClientLine):
        def post(self, path, *, headers, body):
            sent.append((tuple(sorted(headers.items())), body))
            if len(sent) < 3:
                raise Offline("down")
            return super().post(path, headers=headers, body=body)

    for _ in range(3):
        device = DeviceRuntime(tmp_path / "d", Identity(str(sender.device_id), sender.private, ZONE), Listening())
        if not device.kept():
            device.record({k: v for k, v in pressure(1).items() if k != "seq"})
        ended = device.sync(now=timezone.now()).ended
        device.close()
    assert ended is Ended.ALL_SENT
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_a_refused_device_keeps_everything(tmp_path):
    sender = a_sender()
    stranger = Identity(str(sender.device_id), bytes(range(32)), ZONE)
    device = DeviceRuntime(tmp_path / "d", stranger, ClientLine())
    device.record({k: v for k, v in pressure(1).items() if k != "seq"})
    ended = device.sync(now=timezone.now())
    assert (ended.ended, ended.code) == (Ended.REFUSED, "unknown_key")
    assert list(device.waiting()) == [1]


def test_a_message_too_large_is_sent_in_smaller_ones(tmp_path):
    sender = a_sender()
    device = DeviceRuntime(
        tmp_path / "d", Identity(str(sender.device_id), sender.private, ZONE), ClientLine(), batch_size=1200
    )
    content = json.dumps({k: v for k, v in pressure(1).items() if k != "seq"})
    device.db.execute("BEGIN")
    device.db.executemany("INSERT INTO reading (seq, content) VALUES (?, ?)", [(n, content) for n in range(1, 1101)])
    device.db.execute("COMMIT")
    assert device.sync(now=timezone.now()).ended is Ended.ALL_SENT
    assert BloodPressure.objects.count() == 1100


def test_what_the_server_misses_is_sent_again(tmp_path):
    sender = a_sender()
    device = DeviceRuntime(tmp_path / "d", Identity(str(sender.device_id), sender.private, ZONE), ClientLine())
    for n in range(3):
        device.record({k: v for k, v in pressure(1, systolic=120 + n).items() if k != "seq"})
    device.db.execute("UPDATE reading SET done = 1 WHERE seq <= 2")  # as after a server restored from an old copy
    assert device.sync(now=timezone.now()).ended is Ended.ALL_SENT
    assert [int(row.systolic) for row in sender.stored()] == [120, 121, 122]


def test_over_real_http_with_faults_every_reading_arrives_once(live_server, tmp_path):
    sender = a_sender()
    identity = Identity(str(sender.device_id), sender.private, ZONE)
    driven = drive(
        tmp_path / "d",
        identity,
        HttpLine(live_server.url),
        seed=11,
        first_day=(timezone.now() - timedelta(days=6)).date(),
        days=6,
        faults=Faults(offline=0.3, duplicate=0.3, crash=0.05),
        clock=timezone.now,
    )
    assert driven.ended is Ended.ALL_SENT
    assert driven.waiting == 0
    assert driven.recorded > 10
    assert driven.crashes > 0
    assert Received.objects.count() == driven.recorded
    assert BloodPressure.objects.count() == driven.recorded


class HandedIn:
    """A line into this process, with the server's clock handed in."""

    def __init__(self, now):
        self.now = now

    def post(self, path, *, headers, body):
        return Reply(200, receive(Message(dict(headers), body), now=self.now).body)


def test_weeks_are_lived_through_with_the_time_handed_in(tmp_path):
    start = timezone.now() - timedelta(days=56)
    sender, line = a_sender(), HandedIn(start)
    device = DeviceRuntime(tmp_path / "d", Identity(str(sender.device_id), sender.private, ZONE), line)
    for reading in readings(seed=4, zone=ZONE, first_day=start.date() + timedelta(days=1), days=14):
        device.record(reading.content)
        line.now = reading.taken_at + timedelta(minutes=2)
        assert device.sync(now=line.now).ended is Ended.ALL_SENT
    rows = sender.stored()
    assert len(rows) == len(device.kept()) > 40
    assert {(row.quarantined, tuple(row.flags)) for row in rows} == {("", ())}
    assert all(row.received_at - row.taken_at == timedelta(minutes=2) for row in rows)


def test_a_line_to_nowhere_is_offline():
    with pytest.raises(Offline):
        HttpLine("http://127.0.0.1:9", timeout=2).post("/x", headers={}, body=b"")
    with pytest.raises(ValueError, match="not an address"):
        HttpLine("file:///etc/passwd")


def test_the_same_seed_measures_the_same():
    day = timezone.now().date()
    one, two = (list(readings(seed=5, zone=ZONE, first_day=day, days=10)) for _ in range(2))
    assert one == two
    assert one != list(readings(seed=6, zone=ZONE, first_day=day, days=10))
    assert all(r.content["systolic"] - r.content["diastolic"] >= 15 for r in one)


# -- numbers -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 60), max_size=12), max_size=8))
def test_the_mark_knows_exactly_what_was_seen(batches):
    mark, seen = Mark(), set()
    for batch in batches:
        mark = mark.taking(batch)
        seen |= set(batch)
        assert mark.high_water == max(seen, default=0)
        missing = {n for low, high in mark.gaps for n in range(low, high + 1)}
        assert missing == set(range(1, mark.high_water + 1)) - seen
        assert list(mark.gaps) == sorted(mark.gaps)


def test_a_mark_in_a_random_order_ends_the_same():
    numbers = list(range(1, 400))
    random.Random(3).shuffle(numbers)
    mark = Mark()
    for start in range(0, len(numbers), 7):
        mark = mark.taking(numbers[start : start + 7])
    assert mark == Mark(399, ())
