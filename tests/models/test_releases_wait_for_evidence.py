"""No model is released while the record's witnesses are more than a quarter of an hour behind; care is not held up."""

from datetime import timedelta

import pytest

from audit import notes, witnessed
from audit.services import signing
from models.registry.selectors import serving
from models.registry.services import EvidenceStale, activate, approve
from tests.governance.people import now
from tests.models.test_registry import people, registered  # noqa: F401  (a fixture, and what it builds)

pytestmark = pytest.mark.django_db


def test_a_release_waits_until_the_witnesses_are_back(people, settings, tmp_path, monkeypatch):  # noqa: F811
    version = registered(people)
    for name in ("one", "two"):
        approve(version, by=people[name], now=now())
    key = notes.WitnessKey("witness.example/w", notes.Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    policy = tmp_path / "policy"
    policy.write_text(f"log {signing.first_key()}\nwitness w {key} http://127.0.0.1:9/\nquorum w\n")
    settings.AUDIT_WITNESS_POLICY = str(policy)
    for limit in ("BEHIND_AFTER", "STALE_AFTER"):  # the entries above are milliseconds old
        monkeypatch.setattr(witnessed, limit, timedelta(0))
    with pytest.raises(EvidenceStale):
        activate(version, by=people["author"], now=now())
    assert serving("p") is None
    monkeypatch.setattr(witnessed, "STALE_AFTER", timedelta(minutes=15))
    activate(version, by=people["author"], now=now())
    assert serving("p") == version
