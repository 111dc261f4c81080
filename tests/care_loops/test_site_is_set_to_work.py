"""A site's first day at the console: the mode is set, a protocol registered, approved by two others, activated.

What is signed there asks for password and code at a terminal; nothing else signs (21 CFR 11.200).
"""

from __future__ import annotations

import json
import os
import pty
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from care_loops.selectors.evidence import mode_in_force
from care_loops.services.modes import set_operating_mode
from governance.domain import Role
from governance.models import PolicyVersion, User
from governance.tiers import OperatingMode
from models.registry.selectors import serving
from tests.governance.people import PASSWORD, acting, founded, now, staff
from tests.signing_in import code_of, confirmed

pytestmark = pytest.mark.django_db(transaction=True)
ALL_PARTS = ("--patient-directed", "no", "--stopped", "no", "--daily-quota", "0", "--reason", "pilot ward")


def said(*words: str, terminal: object = None) -> list | dict:
    out = StringIO()
    call_command(*words, "--json", stdout=out, stderr=StringIO(), terminal=terminal)
    return json.loads(out.getvalue())


def signed(*words: str, by: str, password: str = PASSWORD, code: str | None = None) -> list | dict:
    """The command at a terminal at which its person types password and code."""
    master, slave = pty.openpty()
    typed = f"{password}\n{code or code_of(User.objects.get(username=by))}\n"
    with os.fdopen(master, "wb", buffering=0) as hands, os.fdopen(slave, "r") as terminal:
        hands.write(typed.encode())
        return said(*words, "--by", by, terminal=terminal)


@pytest.fixture
def people() -> dict[str, str]:
    at = now()
    admin = founded(at)
    names = {"admin": admin.username}
    second = staff(Role.ADMINISTRATOR, by=admin, at=at)
    for role in (Role.ML_ENGINEER, Role.CLINICIAN, Role.PHARMACIST, Role.RESPONSIBLE_AI_LEAD, Role.AUDITOR):
        names[role.value] = staff(role, by=admin, at=at).username
    for name in names.values():
        user = User.objects.get(username=name)
        code_of(user)
        confirmed(user, by=second)
    return names


def test_the_mode_is_what_was_set_last_and_off_until_then(people):
    assert mode_in_force("hypertension", now=timezone.now()) is None
    put = signed("set_operating_mode", "research", *ALL_PARTS, by=people["admin"])
    assert put["in_force"] is False
    assert mode_in_force("hypertension", now=timezone.now()) is None
    assert not signed("policy", "approve", put["motion"], by=people["clinician"])["in_force"]
    assert signed("policy", "approve", put["motion"], by=people["pharmacist"])["in_force"]
    mode = mode_in_force("hypertension", now=timezone.now())
    assert (mode.mode, mode.patient_directed, mode.stopped, mode.quota_left) == ("research", False, False, 0)
    assert PolicyVersion.objects.get().signature.method == "password_totp"
    said_then = {"patient_directed": True, "stopped": True, "daily_patient_quota": 3, "reason": "stopped by the board"}
    by = acting(User.objects.get(username=people["admin"]), now())
    assert set_operating_mode(OperatingMode.LIVE, **said_then, by=by, now=now()).version.version == 2
    mode = mode_in_force("hypertension", now=timezone.now())
    assert (mode.mode, mode.patient_directed, mode.stopped, mode.quota_left) == ("live", True, True, 3)


def test_only_who_sets_policy_sets_the_mode_and_with_a_reason(people):
    with pytest.raises(CommandError, match="not_allowed"):
        said("set_operating_mode", "live", *ALL_PARTS, "--by", people["clinician"])
    with pytest.raises(CommandError, match="bad_input"):
        said("set_operating_mode", "live", *ALL_PARTS[:-1], "  ", "--by", people["admin"])
    assert mode_in_force("hypertension", now=timezone.now()) is None


def test_a_script_signs_nothing(people):
    """No pipe, no argument and no environment stands in for the person at the terminal."""
    words = ("set_operating_mode", "research", *ALL_PARTS, "--by", people["admin"])
    with pytest.raises(CommandError, match="signature_needed"):
        said(*words)
    with pytest.raises(CommandError, match="signature_needed"):
        said(*words, terminal=StringIO(f"{PASSWORD}\n000000\n"))
    for wrong in ({"password": "wrong"}, {"code": "000000"}):
        with pytest.raises(CommandError, match="code_not_taken"):
            signed(*words[:-2], by=people["admin"], **wrong)
    assert not PolicyVersion.objects.exists()


def test_a_protocol_serves_after_two_others_approved_it(people):
    assert {each["name"] for each in said("predictor", "register", "--by", people["ml_engineer"])} == {
        "home_bp",
        "tasminh4",
    }
    signed("predictor", "approve", "home_bp", by=people["clinician"])
    said("predictor", "approve", "home_bp", "--by", people["clinician"])  # once more changes nothing, and asks nothing
    with pytest.raises(CommandError, match="model_not_approved"):
        said("predictor", "activate", "home_bp", "--by", people["clinician"])
    with pytest.raises(CommandError, match="not_allowed"):
        said("predictor", "approve", "home_bp", "--by", people["ml_engineer"])
    assert serving("hypertension") is None
    signed("predictor", "approve", "home_bp", by=people["pharmacist"])
    signed("predictor", "activate", "home_bp", by=people["responsible_ai_lead"])
    assert serving("hypertension").name == "home_bp"


def test_what_cannot_be_done_is_refused_by_name(people):
    with pytest.raises(CommandError, match="not_found"):
        said("predictor", "approve", "home_bp", "--by", people["clinician"])
    with pytest.raises(CommandError, match="not_allowed"):
        said("predictor", "register", "--by", people["auditor"])
    with pytest.raises(CommandError, match="Name the protocol"):
        said("predictor", "activate", "--by", people["clinician"])
