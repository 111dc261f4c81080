"""Every way around, tried on every control and refused by name (PEERS 0 item 2; SECURITY 2.3).

The list is closed three ways: a permission, a guarded table, a command or a task with arguments that belongs to no
control fails; so does a cell that is neither tried nor said, with its reason, to be none of this control's.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from celery import current_app
from django.core.management import get_commands
from django.test import TransactionTestCase
from django.test.utils import override_settings

from care_loops.services import handlers
from governance.domain import Permission
from tests.authority.controls_of_care import OF_CARE
from tests.authority.controls_of_people import OF_PEOPLE
from tests.authority.controls_of_records import OF_RECORDS
from tests.authority.controls_of_the_site import OF_THE_SITE
from tests.authority.house import House, built, job, undone
from tests.authority.paths import Control
from tests.authority.trying import THROUGH, Bypass, NotHere, Try, answer_to, refused_by_name, sql
from tests.care_loops.test_never_without_a_record import EXPIRES, FREE, TABLES

CONTROLS: tuple[Control, ...] = (*OF_CARE, *OF_RECORDS, *OF_THE_SITE, *OF_PEOPLE)
CELLS = [(control, bypass) for control in CONTROLS for bypass in Bypass]


@pytest.fixture(scope="module")
def house(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[House]:
    quick = {"PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"]}
    with (
        django_db_blocker.unblock(),
        override_settings(**quick, CHANNEL_FILE=str(tmp_path_factory.mktemp("sent") / "sent")),
    ):
        yield built()
        TransactionTestCase._fixture_teardown(None)  # the house was committed: its tables are emptied


@pytest.mark.parametrize(("control", "bypass"), CELLS, ids=lambda one: getattr(one, "key", "") or one.name.lower())
def test_it_is_refused_by_name(house, control, bypass, record_property):
    tries = control.cell(bypass)
    if isinstance(tries, NotHere):
        assert tries.reason
        record_property("not here", tries.reason)
        return
    record_property("tries", len(tries))
    assert tries
    missed = [said for said in (refused_by_name(one, house) for one in tries) if said]
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("control", [c for c in CONTROLS if c.permissions], ids=lambda control: control.key)
def test_who_may_does_it(house, control):
    """What is refused above is refused for what is wrong with it: the same act by who may goes through."""
    legal = Try("who may", lambda here: control.act(here, control.who(here), here.own, here.now), THROUGH)
    assert answer_to(legal, house) == THROUGH


def test_how_many_there_are(house):
    cells = [control.cell(bypass) for control, bypass in CELLS]
    tried = [cell for cell in cells if not isinstance(cell, NotHere)]
    ways, none = sum(map(len, tried)), len(cells) - len(tried)
    print(f"bypasses: {len(cells)} cells, {len(tried)} tried in {ways} ways, {none} said to be none of the control's")
    assert len(tried) >= 120
    assert ways >= 700


def test_every_permission_and_every_guarded_table_belongs_to_one_control():
    held = [permission for control in CONTROLS for permission in control.permissions]
    assert sorted(held) == sorted(Permission)
    tables = [table for control in CONTROLS for table in control.tables if not table.startswith("audit_")]
    assert sorted(tables) == sorted(table for table, how in TABLES.items() if how not in (FREE, EXPIRES))


READS_OR_TENDS = {  # commands that decide nothing about anybody: they read, tend the house, or make one up
    *("average_readings", "check_signatures", "reference_docs", "replay", "what_if", "export_examples", "run_loops"),
    *("run_relay", "import_fhir", "ingest_readings", "simulate_devices", "demo", "demo_code", "first_run", "guards"),
    *("backup", "restore", "run_publisher", "run_sequencer", "verify_audit", "found_successor_log", "rotate_keys"),
    *("rotate_log_key", "seal_segment", "detach_segment", "legal_hold", "drill_kill_switch", "enrol_patient"),
    *("simulate_cohort", "seal_families", "oversight"),
}
OURS = ("audit", "governance", "models.registry", "care_loops", "edge_wearables", "config")


def test_every_command_is_tried_or_decides_nothing():
    ours = {name for name, app in get_commands().items() if str(app).startswith(OURS)}
    tried = {one.what.partition(":")[0] for control in CONTROLS for one in _tries(control, Bypass.COMMAND)}
    assert tried | READS_OR_TENDS >= ours
    assert not tried & READS_OR_TENDS


def test_only_the_tasks_and_topics_that_are_tried_name_anything():
    current_app.loader.import_default_modules()
    ours = {n: t for n, t in current_app.tasks.items() if n.startswith(OURS)}
    assert {name for name, task in ours.items() if inspect.signature(task.run).parameters} == {
        "care_loops.tasks.close_window",
        "care_loops.tasks.write_export",
    }
    assert set(handlers(by=job(), clock=lambda: None)) == {  # type: ignore[arg-type, return-value]
        *("loop.deliver", "patient.tell", "loop.reevaluate", "alert.page", "patient.remind", "break_glass.alarm")
    }


def _tries(control: Control, bypass: Bypass) -> tuple[Try, ...]:
    cell = control.cell(bypass)
    return () if isinstance(cell, NotHere) else cell


def test_an_attempt_that_is_not_refused_is_seen(house):
    """The seeded defects: an act by who may; a refusal by another name; a statement that touches nothing."""
    decisions = CONTROLS[0]
    legal = Try("who may", lambda here: decisions.act(here, decisions.who(here), here.own, here.now), "not_allowed")
    assert THROUGH in refused_by_name(legal, house)
    other = Try("an outsider", lambda here: decisions.act(here, here.acting("outsider"), here.own, here.now), "expired")
    assert "not_allowed" in refused_by_name(other, house)
    with pytest.raises(AssertionError, match="nothing was touched"), undone():
        sql("UPDATE governance_oncallshift SET called_off_at = now() WHERE FALSE")
