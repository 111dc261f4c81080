"""The tests of who may do what notice every mutant of the module they are about: its code, and each cell."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from governance import permissions
from governance.domain import Permission, Relation, Role
from tests.governance import test_permissions as held
from tests.governance.mutants import loaded, mutants

NAMES = ("TABLE", "allows", "check")


def _tests() -> Iterator[tuple[str, object, tuple[object, ...]]]:
    for name, test in vars(held).items():
        if name.startswith("test_"):
            takes = inspect.signature(test).parameters
            for given in [(each,) for each in Permission] if "permission" in takes else [()]:
                yield name, test, given


def noticed(monkeypatch: pytest.MonkeyPatch, table: object, allows: object, check: object) -> bool:
    """Whether any test of permissions fails over this table and these functions."""
    with monkeypatch.context() as swapped:
        for name, value in zip(NAMES, (table, allows, check), strict=True):
            swapped.setattr(held, name, value)
        for _, test, given in _tests():
            try:
                test(*given)  # type: ignore[operator]
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  (whatever it is, it was noticed)
                return True
    return False


def test_the_module_itself_passes_its_tests(monkeypatch):
    assert not noticed(monkeypatch, permissions.TABLE, permissions.allows, permissions.check)


def test_every_mutant_of_the_code_is_noticed(monkeypatch):
    source = inspect.getsource(permissions)
    missed, tried = [], 0
    for what, changed in mutants(source):
        tried += 1
        module = loaded(changed, permissions)
        if not noticed(monkeypatch, module.TABLE, module.allows, module.check):
            missed.append(what)
    print(f"permissions: {tried} mutants of the code, {len(missed)} not noticed")
    assert tried > 10
    assert missed == []


@pytest.mark.parametrize("permission", Permission)
def test_every_mutant_of_the_table_is_noticed(monkeypatch, permission):
    """Each cell lost, given to a role that lacks it, and held in another relation."""
    missed = []
    for role in Role:
        for other in [frozenset(), *(frozenset({relation}) for relation in Relation)]:
            if permissions.TABLE.get((permission, role), frozenset()) != other:
                table = {**permissions.TABLE, (permission, role): other}
                if not other:
                    del table[permission, role]
                if not cell_noticed(monkeypatch, table):
                    missed.append((role, sorted(other)))
    assert missed == []


def cell_noticed(monkeypatch: pytest.MonkeyPatch, table: object) -> bool:
    """Whether the test of the whole table fails over this one."""
    with monkeypatch.context() as swapped:
        swapped.setattr(held, "TABLE", table)
        try:
            held.test_the_code_has_no_cell_that_is_not_written_above()
        except AssertionError:
            return True
    return False
