"""What clinicians decided becomes labelled examples, all three outcomes, and can be exported (CLI-07)."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from care_loops.domain.loops import LoopState
from care_loops.services import recall
from tests.factories import Hospital

pytestmark = pytest.mark.django_db


def exported(*options: str) -> list[dict]:
    out = StringIO()
    call_command("export_examples", *options, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_approved_modified_and_rejected_appear_with_labels_and_what_they_rest_on():
    site = Hospital()
    loops = [site.loop_at(state) for state in (LoopState.DONE, LoopState.MODIFIED, LoopState.REJECTED)]
    recall(loops[1].pk, reason_code="will_see_patient", free_text="", by=site.acting("clinician"), now=site.now)

    found = {example["label"]: example for example in exported("--for-care")}

    assert set(found) == {"approve", "modify", "reject"}
    assert {example["evidence_sha256"] for example in found.values()} == {loop.evidence_digest for loop in loops}
    assert found["reject"]["reason_code"] == "patient_preference"
    assert found["modify"]["outcome"]["change"]["kind"] == "step_up"
    assert found["modify"]["final_change"]["kind"] == "stop"
    assert all(example["seconds_to_decide"] >= 0 and example["model"]["digest"] for example in found.values())


def test_without_research_consent_nothing_is_exported_for_research():
    site = Hospital()
    refused = site.loop_at(LoopState.REJECTED)
    assert exported() == []
    assert len(exported("--for-care")) == 1

    site.consents(refused.patient, "research")
    assert exported() == []  # the example is frozen with the consent of its time
