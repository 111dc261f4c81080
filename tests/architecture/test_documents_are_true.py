"""What the documents name exists: tests, files, links, commands, sources. A decision is worth the test holding it."""

import ast
import builtins
import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

from care_loops import guardrails
from tests.architecture.source import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
ONE_PAGE = 60
ENDING = re.compile(r"^\*\*The tests? that fails? (?:when|if) this is broken[.:]\*\*\s")
TEST = re.compile(r"`(tests/[\w/.]+\.py)::(test_\w+)`")
CODE = re.compile(r"`([a-z_]+/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
COMMAND = re.compile(r"manage\.py ([a-z][a-z_]+)")
TARGET = re.compile(r"(?:`|^    )(?:[A-Z]+=\S+ )?make ([a-z][a-z-]*)", re.MULTILINE)
SOURCE = re.compile(r"\[(S\d+[a-d]?(?:-S\d+)?(?:, ?S\d+[a-d]?(?:-S\d+)?)*)\]")
MADE_BY_HAND = [path for path in DOCUMENTS if path.parent.name != "reference"]


@cache
def named_in(path: str) -> frozenset[str]:
    """Names of the tests in a file of ours; none when there is no such file."""
    file = ROOT / path
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def missing_tests(text: str) -> list[str]:
    """Tests that a text names and nobody wrote."""
    return [f"{path}::{name}" for path, name in TEST.findall(text) if name not in named_in(path)]


def wrong_with_decision(name: str, text: str) -> list[str]:
    """What keeps a text from being a decision record of one page that ends in the test which holds it."""
    found = []
    if not re.match(rf"# {int(name[:4])}\. \S", text):
        found.append("its title does not begin with its number")
    if len(text.splitlines()) > ONE_PAGE:
        found.append("it is longer than a page")
    last = text.strip().split("\n\n")[-1]
    if not ENDING.match(last):
        found.append("it does not end in the test that fails when it is broken")
    elif not TEST.search(last):
        found.append("it names no test as `tests/...py::test_...`")
    return found + [f"{test} does not exist" for test in missing_tests(last)]


def missing_files(document: Path, text: str) -> list[str]:
    """Paths that a text links to or writes in backticks, and that are not there."""
    links = [target for target in LINK.findall(text) if "://" not in target]
    packages = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"var"}
    written = [path for path in CODE.findall(text) if path.split("/")[0] in packages and "*" not in path]
    return [path for path in links if not (document.parent / path).exists()] + [
        path for path in written if not (ROOT / path).exists()
    ]


def cited_sources() -> set[str]:
    """Every source that a table or a module of ours cites by its id."""
    files = [
        path for app in ("care_loops", "governance", "edge_wearables") for path in (ROOT / app).rglob("*.[jp][sy]*")
    ]
    lists = [found for path in files if path.is_file() for found in SOURCE.findall(_text(path))]
    return {each for found in lists for part in re.split(", ?", found) for each in _range(part)}


def _range(part: str) -> list[str]:
    if "-" not in part:
        return [part]
    first, last = part.split("-")
    return [f"S{number}" for number in range(int(first[1:]), int(last[1:]) + 1)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.suffix in {".json", ".py", ".md", ""} else ""


@pytest.mark.parametrize("record", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_one_page_and_ends_in_the_test_that_holds_it(record):
    assert wrong_with_decision(record.name, _text(record)) == []


def test_no_two_decisions_share_a_number():
    numbers = [record.name[:4] for record in DECISIONS]
    assert len(numbers) == len(set(numbers)) > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_file_command_and_target_that_is_named_exists(document):
    text = _text(document)
    commands = set(COMMAND.findall(text)) - set(get_commands()) - {"serve"}
    targets = set(TARGET.findall(text)) - set(re.findall(r"^([a-z][a-z-]*):", _text(ROOT / "Makefile"), re.MULTILINE))
    assert missing_tests(text) + missing_files(document, text) + sorted(commands | targets) == []


def test_every_source_that_is_cited_is_listed():
    listed = set(re.findall(r"^\| (S\d+[a-d]?) \|", _text(ROOT / "docs/sources.md"), re.MULTILINE))
    cited = cited_sources()
    assert len(cited) > 20
    assert cited <= listed


def test_every_decision_is_in_the_index():
    index = _text(ROOT / "docs" / "README.md")
    assert [record.name for record in DECISIONS if f"(decisions/{record.name})" not in index] == []


def test_a_planted_untruth_is_found():
    assert missing_tests("`tests/architecture/test_budgets.py::test_that_nobody_wrote`")
    assert missing_tests("`tests/no_such_file.py::test_a`")
    assert not missing_tests("`tests/architecture/test_budgets.py::test_what_is_over_budget_is_found`")
    assert missing_files(ROOT / "README.md", "[a](docs/no_such_page.md)")
    assert missing_files(ROOT / "README.md", "`care_loops/no_such_module.py`")
    good = "# 7. A\n\n**The test that fails when this is broken.** `tests/architecture/test_budgets.py::{}`"
    assert wrong_with_decision("0007-a.md", good.format("test_what_is_over_budget_is_found")) == []
    assert wrong_with_decision("0007-a.md", good.format("test_nothing"))
    assert wrong_with_decision("0008-a.md", good.format("test_what_is_over_budget_is_found"))
    assert wrong_with_decision("0007-a.md", "# 7. A\n\nWe decided it.")
    assert wrong_with_decision("0007-a.md", "# 7. A\n" * ONE_PAGE + good.format("test_what_is_over_budget_is_found"))


HOW_TO = ROOT / "docs" / "how_to_add_a_guardrail.md"


def names_without_meaning(snippet: str) -> set[str]:
    """Names that a guardrail written as in `snippet` would look for and not find."""
    tree = list(ast.walk(ast.parse(snippet)))
    brought = {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
    own = {node.id for node in tree if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in tree if isinstance(node, ast.arg)}
    used = {node.id for node in tree if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return used - brought - own - set(vars(guardrails)) - set(vars(builtins))


def test_the_guardrail_of_the_how_to_finds_everything_it_uses():
    snippet = re.findall(r"```python\n(.*?)```", _text(HOW_TO), re.DOTALL)[0]
    assert names_without_meaning(snippet) == set()
    assert names_without_meaning(snippet[snippet.index("def ") :]) == {"ChangeKind"}
