"""A site's first day at the console: the mode is set, a protocol registered, approved by two others, activated."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from care_loops.selectors.evidence import mode_in_force
from governance.domain import Role
from models.registry.selectors import serving
from tests.governance.people import founded, now, staff

pytestmark = pytest.mark.django_db(transaction=True)
ALL_PARTS = ("--patient-directed", "no", "--stopped", "no", "--daily-quota", "0", "--reason", "pilot ward")


def said(*words: str) -> list | dict:
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def people() -> dict[str, str]:
    at = now()
    admin = founded(at)
    names = {"admin": admin.username}
    for role in (Role.ML_ENGINEER, Role.CLINICIAN, Role.PHARMACIST, Role.AUDITOR):
        names[role.value] = staff(role, by=admin, at=at).username
    return names


def test_the_mode_is_what_was_set_last_and_off_until_then(people):
    assert mode_in_force("hypertension", now=timezone.now()) is None
    said("set_operating_mode", "research", *ALL_PARTS, "--by", people["admin"])
    mode = mode_in_force("hypertension", now=timezone.now())
    assert (mode.mode, mode.patient_directed, mode.stopped, mode.quota_left) == ("research", False, False, 0)
    later = ("--patient-directed", "yes", "--stopped", "yes", "--daily-quota", "3", "--reason", "stopped by the board")
    assert said("set_operating_mode", "live", *later, "--by", people["admin"])["version"] == 2
    mode = mode_in_force("hypertension", now=timezone.now())
    assert (mode.mode, mode.patient_directed, mode.stopped, mode.quota_left) == ("live", True, True, 3)


def test_only_who_sets_policy_sets_the_mode_and_with_a_reason(people):
    with pytest.raises(CommandError, match="not_allowed"):
        said("set_operating_mode", "live", *ALL_PARTS, "--by", people["clinician"])
    with pytest.raises(CommandError, match="bad_input"):
        said("set_operating_mode", "live", *ALL_PARTS[:-1], "  ", "--by", people["admin"])
    assert mode_in_force("hypertension", now=timezone.now()) is None


def test_a_protocol_serves_after_two_others_approved_it(people):
    assert {each["name"] for each in said("predictor", "register", "--by", people["ml_engineer"])} == {
        "home_bp",
        "tasminh4",
    }
    said("predictor", "approve", "home_bp", "--by", people["clinician"])
    said("predictor", "approve", "home_bp", "--by", people["clinician"])
    with pytest.raises(CommandError, match="model_not_approved"):
        said("predictor", "activate", "home_bp", "--by", people["clinician"])
    with pytest.raises(CommandError, match="not_allowed"):
        said("predictor", "approve", "home_bp", "--by", people["ml_engineer"])
    assert serving("hypertension") is None
    said("predictor", "approve", "home_bp", "--by", people["pharmacist"])
    said("predictor", "activate", "home_bp", "--by", people["clinician"])
    assert serving("hypertension").name == "home_bp"


def test_what_cannot_be_done_is_refused_by_name(people):
    with pytest.raises(CommandError, match="not_found"):
        said("predictor", "approve", "home_bp", "--by", people["clinician"])
    with pytest.raises(CommandError, match="not_allowed"):
        said("predictor", "register", "--by", people["auditor"])
    with pytest.raises(CommandError, match="Name the protocol"):
        said("predictor", "activate", "--by", people["clinician"])
