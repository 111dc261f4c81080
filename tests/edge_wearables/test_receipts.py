"""A device is handed a signed promise for every batch, keeps it, and can show it when the entry is gone."""

import pytest
from django.utils import timezone

from audit import receipts
from audit.models import Pending
from audit.services import keys
from edge_wearables.runtime import DeviceRuntime, Identity
from tests.edge_wearables.entrance import ZONE, ClientLine, a_sender, pressure

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_device_keeps_the_signed_promise_of_every_batch(tmp_path):
    sender = a_sender()
    identity = Identity(str(sender.device_id), sender.private, ZONE)
    device = DeviceRuntime(tmp_path / "disk.sqlite3", identity, ClientLine(), batch_size=2)
    for ago in (600, 500, 400):
        content = pressure(1, ago=ago)
        content.pop("seq")
        device.record(content)
    device.sync(now=timezone.now())
    device.close()
    kept = DeviceRuntime(tmp_path / "disk.sqlite3", identity, ClientLine()).receipts()
    assert len(kept) == 2  # three readings in batches of two
    for entry_id, note in kept.items():
        promise = receipts.check(note.encode(), keys=[keys.statement_vkey()], origin=keys.origin())
        assert promise.leaf_hash == bytes(Pending.objects.get(entry_id=entry_id).leaf_hash)


def test_the_same_message_is_answered_with_the_same_receipt_to_the_byte():
    sender = a_sender()
    body, headers = sender.message([pressure(1)])
    first = sender.post(body, headers)
    assert first.json()["receipt"]["note"].startswith("clinaiops/receipt/v1\n")
    assert sender.post(body, headers).content == first.content
