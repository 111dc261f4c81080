"""Every route, by every method, as everybody, with one's own object, a foreign one, none and no id: as the table says.

How to add a row: `rows.py`. A cell that differs from what `governance.permissions.TABLE` says of it fails.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.access.cast import Cast
from tests.access.cast import built as everybody
from tests.access.expecting import Cell, cells, expected, judged, plain, send
from tests.access.rows import ROWS
from tests.access.walking import Route, routes, row_of, without_route, without_row

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
AT_LEAST = 9_000


@pytest.fixture
def cast(built, settings, tmp_path) -> Iterator[Cast]:
    settings.CHANNEL_FILE = str(tmp_path / "sent")
    logging.disable(logging.WARNING)
    yield built.once(everybody, fresh_s=300)
    logging.disable(logging.NOTSET)


def differences(cast: Cast, found: tuple[Route, ...]) -> tuple[list[str], Counter[str]]:
    """Every cell that is not as the table says, and how many cells of each kind there were."""
    wrong, counted = [], Counter[str]()
    for route in found:
        row = row_of(route, ROWS)
        assert row is not None, route
        absent: dict[tuple[str, str], dict[str, bytes]] = {}
        for asked in cells(route, row, cast.people):
            answer = send(cast, asked)
            due, came = expected(asked), judged(answer, asked)
            counted[due.value] += 1
            if came is not due:
                wrong.append(f"{asked}: {came}, not {due}")
            elif due is Cell.NOTHING and asked.whose in ("foreign", "missing"):
                absent.setdefault((asked.method, asked.who.name), {})[asked.whose] = plain(answer)
        for (method, name), said in absent.items():
            if len(set(said.values())) > 1:
                wrong.append(f"{method} {route.path} by {name}: a foreign object is told from one that is not there")
    return wrong, counted


def test_every_route_has_a_row_and_every_row_a_route():
    found = routes()
    assert without_row(found, ROWS) == []
    assert without_route(found, ROWS) == []
    assert len(found) > 150


@pytest.mark.timeout(590)
def test_every_cell_is_as_the_table_says(cast, record_property):
    began = time.monotonic()
    wrong, counted = differences(cast, routes())
    total = sum(counted.values())
    print(f"access matrix: {total} cells in {time.monotonic() - began:.0f} s: {dict(counted)}")
    record_property("cells", total)
    assert wrong == [], f"{len(wrong)} of {total}\n" + "\n".join(wrong[:200])
    assert total >= AT_LEAST
    assert all(counted[cell.value] for cell in Cell)


# -- the matrix finds what it is for -----------------------------------------------------------------------------------


@override_settings(ROOT_URLCONF="tests.access.planted")
def test_a_route_without_a_row_fails_the_build():
    assert without_row(routes(), ROWS) == ["/planted/<uuid:patient_id>/ (planted)"]


def test_a_row_without_a_route_fails_the_build():
    assert without_route(routes(), {**ROWS, "gone": ROWS["worklist"]}) == ["gone"]


@override_settings(ROOT_URLCONF="tests.access.planted")
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("patient", "GET /patients/<uuid:patient_id>/ [foreign] by clinician: Cell.LET_IN, not Cell.NOTHING"),
        ("alerts", "GET /alerts/ [] by nobody: Cell.LET_IN, not Cell.SIGN_IN"),
        ("record-search", "GET /audit/search/ [] by ml_engineer: Cell.LET_IN, not Cell.NOT_ALLOWED"),
        (
            "api-recommendation",
            "GET /api/v1/recommendations/<uuid:loop_id> [foreign] by clinician: Cell.NOT_ALLOWED, not Cell.NOTHING",
        ),
        (
            "api-me-today",
            "OPTIONS /api/v1/me/today [own] by clinician's app for staff: Cell.LET_IN, not Cell.NOT_ALLOWED",
        ),
    ],
)
def test_a_door_with_its_check_taken_out_is_caught(cast, name, seen):
    wrong, _ = differences(cast, tuple(route for route in routes() if route.name == name))
    assert seen in wrong
