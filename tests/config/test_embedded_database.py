"""The embedded database starts anywhere, survives being killed, keeps to itself, and gives each role its rights."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psycopg
import pytest

from config.embedded import Home, database_urls, ensure_database, has_tables, stop_database
from config.embedded.home import CannotStart, make_private
from config.embedded.postgres import is_ready

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start_home(tmp_path):
    """A function that gives a running home; all are stopped afterwards."""
    started = []

    def start(name: str) -> Home:
        home = Home(tmp_path / name)
        started.append(home)
        ensure_database(home)
        return home

    yield start
    for home in started:
        stop_database(home)


def as_role(home: Home, variable: str) -> psycopg.Connection:
    return psycopg.connect(database_urls(home)[variable], autocommit=True)


def postmaster(home: Home) -> int:
    return int((home.cluster / "data" / "postmaster.pid").read_text().splitlines()[0])


@pytest.mark.slow
def test_after_a_kill_the_next_start_recovers_what_was_committed(start_home):
    home = start_home("first")
    with as_role(home, "DATABASE_URL_OWNER") as owner:
        owner.execute("CREATE TABLE kept (word text)")
        owner.execute("INSERT INTO kept VALUES ('here')")
        pid = postmaster(home)
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        assert ensure_database(home)
        assert time.monotonic() - started < 15
    assert postmaster(home) != pid
    with as_role(home, "DATABASE_URL_OWNER") as owner:
        assert owner.execute("SELECT word FROM kept").fetchone() == ("here",)


@pytest.mark.slow
def test_a_pid_file_that_names_another_process_does_not_bar_the_start(start_home):
    home = start_home("reused")
    stop_database(home)
    lines = [str(os.getpid()), str(home.cluster / "data"), "1", "5432", str(home.sockets("pg")), "", "0 0", "ready"]
    (home.cluster / "data" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    (home.sockets("pg") / ".s.PGSQL.5432.lock").write_text("\n".join(lines) + "\n")
    assert not is_ready(home)
    assert ensure_database(home)
    assert is_ready(home)


@pytest.mark.slow
def test_two_homes_run_side_by_side_and_know_nothing_of_each_other(start_home):
    one, other = start_home("one"), start_home("other")
    with as_role(one, "DATABASE_URL_OWNER") as owner:
        owner.execute("CREATE TABLE only_here (x int)")
    with as_role(other, "DATABASE_URL_OWNER") as owner:
        assert owner.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_urls(other)["DATABASE_URL"], password=one.secrets()["app"])


@pytest.mark.slow
def test_two_processes_that_start_at_once_end_with_one_server(tmp_path):
    home = Home(tmp_path / "race")
    asked = [sys.executable, "-m", "config.embedded", "start"]
    environment = os.environ | {"CLINAIOPS_HOME": str(home.path)}
    racers = [subprocess.Popen(asked, cwd=ROOT, env=environment, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        assert [racer.wait(60) for racer in racers] == [0, 0, 0]
        assert is_ready(home)
    finally:
        stopped = [sys.executable, "-m", "config.embedded", "stop"]
        assert subprocess.run(stopped, cwd=ROOT, env=environment, capture_output=True).returncode == 0
    assert not is_ready(home)


@pytest.mark.slow
def test_each_role_has_its_own_rights_and_a_wrong_password_has_none(start_home):
    home = start_home("rights")
    with as_role(home, "DATABASE_URL_OWNER") as owner:
        owner.execute("CREATE TABLE ordinary (x int)")
        for setting, value in {"fsync": "on", "synchronous_commit": "on", "data_checksums": "on"}.items():
            assert owner.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)
        assert owner.execute(
            "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname LIKE 'clinaiops_%'"
        ).fetchone() == (1,), "only the launcher's own account is a superuser"
    with as_role(home, "DATABASE_URL") as app:
        app.execute("INSERT INTO ordinary VALUES (1)")
        for forbidden in (
            "TRUNCATE ordinary",
            "DROP TABLE ordinary",
            "CREATE TABLE mine (x int)",
            "SET ROLE clinaiops_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
    with as_role(home, "DATABASE_URL_SEQUENCER") as sequencer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        sequencer.execute("SELECT * FROM ordinary")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database_urls(home)["DATABASE_URL"], password="guessed")  # type: ignore[arg-type]


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path):
    home = Home(tmp_path / "secrets")
    made = home.secrets()
    assert home.secrets() == made
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE((home.path / "secrets.json").stat().st_mode) == 0o600


def test_a_deep_home_gets_a_short_socket_path(tmp_path):
    deep = Home(tmp_path / ("deep" * 30))
    assert len(str(deep.sockets("pg") / ".s.PGSQL.5432.lock")) < 108
    assert deep.sockets("pg") != Home(tmp_path / ("other" * 30)).sockets("pg")


def test_a_folder_laid_by_another_account_is_refused(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(CannotStart, match="belongs to another account"):
        make_private(tmp_path / "link")


def command_of_a_newcomer(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """`manage.py WORDS` as somebody would type it after `make setup`, with nothing else done."""
    ours = ("DATABASE_URL", "DATABASE_URL_OWNER", "DATABASE_URL_SEQUENCER", "CLINAIOPS_AS_OWNER")
    there = {name: value for name, value in os.environ.items() if name not in ours}
    there |= {"CLINAIOPS_HOME": str(home.path)}
    asked = [sys.executable, "manage.py", *words]
    return subprocess.run(asked, cwd=ROOT, env=there, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_the_first_command_after_set_up_finds_its_tables_and_other_tables_are_told_in_words(start_home, tmp_path):
    (tmp_path / "p.json").write_text('{"resourceType": "Patient", "id": "p1"}')
    home = start_home("new")
    done = command_of_a_newcomer(home, "import_fhir", str(tmp_path / "p.json"), "--json")
    assert (done.returncode, json.loads(done.stdout)["patients"]) == (0, 1), done.stderr
    assert "Making the tables" in done.stderr
    again = command_of_a_newcomer(home, "import_fhir", str(tmp_path / "p.json"), "--json")
    assert (json.loads(again.stdout)["unchanged"], "Making" in again.stderr) == (1, False)
    with as_role(home, "DATABASE_URL_OWNER") as owner:
        owner.execute("ALTER TABLE care_loops_importrun RENAME TO of_another_version")
    other = command_of_a_newcomer(home, "import_fhir", str(tmp_path / "p.json"), "--json")
    assert (other.returncode, "manage.py migrate" in other.stderr, "Traceback" in other.stderr) == (1, True, False)


@pytest.mark.slow
def test_commands_that_start_at_once_on_an_empty_home_make_its_tables_once(start_home):
    home = start_home("at once")
    words = (("migrate", "--verbosity", "0"), ("verify_audit", "--json"), ("migrate", "--verbosity", "0"))
    with ThreadPoolExecutor() as all_at_once:
        done = list(all_at_once.map(lambda asked: command_of_a_newcomer(home, *asked), words))
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    assert json.loads(done[1].stdout)["entries"] == 0


@pytest.mark.slow
def test_while_tables_are_changed_other_commands_wait(start_home):
    home = start_home("waits")
    with ThreadPoolExecutor() as aside:
        with home.locked("tables"):
            asked = [aside.submit(command_of_a_newcomer, home, word) for word in ("migrate", "verify_audit")]
            assert not wait(asked, timeout=4).done
            assert not has_tables(home)
        assert [each.result().returncode for each in asked] == [0, 0], [each.result().stderr for each in asked]


@pytest.mark.parametrize(
    "words", [("verify_audit", "--help"), ("migrate", "-h"), ("serve", "--help"), ("help", "demo")]
)
def test_help_needs_neither_a_database_nor_tables(tmp_path, words):
    home = Home(tmp_path / "nothing")
    done = command_of_a_newcomer(home, *words)
    assert (done.returncode, done.stdout.startswith("usage:")) == (0, True), done.stderr
    assert not home.cluster.exists()
    assert not home.broker.exists()
