"""How the house is, for machines and on staff pages."""

import pytest
from django.test import Client

from audit.domain import Job
from audit.selectors import Coverage, WitnessStanding
from audit.services import drift
from care_loops.presenters.evidence import BANNERS, COVERAGE, IN_A_WORD, banner
from tests.audit.builders import event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def test_live_ready_and_metrics_say_how_far_the_record_is():
    record(event())
    client = Client()
    assert client.get("/health/live").content == b"live\n"
    said = client.get("/health/ready").json()
    assert (said["ready"], said["record"]["pending"], said["record"]["witnesses"]) == (True, 1, "none")
    lines = client.get("/metrics").content.decode().splitlines()
    assert "clinaiops_audit_pending_entries 1" in lines
    assert 'clinaiops_witness_state{state="none"} 1' in lines
    assert 'clinaiops_witness_state{state="stale"} 0' in lines
    assert "clinaiops_audit_guards_changed 0" in lines
    assert client.post("/metrics").status_code == 405


def test_changed_guards_show_in_the_metrics(owner_db):
    owner_db.execute("ALTER TABLE audit_tile DISABLE TRIGGER audit_tile_no_change")
    try:
        drift.watch(by=Job("publisher", "1"), now=event().occurred_at)
    finally:
        owner_db.execute("ALTER TABLE audit_tile ENABLE ALWAYS TRIGGER audit_tile_no_change")
    assert "clinaiops_audit_guards_changed 1" in Client().get("/metrics").content.decode().splitlines()


def test_a_policy_that_cannot_be_read_is_told_as_unknown(settings):
    settings.AUDIT_WITNESS_POLICY, settings.AUDIT_WITNESS_POLICY_OURS = "/nowhere", False
    assert Client().get("/health/ready").json()["record"]["witnesses"] == "unknown"


def test_every_state_has_its_words():
    assert set(BANNERS) == set(WitnessStanding)
    assert set(COVERAGE) == set(IN_A_WORD) == set(Coverage)
    assert banner(None)
    assert banner(WitnessStanding.CURRENT) == ""
