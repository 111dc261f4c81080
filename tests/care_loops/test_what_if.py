"""Counterfactual replay: what a proposed policy would have changed, from frozen evidence, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from care_loops.models import Loop
from care_loops.pathways.hypertension.rules import rules, rules_under
from care_loops.presenters.what_if import place_words, what_if_shown
from care_loops.services import replay
from care_loops.services.decide import policies_of
from care_loops.services.what_if import _as_kept as as_kept
from care_loops.services.what_if import _frozen as frozen_rows
from care_loops.services.what_if import what_if
from governance.domain import BadInput
from governance.policy_kinds import PolicyKind, choices_body, of_kind, values
from governance.selectors import policy_in_force
from tests.care_loops.standing import hospital, site  # noqa: F401
from tests.factories import Hospital
from tests.policies import put_in_force

pytestmark = pytest.mark.django_db
ON = {"mode": "simulation", "patient_directed": True, "stopped": False, "daily_patient_quota": 20}
HIGH = [(150, 92)] * 5


@pytest.fixture(scope="module")
def played(site: Hospital) -> Iterator[Hospital]:  # noqa: F811
    """Five windows closed: three straight to the patient, one for a clinician, one in target."""
    with transaction.atomic():
        site.mode(patient_directed=True)
        for name in ("ann", "ben", "cyd"):
            patient = site.patient(name, taken=6 if name == "cyd" else 7)
            site.boundary(patient)
            site.weeks(patient, *HIGH)
            site.close(patient)
        unbound = site.patient("dan")
        site.weeks(unbound, *HIGH)
        site.close(unbound)
        calm = site.patient("eve")
        site.weeks(calm, *[(120, 75)] * 5)
        site.close(calm)
        yield site
        transaction.set_rollback(True)


@pytest.fixture
def history(played: Hospital, hospital: Hospital) -> Hospital:  # noqa: F811
    """The same for every test, whatever the one before did."""
    return hospital


def chosen(kind: str, **options: str) -> dict:
    return choices_body(PolicyKind(kind), options)


def test_the_policy_in_force_changes_nothing(history):
    body = policy_in_force("operating_mode", "hypertension", now=history.now).body
    found = what_if("operating_mode", "hypertension", body)
    assert (found.looked_at, found.compared, found.changed, found.elsewhere) == (5, 5, 0, ())
    for kind in ("tier_policy", "guardrail_tables"):
        assert what_if(kind, "hypertension", chosen(kind)).changed == 0


def test_what_would_have_gone_elsewhere_is_counted_and_named(history):
    found = what_if("tier_policy", "hypertension", chosen("tier_policy", adherence="adherence_90"))
    assert found.moves == (("patient_may_act", "clinician_decides", 1),)
    assert [(each.before, each.after, each.rows) for each in found.elsewhere] == [
        ("patient_may_act", "clinician_decides", ("adherence",))
    ]
    assert Loop.objects.get(pk=found.elsewhere[0].loop_id).patient.given_name == "Cyd"
    off = what_if("operating_mode", "hypertension", ON | {"patient_directed": False})
    assert off.moves == (("patient_may_act", "clinician_approves", 3),)
    stopped = what_if("operating_mode", "hypertension", ON | {"stopped": True})
    assert {(before, after) for before, after, _ in stopped.moves} == {
        ("patient_may_act", "withheld:kill_switch"),
        ("clinician_approves", "withheld:kill_switch"),
        ("withheld:in_target", "withheld:kill_switch"),
    }
    assert stopped.changed == 5


def test_a_quota_counts_what_went_out_that_day(history):
    found = what_if("operating_mode", "hypertension", ON | {"daily_patient_quota": 2})
    assert found.moves == (("patient_may_act", "clinician_approves", 1),)


def test_the_same_answer_each_time_and_only_the_newest_when_asked(history):
    body = chosen("tier_policy", two_windows="windows_4", age_to_79="age_to_64")
    assert what_if("tier_policy", "hypertension", body) == what_if("tier_policy", "hypertension", body)
    seen = []
    few = what_if(
        "tier_policy", "hypertension", body, newest=2, progress=lambda done, total: seen.append((done, total))
    )
    assert (few.looked_at, seen) == (2, [(1, 2), (2, 2)])


def rows_everywhere() -> dict[str, int]:
    with connection.cursor() as cursor:
        counts = {}
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}"')
            counts[model._meta.db_table] = cursor.fetchone()[0]
    return counts


def test_nothing_is_written_and_nothing_sent(history):
    before = rows_everywhere()
    assert before["audit_pending"] + before["audit_entry"] > 0
    assert what_if("operating_mode", "hypertension", ON | {"mode": "off"}).changed == 5
    assert rows_everywhere() == before


def test_what_no_longer_comes_out_as_it_was_kept_is_not_compared(history):
    """Seeded defects: an outcome that was altered, evidence that its digest does not say, and no evidence at all."""
    loop = Loop.objects.filter(state="with_patient").first()
    row = {"pk": loop.pk, "opened_at": loop.opened_at, "evidence": loop.evidence}
    row |= {"evidence_digest": loop.evidence_digest, "outcome": loop.outcome}
    (good,) = frozen_rows([row])
    assert as_kept(good.evidence, good.kept)
    assert not as_kept(good.evidence, replace(good.kept, tier="clinician_approves"))
    assert not as_kept(replace(good.evidence, boundary=None), good.kept)
    for wrong in ({"evidence_digest": "0" * 64}, {"outcome": "{}"}):
        assert next(iter(frozen_rows([row | wrong]))).kept is None


def test_a_policy_that_came_into_force_is_what_recommendations_are_made_under_and_named_by(history):
    body = chosen("tier_policy", adherence="adherence_90")
    by, others = history.acting("admin"), [history.acting(name) for name in ("clinician", "pharmacist")]
    put_in_force("tier_policy", "hypertension", body=body, by=by, approvers=others, now=history.now)
    steps = chosen("guardrail_tables", interval="interval_28")
    put_in_force("guardrail_tables", "hypertension", body=steps, by=by, approvers=others, now=history.now)
    patient = history.patient("fay", taken=6)
    history.boundary(patient)
    history.weeks(patient, *HIGH)
    loop = history.close(patient)
    assert loop.state == "with_clinician"
    assert replay(loop.pk).identical
    named = policies_of(loop)
    assert "tier_policy:hypertension@1" in named
    assert "guardrail_tables:hypertension@1" in named
    assert len(named) == len(set(named))
    assert what_if("tier_policy", "hypertension", body).compared == 6
    back = what_if("tier_policy", "hypertension", chosen("tier_policy"))
    assert ("clinician_decides", "patient_may_act", 1) in back.moves


def test_every_choice_is_stricter_than_what_is_shipped():
    shipped = rules()
    for one in of_kind(PolicyKind.GUARDRAIL_TABLES):
        assert shipped.limits.row(one.of).absolute == Decimal(one.shipped)
    for kind in (PolicyKind.TIER_POLICY, PolicyKind.GUARDRAIL_TABLES):
        for one in of_kind(kind):
            for option in one.options:
                body = choices_body(kind, {one.of: option.option_id})
                assert values(kind, body) == {one.of: option.value}
    with pytest.raises(ValueError, match="no bound to narrow"):
        shipped.limits.narrowed({"guideline_maximum": "1"})
    assert rules_under(()) is shipped


def test_the_command_says_the_same_and_refuses_by_name(history, tmp_path):
    def run(kind: str, text: str, *more: str) -> dict:
        file, out, err = tmp_path / "policy.json", StringIO(), StringIO()
        file.write_text(text)
        call_command("what_if", kind, str(file), "--json", *more, stdout=out, stderr=err)
        assert "5 of 5" in err.getvalue() or more
        return json.loads(out.getvalue())

    said = run("tier_policy", '{"adherence": "adherence_90"}')
    assert (said["looked_at"], said["elsewhere"], said["not_compared"]) == (5, 1, 0)
    assert said["moves"] == [{"from": "patient_may_act", "to": "clinician_decides", "count": 1}]
    assert run("operating_mode", json.dumps(ON))["elsewhere"] == 0
    for kind, text in (
        ("tier_policy", "no json"),
        ("tier_policy", "[]"),
        ("tier_policy", '{"adherence": 7}'),
        ("tier_policy", '{"adherence": "70"}'),
        ("operating_mode", '{"mode": "live"}'),
        ("targets", "{}"),
    ):
        with pytest.raises(CommandError, match="bad_input"):
            run(kind, text)
    with pytest.raises(CommandError, match="one or more"):
        run("tier_policy", "{}", "--newest", "0")
    with pytest.raises(BadInput):
        what_if("gate_thresholds", "hypertension", chosen("gate_thresholds"))


def test_the_drawing_and_the_words_say_what_was_counted(history):
    shown = what_if_shown(what_if("operating_mode", "hypertension", ON | {"stopped": True}))
    assert "5 of 5 past recommendations would have gone elsewhere" in shown.sentence
    assert shown.drawing.startswith("<svg")
    assert "nothing: automated proposals are switched off" in shown.drawing
    assert sum(move.count for move in shown.moves) == len(shown.listed) == 5
    assert place_words("patient_may_act *").endswith("with another change")
    none = what_if_shown(what_if("operating_mode", "hypertension", ON))
    assert "Nothing would have gone elsewhere." in none.drawing
