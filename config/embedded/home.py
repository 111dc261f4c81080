"""Where the embedded services keep their state, and the secrets made for them on first use.

The rules
 * Secrets are made once, at random, and kept in one file only the owner may read (0600).
 * Socket paths stay short: the kernel refuses them over 107 bytes, so a deep home gets a private folder under the
   system's temporary folder, and a folder there that is not ours is refused.
 * Servers refuse to run as root, so root runs them as a service account; parent folders are never opened for it.
"""

import fcntl
import functools
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOCKET_PATH_LIMIT = 100
SERVICE_ACCOUNTS = ("postgres", "nobody")
SECRET_NAMES = ("admin", "owner", "app", "sequencer", "django")


class CannotStart(Exception):
    """An embedded service cannot be brought up here; the message is one sentence for the person at the keyboard."""


@dataclass(frozen=True, slots=True)
class Home:
    """One state folder: everything that the embedded services write lies under it."""

    path: Path

    @property
    def cluster(self) -> Path:
        """The folder PostgreSQL owns: its data and its own log."""
        return self.path / "postgres"

    @property
    def broker(self) -> Path:
        """The broker's append-only file and log."""
        return self.path / "broker"

    @property
    def logs(self) -> Path:
        """Logs of the processes the supervisor runs."""
        return self.path / "log"

    def sockets(self, service: str) -> Path:
        """The private folder of a service's socket: under the home when that is short enough, else a temporary one."""
        near = self.path / "run" / service
        if len(os.fsencode(near / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_LIMIT:
            return near
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"clinaiops-{os.getuid()}-{digest}-{service}"

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the home's lock of that name; another process waits here. The kernel frees it when the holder dies."""
        make_private(self.path, mode=0o711)
        with (self.path / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def secrets(self) -> dict[str, str]:
        """The passwords of the roles and Django's key, made on first use."""
        path = self.path / "secrets.json"
        if not path.exists():
            with self.locked("secrets"):
                if not path.exists():
                    _write_secrets(path)
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return kept


def home() -> Home:
    """The home this process uses: CLINAIOPS_HOME, else `var/` beside manage.py."""
    return Home(Path(os.environ.get("CLINAIOPS_HOME") or ROOT / "var").resolve())


def make_private(path: Path, *, mode: int = 0o700, owner: pwd.struct_passwd | None = None) -> None:
    """Make a folder that is ours alone; one that someone else laid there first is refused."""
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    found = path.lstat()
    allowed = {os.getuid()} | ({owner.pw_uid} if owner else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in allowed:
        raise CannotStart(f"{path} belongs to another account: remove it, or set CLINAIOPS_HOME to a folder of yours.")
    if owner and found.st_uid != owner.pw_uid:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    path.chmod(mode)


def service_account() -> pwd.struct_passwd | None:
    """Whom a server runs as: None means this very account, which is the case for everyone but root."""
    if os.geteuid() != 0:
        return None
    for name in SERVICE_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart("PostgreSQL does not run as root and this machine has no `postgres` or `nobody` account to use.")


@functools.lru_cache
def as_service(*folders: Path) -> tuple[str, ...]:
    """The command prefix under which the service account runs a server that lives in those folders.

    A clone under /root cannot be entered by the service account. The way through is one capability, to pass folders,
    for that one process; opening /root to everyone would be the wrong way.
    """
    account = service_account()
    if account is None:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart("Root needs `setpriv` (package util-linux) to run PostgreSQL; or run this as a plain user.")
    plain = (setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    # Without the secure bit, access() answers for the account and not for the capability, and initdb asks access().
    passing = (
        ("--securebits", "+no_setuid_fixup", "--inh-caps", f"+{name}", "--ambient-caps", f"+{name}")
        for name in ("dac_read_search", "dac_override")
    )
    extras: tuple[tuple[str, ...], ...] = ((), *passing)
    for extra in extras:
        prefix = (*plain, *extra, "--")
        if all(_can_enter(prefix, folder) for folder in folders):
            return prefix
    named = ", ".join(str(folder) for folder in folders)
    raise CannotStart(f"The account `{account.pw_name}`, which runs PostgreSQL for root, cannot enter {named}.")


def _can_enter(prefix: tuple[str, ...], folder: Path) -> bool:
    return subprocess.run([*prefix, "test", "-x", str(folder)], capture_output=True, check=False).returncode == 0


def _write_secrets(path: Path) -> None:
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({name: secrets.token_urlsafe(40) for name in SECRET_NAMES}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
