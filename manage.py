#!/usr/bin/env python
"""The commands of the house. Works at any time after set-up, alone: what is needed and not running is started.

* With DATABASE_URL unset the embedded database is brought up first, and a new one gets its tables; with
  CELERY_BROKER_URL unset, the broker for the commands that hand out work.
* Tables are made by one process at a time; every other command of this home waits until they are made.
* Asking for help needs nothing: neither a database nor tables.
* Commands that change tables run as the owner role; everything else runs as the application, which cannot.
"""

import os
import subprocess
import sys
from contextlib import nullcontext

NEEDS_NOTHING = frozenset({"help", "version", "--help", "-h", "--version", "collectstatic", "reference_docs"})
NEEDS_BROKER = frozenset({"demo", "runserver", "serve"})
AS_OWNER = frozenset(
    {"migrate", "makemigrations", "showmigrations", "sqlmigrate", "sqlflush", "flush", "detach_segment"}
)
NEEDS_NO_TABLES = AS_OWNER | {"check", "restore"}
NO_SUCH_TABLE_OR_COLUMN = frozenset({"42P01", "42703"})
HELP = frozenset({"--help", "-h"})
OTHER_TABLES = "The tables of the database are not those of this version: run `.venv/bin/python manage.py migrate`."


def main(arguments: list[str]) -> int:
    """Run one command; `serve` is the supervisor's, the others are Django's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    command = arguments[1] if len(arguments) > 1 else "help"
    only_help = command in NEEDS_NOTHING or not HELP.isdisjoint(arguments[2:])
    if not only_help and not _bring_up(command):
        return 1
    os.environ["CLINAIOPS_SEES"] = "nothing" if command == "runserver" else "everything"
    if command in AS_OWNER:
        os.environ["CLINAIOPS_AS_OWNER"] = "1"
    if command == "migrate" and not only_help:
        return _migrate(arguments)
    return _run(command, arguments)


def _migrate(arguments: list[str]) -> int:
    """Make or change the tables, alone where the database is ours."""
    from config import embedded
    from config.grants import grant_defaults_of_site
    from config.migrating import rendering_what_changed

    alone = nullcontext() if os.environ.get("DATABASE_URL") else embedded.home().locked("tables")
    with alone, rendering_what_changed():
        grant_defaults_of_site()
        return _run("migrate", arguments)


def _run(command: str, arguments: list[str]) -> int:
    if command == "serve":
        from config.serve import main as serve

        return serve(arguments[2:])
    from django.core.management import execute_from_command_line
    from django.db import ProgrammingError

    try:
        execute_from_command_line(arguments)
    except ProgrammingError as wrong:
        if getattr(wrong.__cause__, "sqlstate", "") not in NO_SUCH_TABLE_OR_COLUMN:
            raise
        print(OTHER_TABLES, file=sys.stderr)
        return 1
    return 0


def _bring_up(command: str) -> bool:
    try:
        from config import embedded
        from config.embedded.home import CannotStart
    except ImportError as missing:
        print(
            f"{missing.name} is not installed here: run `make setup`, then .venv/bin/python manage.py", file=sys.stderr
        )
        return False
    try:
        if not os.environ.get("DATABASE_URL"):
            embedded.ensure_database(embedded.home())
            if command not in NEEDS_NO_TABLES and not _tables_made():
                return False
        if command in NEEDS_BROKER and not os.environ.get("CELERY_BROKER_URL"):
            embedded.ensure_broker(embedded.home())
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return False
    return True


def _tables_made() -> bool:
    """Make the tables of a new embedded database; another process that makes or changes them is waited for."""
    from config import embedded

    home = embedded.home()
    with home.locked("tables"):
        if embedded.has_tables(home):
            return True
    # Not under the lock: `migrate` takes it itself. Of several that come here, the first makes the tables, and the
    # others wait for it and find nothing to do.
    print("Making the tables of a new database, once ...", file=sys.stderr)
    migrate = [sys.executable, __file__, "migrate", "--verbosity", "0"]
    return subprocess.run(migrate, stdout=sys.stderr, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
