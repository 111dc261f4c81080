"""The tests' database: migrated once by the owner, copied for each worker, used through the application's own role.

The rules
 * Rights are the real ones: `default` is the application, `sequencer` and `owner` what they say, on one database.
 * The migrated database is a template named after the migrations' content, so a second run does not migrate.
 * Each process has its own copy, named by its pid, so two runs do not meet; copies of dead processes are dropped.
 * After a transactional test only what it touched is emptied, as the owner, with the evidence triggers held for that
   moment, and the rows that migrations brought are put back as they were.
 * What many tests build on can be taken as rows once and put down again (`tests/built.py`), under the same hold.
"""

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from config.embedded.postgres import grant_defaults
from config.grants import connect_as_owner
from config.migrating import rendering_what_changed

TEMPLATE = "clinaiops_template_"
COPY = "clinaiops_test_"
# Tests and what they start act as the system, as commands do; a web server says otherwise itself (`config.wsgi`).
os.environ["CLINAIOPS_SEES"] = "everything"
NEVER_EMPTIED = frozenset({"django_migrations"})
LOCK_TIMEOUT = "20s"
AS_SYSTEM = " -c clinaiops.sees=everything"  # for settings that were read before this module


def migrations_digest() -> str:
    """Changes with any migration of any installed app, with our modules that one imports, and the default rights."""
    folders = [Path(app.path, "migrations") for app in apps.get_app_configs()]
    found = {path for folder in folders for path in folder.glob("**/*.*") if path.suffix != ".pyc"}
    found |= {Path(each.__code__.co_filename) for each in (grant_defaults, rendering_what_changed)}
    waiting = [path for path in found if path.suffix == ".py" and path.is_relative_to(settings.ROOT)]
    while waiting:
        imported = _imported(waiting.pop()) - found
        found |= imported
        waiting += imported
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _imported(path: Path) -> set[Path]:
    """The files of our own packages that this one imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(settings.ROOT).parts[: -node.level] if node.level else ()
            base = ".".join((*package, *((node.module,) if node.module else ())))
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    places = {Path(settings.ROOT, *name.split(".")) for name in names}
    files = {place.with_suffix(".py") for place in places} | {place / "__init__.py" for place in places}
    return {file for file in files if file.is_file()}


def create_copy(*, quick_commits: bool = False) -> str:
    """Make this process's database from the template, which is migrated first if it is not there; its name.

    With `quick_commits` a commit does not wait for the disk: of no matter where the server itself is never killed.
    """
    template = TEMPLATE + migrations_digest()
    copy = f"{COPY}{os.getpid()}"
    with connect_as_owner() as owner:
        owner.execute("SELECT pg_advisory_lock(hashtext('clinaiops tests'))")
        names = [
            row[0] for row in owner.execute("SELECT datname FROM pg_database WHERE datname LIKE 'clinaiops\\_te%'")
        ]
        for name in names:
            if (name.startswith(TEMPLATE) and name != template and not os.environ.get("CLINAIOPS_KEEP_TEMPLATES")) or (
                name.startswith(COPY) and not _alive(name.removeprefix(COPY))
            ):
                _drop(owner, name)
        if template not in names:
            _migrate(owner, template)
        _drop(owner, copy)
        owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(template)))
        if quick_commits:
            owner.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(copy)))
    return copy


def drop_copy(name: str) -> None:
    """Give the room back."""
    connections.close_all()
    with connect_as_owner(name="postgres") as owner:
        _drop(owner, name)


@contextmanager
def using_database(name: str) -> Iterator[None]:
    """Point every alias of Django at that database."""
    before = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    options = connections["default"].settings_dict["OPTIONS"]
    if AS_SYSTEM not in options["options"]:
        options["options"] += AS_SYSTEM
    try:
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = name
        yield
    finally:
        for alias, old in before.items():
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = old


def _migrate(owner: psycopg.Connection, template: str) -> None:
    draft = template + "_draft"
    _drop(owner, draft)
    owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
    with connect_as_owner(name=draft) as inside:
        roles = settings.DATABASE_ROLES
        grant_defaults(inside, app=roles["default"], sequencer=roles["sequencer"])
    entry = connections["default"].settings_dict
    as_app = {key: entry[key] for key in ("USER", "PASSWORD", "HOST", "PORT")}
    try:
        # As `manage.py migrate` does: while tables are made, the default connection is the owner's.
        entry.update({key: settings.DATABASES["owner"][key] for key in as_app})
        with using_database(draft), rendering_what_changed():
            call_command("migrate", verbosity=0, interactive=False)
    finally:
        entry.update(as_app)
    owner.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(template)))


def _drop(owner: psycopg.Connection, name: str) -> None:
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    try:
        owner.execute(drop + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        # An autovacuum worker was there, whom the owner may not end. Without force the server itself sends it away.
        owner.execute(drop)


def _alive(pid: str) -> bool:
    if not re.fullmatch(r"\d+", pid):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass
class Cleaner:
    """Brings one database back to what the migrations left, touching only what a test has touched."""

    name: str

    @cached_property
    def _owner(self) -> psycopg.Connection:
        owner = connect_as_owner(name=self.name)
        owner.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        return owner

    def learn(self) -> None:
        """Remember tables, triggers and the rows that migrations brought. Once, before the first test."""
        owner = self._owner
        rows = owner.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
        ).fetchall()
        self.tables = [row[0] for row in rows if row[0] not in NEVER_EMPTIED]
        self.triggers: dict[str, list[tuple[str, str]]] = {}
        for table, trigger, enabled in owner.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger "
            "WHERE NOT tgisinternal AND tgenabled <> 'D'"
        ):
            self.triggers.setdefault(table, []).append((trigger, enabled))
        self.brought: dict[str, bytes] = {}
        for table in self._not_empty():
            self.brought[table] = self._rows(table)
        self.fingerprints = self._fingerprints()

    def clean(self) -> None:
        """Empty what is not empty, put back what was brought."""
        now = self._fingerprints()
        changed = [table for table in self.brought if now[table] != self.fingerprints[table]]
        dirty = changed + [table for table in self._not_empty() if table not in self.brought]
        if not dirty:
            return
        with self._without_guards(dirty) as owner:
            for table in dirty:
                owner.execute(f"DELETE FROM {table}")
            for table in changed:
                _put(owner, table, self.brought[table])
        if changed:
            self.fingerprints = self._fingerprints()

    def take(self) -> dict[str, bytes]:
        """Every row there is beyond what the migrations brought, by table; of a table they filled, the whole of it."""
        now = self._fingerprints()
        same = {table for table in self.brought if now[table] == self.fingerprints[table]}
        return {table: self._rows(table) for table in self._not_empty() if table not in same}

    def put(self, rows: dict[str, bytes]) -> None:
        """Put down what was taken, in a clean database."""
        with self._without_guards(list(rows)) as owner:
            for table, kept in rows.items():
                if table in self.brought:
                    owner.execute(f"DELETE FROM {table}")
                _put(owner, table, kept)

    @contextmanager
    def _without_guards(self, tables: list[str]) -> Iterator[psycopg.Connection]:
        """The owner in one transaction with the triggers of these tables held; constraints are asked at its end."""
        held = [(table, *trigger) for table in tables for trigger in self.triggers.get(table, [])]
        owner = self._owner
        with owner.transaction():
            owner.execute(";".join(f'ALTER TABLE {table} DISABLE TRIGGER "{trigger}"' for table, trigger, _ in held))
            yield owner
            owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
            always = {"A": "ALWAYS ", "R": "REPLICA ", "O": ""}
            owner.execute(";".join(f'ALTER TABLE {t} ENABLE {always[how]}TRIGGER "{name}"' for t, name, how in held))

    def close(self) -> None:
        """End the owner's connection."""
        self._owner.close()

    def _rows(self, table: str) -> bytes:
        with self._owner.cursor().copy(f"COPY {table} TO STDOUT") as copy:
            return b"".join(bytes(part) for part in copy)

    def _not_empty(self) -> list[str]:
        if not self.tables:
            return []
        asked = " UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT FROM {t})" for t in self.tables)
        return [row[0] for row in self._owner.execute(asked)]

    def _fingerprints(self) -> dict[str, tuple[int, int]]:
        """Per table with brought rows: how many there are and the newest transaction that wrote one."""
        if not self.brought:
            return {}
        asked = " UNION ALL ".join(
            f"SELECT '{t}', count(*), coalesce(max(xmin::text::bigint), 0) FROM {t}" for t in self.brought
        )
        return {table: (count, newest) for table, count, newest in self._owner.execute(asked)}


def _put(owner: psycopg.Connection, table: str, rows: bytes) -> None:
    with owner.cursor().copy(f"COPY {table} FROM STDIN") as copy:
        copy.write(rows)
