"""What every test may ask for. The database is real, and so are the rights of its roles (`tests/real_database.py`)."""

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.test import TransactionTestCase

from tests.built import Built
from tests.real_database import Cleaner, create_copy, drop_copy, using_database

# Shared machines stall: a slow example is no finding. What fails is printed so that it can be run again.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]
DATA_VARIABLE = "CLINAIOPS_DATA"
QUICK_PASSWORDS = "django.contrib.auth.hashers.MD5PasswordHasher"
BUILT = pytest.StashKey[Built]()
# What takes longest, longest first: begun last, one of these would keep one worker busy while the others have ended.
FIRST = (
    "access/test_matrix.py",
    "care_loops/test_crash_points.py",
    "care_loops/test_import_fhir_data_sets.py",
    "audit/test_tamper.py",
    "access/test_object_ids.py",
    "care_loops/test_check_signatures.py",
    "care_loops/test_never_half_written.py",
    "edge_wearables/test_demo.py",
    "config/test_embedded_database.py",
    "audit/test_drift.py",
    "care_loops/exports/test_exports.py",
    "care_loops/exports/test_exports_by_a_worker.py",
    "care_loops/test_consent.py",
    "care_loops/test_break_glass.py",
    "care_loops/test_yes_does_not_overtake.py",
    "care_loops/web/test_browser.py",
    "care_loops/web/test_record_pages.py",
    "care_loops/web/test_deciding.py",
    "care_loops/web/test_oversight_pages.py",
    "audit/test_publishing.py",
    "audit/test_two_verifiers_agree.py",
    "audit/test_segments.py",
    "edge_wearables/test_server_killed.py",
    "care_loops/test_run_loops.py",
)


def pytest_configure() -> None:
    """Tests sign in this process and have no witness, whatever this home has; those that want one say so."""
    settings.AUDIT_SIGNER = "tests.signers.forgetful"
    settings.AUDIT_WITNESS_POLICY = ""
    # How slowly passwords are hashed is not what is tested; the house's own way stays, for what a program of ours made.
    settings.PASSWORD_HASHERS = [QUICK_PASSWORDS, *settings.PASSWORD_HASHERS]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, each whole; the others in the order they were given."""
    order = {ROOT / "tests" / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


class NetworkUsed(Exception):
    """A test reached for a machine that is not this one."""


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Nothing is fetched at run time, so no test may leave this machine either."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = address[0]  # type: ignore[index]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise NetworkUsed(host)
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = connect_here
    yield
    socket.socket.connect = connect


@pytest.fixture(scope="session")
def django_db_setup(request, django_test_environment, django_db_blocker) -> Iterator[Built]:
    """The database of this process: a copy of the migrated template, reached through the application's role."""
    if not os.environ.get("DATABASE_URL"):
        from config.embedded import ensure_database, home

        ensure_database(home())
    with django_db_blocker.unblock():
        name = create_copy(quick_commits=True)
        cleaner = Cleaner(name)
        cleaner.learn()
        built = request.config.stash[BUILT] = Built(cleaner)
        django_flush = TransactionTestCase._fixture_teardown
        TransactionTestCase._fixture_teardown = lambda _: built.clean()
        try:
            with using_database(name):
                yield built
        finally:
            del request.config.stash[BUILT]
            TransactionTestCase._fixture_teardown = django_flush
            cleaner.close()
            drop_copy(name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that does not ask for what was built finds nothing of it, nor do the fixtures of its module."""
    if (there := item.config.stash.get(BUILT, None)) and "built" not in getattr(item, "fixturenames", ()):
        there.leave()


@pytest.fixture
def built(django_db_setup) -> Built:
    """What many tests build on: `built.once(build)` gives what `build` does, built once in this process."""
    return django_db_setup


@pytest.fixture
def database_urls(transactional_db) -> dict[str, str]:
    """The environment under which another process (a command, a server) sees this test's database."""
    from django.db import connections

    variables = {"default": "DATABASE_URL", "owner": "DATABASE_URL_OWNER", "sequencer": "DATABASE_URL_SEQUENCER"}
    urls = {variable: _url(connections[alias].settings_dict) for alias, variable in variables.items()}
    return urls | {"SECRET_KEY": settings.SECRET_KEY, "ALLOWED_HOSTS": "localhost,127.0.0.1", "HTTPS": "0"}


@pytest.fixture
def owner_db(database_urls) -> Iterator[psycopg.Cursor]:
    """A cursor of the role that owns the tables, committing each statement."""
    with psycopg.connect(database_urls["DATABASE_URL_OWNER"], autocommit=True) as owner, owner.cursor() as cursor:
        yield cursor


@pytest.fixture
def sequencer_db(database_urls) -> Iterator[psycopg.Cursor]:
    """A cursor of the role that numbers the record, committing each statement."""
    url = database_urls["DATABASE_URL_SEQUENCER"]
    with psycopg.connect(url, autocommit=True) as sequencer, sequencer.cursor() as cursor:
        yield cursor


@pytest.fixture
def app_db(database_urls) -> Iterator[psycopg.Cursor]:
    """A cursor of the application's role outside Django, for showing what that role may not do.

    It sees every row, as that role may, so that a refusal is one of rights or triggers.
    """
    with psycopg.connect(database_urls["DATABASE_URL"], autocommit=True) as app, app.cursor() as cursor:
        cursor.execute("SET clinaiops.sees = 'everything'")
        yield cursor


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data sets; a test that reads one skips by its name where it is absent."""
    return (ROOT / os.environ.get(DATA_VARIABLE, "../shared/data")).resolve()


@pytest.fixture
def data_set(data_folder):
    """A function from a data set's name to its folder. Without any data it skips by name; one missing of many fails."""

    def found(name: str) -> Path:
        if not data_folder.is_dir():
            pytest.skip(f"data set {name} is not here ({DATA_VARIABLE})")
        assert (data_folder / name).is_dir(), f"{data_folder} lacks the set {name}"
        return data_folder / name

    return found


def _url(entry: dict) -> str:
    who = f"{quote(entry['USER'], safe='')}:{quote(entry['PASSWORD'], safe='')}"
    where = entry["HOST"]
    if where.startswith("/"):
        return f"postgresql://{who}@/{entry['NAME']}?host={quote(where, safe='')}"
    return f"postgresql://{who}@{where}{':' + str(entry['PORT']) if entry['PORT'] else ''}/{entry['NAME']}"
