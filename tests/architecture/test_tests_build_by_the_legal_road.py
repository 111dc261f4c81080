"""Tests make what they need as people and devices would: no row is written past the services (STYLE habit 17).

An object that was put into a state has no history, no entry and nobody who did it; what holds for it proves nothing.
"""

import ast

from tests.architecture.source import ROOT, Source, dotted

WRITES = frozenset({"create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "save"})
MOCKS = frozenset({"mock", "unittest.mock", "pytest_mock", "mocker"})
# Tests whose matter is what the tables refuse, whatever the services would do, and a benchmark whose baseline is the
# bare insert. They build beside a legal object.
AT_THE_TABLES = frozenset(
    {
        "tests/benches/g04_batches.py",
        "tests/care_loops/test_signed_limits_stay.py",
        "tests/care_loops/test_transitions.py",
        "tests/config/test_real_database.py",
    }
)


def shortcuts(sources: list[Source]) -> list[str]:
    """Rows made past the services, states that are set, and mocks. What a table itself refuses stands in `raises`."""
    found = []
    for source in sources:
        refused = {inner for node in ast.walk(source.tree) if _raises(node) for inner in ast.walk(node)}
        for node in ast.walk(source.tree):
            if node in refused:
                continue
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _writes(node.func):
                found.append(source.at(node, f"writes past the services: {dotted(node.func)}"))
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Attribute) and t.attr == "state" for t in node.targets
            ):
                found.append(source.at(node, "sets a state"))
            if _imports(node) & MOCKS:
                found.append(source.at(node, "mocks"))
    return found


def _raises(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(dotted(item.context_expr).endswith("raises") for item in node.items)


def _writes(function: ast.Attribute) -> bool:
    chain = set(dotted(function.value).split("."))
    return function.attr in WRITES and "objects" in chain


def _imports(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()


def our_tests() -> list[Source]:
    """Every module under tests/ but this one and those at the tables."""
    paths = sorted((ROOT / "tests").rglob("*.py"))
    return [
        Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in paths
        if path.name != "test_tests_build_by_the_legal_road.py" and str(path.relative_to(ROOT)) not in AT_THE_TABLES
    ]


def test_no_test_takes_a_shortcut_to_a_state():
    sources = our_tests()
    assert len(sources) > 50
    assert shortcuts(sources) == []


def test_a_planted_shortcut_is_found():
    for line in (
        "Loop.objects.create(state='approved')",
        "Loop.objects.filter(pk=1).update_or_create(state='done')",
        "loop.state = 'approved'",
        "from unittest import mock",
        "from unittest.mock import patch",
    ):
        assert shortcuts([Source("tests/a.py", line)]), line
    assert not shortcuts([Source("tests/a.py", "with pytest.raises(DatabaseError):\n    Loop.objects.create(a=1)")])
