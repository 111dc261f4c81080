"""Staff pages say when the witnesses are behind; with none set up, only a real site is told so."""

from datetime import timedelta

import pytest
from django.urls import reverse

from audit import notes, witnessed
from audit.services import signing
from care_loops.presenters.evidence import BANNERS
from care_loops.views import evidence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered():
    """The banner is remembered for seconds: each test starts without."""
    evidence._last = None
    yield
    evidence._last = None


@pytest.fixture
def silent_witness(settings, tmp_path):
    """A policy whose witness nobody answers for."""
    key = notes.WitnessKey("witness.example/w", notes.Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    path = tmp_path / "policy"
    path.write_text(f"log {signing.first_key()}\nwitness w {key} http://127.0.0.1:9/\nquorum w\n")
    settings.AUDIT_WITNESS_POLICY = str(path)


@pytest.mark.parametrize(
    ("after", "state"), [("BEHIND_AFTER", witnessed.WitnessStanding.BEHIND), ("STALE_AFTER", "stale")]
)
def test_pages_say_that_the_witnesses_are_behind(signed_in, silent_witness, monkeypatch, after, state):
    monkeypatch.setattr(witnessed, "BEHIND_AFTER", timedelta(0))
    if after == "STALE_AFTER":
        monkeypatch.setattr(witnessed, "STALE_AFTER", timedelta(0))
    page = signed_in("clinician").get(reverse("worklist")).content.decode()
    assert BANNERS[witnessed.WitnessStanding(state)] in page


def test_while_all_is_well_and_in_the_simulation_nothing_is_said(signed_in, settings):
    page = signed_in("clinician").get(reverse("worklist")).content.decode()
    assert not any(words in page for words in BANNERS.values() if words)


def test_a_policy_that_cannot_be_read_is_told_to_staff(signed_in, settings):
    settings.AUDIT_WITNESS_POLICY, settings.AUDIT_WITNESS_POLICY_OURS = "/nowhere", False
    assert "cannot be told" in signed_in("clinician").get(reverse("worklist")).content.decode()
