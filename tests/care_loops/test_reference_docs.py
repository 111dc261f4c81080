"""The reference is what the code says, and `reference_docs --check` notices when it is not."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from care_loops.domain.loops import LoopState
from care_loops.presenters.reference.markdown import table
from care_loops.transitions import MOVES

ROOT = Path(__file__).resolve().parents[2]


def check(folder: Path) -> str:
    said = StringIO()
    call_command("reference_docs", "--check", "--out", str(folder), stdout=said)
    return said.getvalue()


@pytest.fixture
def written(tmp_path) -> Path:
    call_command("reference_docs", "--out", str(tmp_path), stdout=StringIO())
    return tmp_path


def test_what_was_just_written_is_up_to_date(written):
    assert "up to date" in check(written)


def test_a_stale_page_is_named(written):
    page = written / "guardrails.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| 14 |", "| 7 |"), encoding="utf-8")
    with pytest.raises(CommandError, match=r"guardrails\.md"):
        check(written)


def test_a_missing_page_is_named(written):
    (written / "transitions.md").unlink()
    with pytest.raises(CommandError, match=r"transitions\.md"):
        check(written)


def test_a_page_that_no_code_makes_any_more_is_named_and_then_removed(written):
    (written / "old.md").write_text("# Once\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"old\.md"):
        check(written)
    call_command("reference_docs", "--out", str(written), stdout=StringIO())
    assert not (written / "old.md").exists()


def test_the_drawing_has_every_state_and_every_move(written):
    page = (written / "transitions.md").read_text(encoding="utf-8")
    assert all(f"    {a.value} --> {b.value}\n" in page for a, moves in MOVES.items() for b in moves)
    assert all(f"| {state.value} |" in page for state in LoopState)


def test_a_sign_that_would_end_a_cell_does_not(written):
    assert table((("a", "b"), ("x|y", "two\nlines"))).splitlines()[2] == "| x\\|y | two lines |"
    with pytest.raises(ValueError, match="headings"):
        table((("a", "b"), ("alone",)))


def test_the_command_needs_no_database_and_its_exit_status_says_so(written, tmp_path_factory):
    nowhere = {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:9/none", "SECRET_KEY": "k" * 50}
    home = {"CLINAIOPS_HOME": str(tmp_path_factory.mktemp("home"))}

    def run() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "manage.py", "reference_docs", "--check", "--out", str(written)]
        return subprocess.run(words, cwd=ROOT, env=os.environ | nowhere | home, capture_output=True, text=True)

    assert run().returncode == 0
    (written / "tiers.md").write_text("# Nobody decides\n", encoding="utf-8")
    after = run()
    assert after.returncode == 1
    assert "tiers.md" in after.stderr
