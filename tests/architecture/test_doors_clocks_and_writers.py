"""The door reads the clock, only services write, nobody sends signals (DESIGN 1 and 2)."""

import ast

from tests.architecture.source import APPS, DOORS, Source, dotted, our_sources

CLOCKS = (
    "timezone.now",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
    "datetime.today",
    "time.time",
    "timezone.localdate",
)
WRITES = frozenset({"create", "bulk_create", "bulk_update", "update", "update_or_create", "get_or_create", "delete"})
CHAINS = frozenset({"objects", "filter", "exclude", "select_for_update", "_default_manager", "using"})
SIGNALS = ("django.dispatch", "django.db.models.signals", "django.core.signals", "django.test.signals", "blinker")
MAY_HEAR_SIGNALS = "governance"
DOOR_LINES = 40


def clocks_below_the_door(sources: list[Source]) -> list[str]:
    """Calls that ask the time anywhere but at the door: a decision must be computable again a year later.

    The `__main__` of a program of its own (witness, signer, verifier) is its door.
    """
    return [
        source.at(node, f"asks the time: {dotted(node)}")
        for source in sources
        if source.rung not in DOORS and not source.path.endswith("/__main__.py")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute | ast.Name) and dotted(node).endswith(CLOCKS)
        if any(dotted(node) == clock or dotted(node).endswith(f".{clock}") for clock in CLOCKS)
    ]


def writers_outside_services(sources: list[Source]) -> list[str]:
    """Rows written anywhere but in services. A table's own `save` may call its parent's; a manager may make its row."""
    found = []
    for source in sources:
        if source.rung in {"services", "migrations_sql"}:
            continue
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name, chain = node.func.attr, set(dotted(node.func.value).split("."))
            saves = name in {"save", "delete"} and not node.args and source.rung != "models" and "super" not in chain
            if saves or (name in WRITES and chain & CHAINS):
                found.append(source.at(node, f"writes: {dotted(node.func)}"))
    return found


def signals(sources: list[Source]) -> list[str]:
    """Imports of signal machinery, but for `governance`, which may hear a library's."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if not source.path.startswith(f"{MAY_HEAR_SIGNALS}/"):
                found += [source.at(node, f"uses signals: {name}") for name in names if name.startswith(SIGNALS)]
            if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "Signal":
                found.append(source.at(node, "makes a signal of our own"))
    return found


def imports_of_whole_table_modules(sources: list[Source]) -> list[str]:
    """`from . import models` and `import models`: tables are imported by class, the ML side by sub-package."""
    found = []
    for source in sources:
        for node in ast.walk(source.tree):
            whole = isinstance(node, ast.ImportFrom) and "models" in {alias.name for alias in node.names}
            whole = whole and (node.module is None or node.module in APPS)
            bare = isinstance(node, ast.Import) and "models" in {alias.name for alias in node.names}
            if whole or bare:
                found.append(source.at(node, "imports the module of tables whole"))
    return found


def long_doors(sources: list[Source]) -> list[str]:
    """Functions at the door that have grown a decision of their own."""
    return [
        source.at(function, f"{function.name} is a door of {length} lines")
        for source in sources
        if source.rung in DOORS
        for function in source.functions
        if (length := (function.end_lineno or 0) - function.lineno + 1) > DOOR_LINES
    ]


def test_nothing_below_the_door_asks_the_time():
    assert clocks_below_the_door(our_sources(packages=APPS)) == []


def test_only_services_write():
    assert writers_outside_services(our_sources(packages=APPS)) == []


def test_there_are_no_signals_of_our_own():
    assert signals(our_sources()) == []


def test_tables_are_imported_by_class():
    assert imports_of_whole_table_modules(our_sources(packages=APPS)) == []


def test_doors_are_short():
    assert long_doors(our_sources(packages=APPS)) == []


def test_a_planted_clock_is_found():
    text = "from django.utils import timezone\nnow = timezone.now()\n"
    assert clocks_below_the_door([Source("care_loops/services/decide.py", text)])
    assert not clocks_below_the_door([Source("care_loops/views/decide.py", text)])


def test_a_planted_writer_is_found():
    lines = ["Loop.objects.create(a=1)", "Loop.objects.filter(a=1).update(a=2)", "loop.save()", "loop.delete()"]
    for line in lines:
        assert writers_outside_services([Source("care_loops/views/loops.py", line)]), line
        assert not writers_outside_services([Source("care_loops/services/loops.py", line)]), line
    assert not writers_outside_services([Source("care_loops/presenters/a.py", "words.update(b); digest.update(c)")])


def test_a_planted_signal_is_found():
    assert signals([Source("care_loops/services/a.py", "from django.db.models.signals import post_save")])
    assert signals([Source("audit/domain.py", "from django.dispatch import receiver")])
    assert signals([Source("governance/domain.py", "x = Signal()")])


def test_a_planted_import_of_all_tables_is_found():
    assert imports_of_whole_table_modules([Source("care_loops/services/a.py", "from . import models")])
    assert imports_of_whole_table_modules([Source("care_loops/services/a.py", "from care_loops import models")])
    assert imports_of_whole_table_modules([Source("care_loops/services/a.py", "import models")])
    assert not imports_of_whole_table_modules([Source("care_loops/models/a.py", "from django.db import models")])


def test_a_planted_long_door_is_found():
    assert long_doors([Source("care_loops/views/a.py", "def post(request):\n" + "    x = 1\n" * DOOR_LINES)])
