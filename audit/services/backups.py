"""A copy of everything that can be put back, in two parts, and the way back, which ends only when the record verifies.

The rules (SECURITY 1.3, 3.6; HIPAA 164.308(a)(7))
 * The record's part holds every table but the data keys. The keys' part holds the data keys and the site's own keys.
   They are kept apart, the keys' part for a short time: what was shredded is gone once the last keys' part older than
   the shredding is gone, and who holds one part alone can read nobody's data.
 * Both parts are of one snapshot, and a manifest names their digests: a part that was changed, or of another backup,
   is refused before anything is written.
 * It is put back into an empty database only. Transaction ids begin anew there, so pending entries get new ones.
 * Restored means: recomputed from the first entry to the last, and no shorter than the signer and the witnesses have
   seen. Anything else ends in a refusal, and nothing is to be served from it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction

from audit import entries
from audit.domain import Actor, Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import keys
from audit.services.recording import append

KEY_TABLES = ("audit_datakey", "audit_payloadkey")
RECORD, DATA_KEYS, MANIFEST, KEYS = "record.dump", "data-keys.dump", "manifest.json", "keys"
FORMAT = "clinaiops/backup/v1"
Say = Callable[[str], None]


class BackupRefused(Exception):
    """A refusal: the backup cannot be made or put back so; `code` says why, the message what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the two parts lie. They are never the same folder, and neither lies within the other."""

    record: Path
    keys: Path

    def __post_init__(self) -> None:
        """Refuse parts that would be carried away together."""
        one, two = self.record.resolve(), self.keys.resolve()
        if one == two or one in two.parents or two in one.parents:
            raise BackupRefused("parts-together", "keep the keys' part apart: name two folders, neither in the other")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup holds: entries numbered and pending, the signed size, and the digest of its manifest."""

    entries: int
    pending: int
    signed: int
    manifest_sha256: str


def back_up(parts: Parts, *, by: Actor, now: datetime, say: Say) -> BackedUp:
    """Write both parts into empty folders and record that it was done. Raises BackupRefused."""
    for folder in (parts.record, parts.keys):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise BackupRefused("not-empty", f"{folder} is not empty: a backup is written into a folder of its own")
    with _snapshot() as (snapshot, state):
        say("the record ...")
        _dump(parts.record / RECORD, snapshot, *(f"--exclude-table-data={name}" for name in KEY_TABLES))
        say("the keys ...")
        _dump(parts.keys / DATA_KEYS, snapshot, "--data-only", *(f"--table={name}" for name in KEY_TABLES))
    _copy_keys(keys.keys_dir(), parts.keys / KEYS)
    manifest = {
        "v": 1,
        "format": FORMAT,
        "origin": keys.origin(),
        "made_at": entries.stamp(now),
        "server": state["server"],
        "entries": state["entries"],
        "pending": state["pending"],
        "signed": state["signed"],
        "record": _digests(parts.record),
        "keys": _digests(parts.keys),
    }
    written = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    for folder in (parts.record, parts.keys):
        _write(folder / MANIFEST, written)
    digest = sha256(written).hexdigest()
    _record_it("log.backed_up", {"manifest_sha256": digest, "entries": state["entries"]}, by=by, now=now)
    return BackedUp(state["entries"], state["pending"], state["signed"], digest)


def restore(parts: Parts, *, say: Say) -> Mapping[str, Any]:
    """Put both parts back into an empty database and keys folder; the manifest. Raises BackupRefused.

    Nothing has been verified yet when this returns: `restored` records it, after the caller has verified.
    """
    manifest = _checked(parts)
    say("the backup is whole: every file has the digest that its manifest names")
    with _owner() as owner:
        if owner.execute("SELECT to_regclass('django_migrations')").fetchone() != (None,):
            raise BackupRefused("not-empty", "this database has tables already: restore into an empty one")
    _put_keys_back(parts.keys / KEYS, keys.keys_dir())
    dump, data_keys = parts.record / RECORD, parts.keys / DATA_KEYS
    for what, source, *section in (
        ("tables", dump, "--section=pre-data"),
        ("the record", dump, "--section=data"),
        ("the keys", data_keys, "--data-only"),
        ("indexes, rights and triggers", dump, "--section=post-data"),
    ):
        say(f"{what} ...")
        _run("pg_restore", "--exit-on-error", "--no-owner", *section, f"--dbname={_entry()['NAME']}", str(source))
    with _owner() as owner, owner.transaction():
        owner.execute("ALTER TABLE audit_pending DISABLE TRIGGER audit_pending_no_change")
        owner.execute("UPDATE audit_pending SET txid = pg_current_xact_id()")
        owner.execute("ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER audit_pending_no_change")
    return manifest


def record_restored(manifest: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    """Write into the record that it continues from a backup, once it has been verified."""
    payload = {"made_at": manifest["made_at"], "entries": manifest["entries"], "signed": manifest["signed"]}
    _record_it("log.restored", payload, by=by, now=now)


def _record_it(kind: str, payload: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
    with transaction.atomic():
        origin = keys.origin()
        append(
            Event(
                type=kind,
                occurred_at=now,
                actor=by,
                object=ObjectRef("log", origin, next_version("log", origin)),
                purpose=Purpose.OPERATIONS,
                payload=payload,
            )
        )


# --- the database -----------------------------------------------------------------------------------------------------


def _entry() -> dict[str, Any]:
    return settings.DATABASES["owner"]


@contextmanager
def _owner() -> Iterator[psycopg.Connection[Any]]:
    entry = _entry()
    with psycopg.connect(
        dbname=entry["NAME"],
        user=entry["USER"],
        password=entry["PASSWORD"],
        host=entry["HOST"] or None,
        port=entry["PORT"] or None,
        autocommit=True,
        **{name: value for name, value in entry["OPTIONS"].items() if name != "options"},
    ) as connection:
        yield connection


@contextmanager
def _snapshot() -> Iterator[tuple[str, dict[str, Any]]]:
    """One moment of the database that both dumps are taken of, and how far the record was at it."""
    with _owner() as owner:
        owner.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = owner.execute(
            "SELECT pg_export_snapshot(), current_setting('server_version'),"
            " (SELECT coalesce(max(position) + 1, 0) FROM audit_entry), (SELECT count(*) FROM audit_pending),"
            " (SELECT coalesce(max(size), 0) FROM audit_checkpoint)"
        ).fetchone()
        if found is None:
            raise AssertionError("a SELECT without FROM gives one row")
        snapshot, *rest = found
        yield snapshot, dict(zip(("server", "entries", "pending", "signed"), rest, strict=True))


def _dump(target: Path, snapshot: str, *which: str) -> None:
    _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={target}", *which, _entry()["NAME"])
    target.chmod(0o600)


def _run(program: str, *arguments: str) -> None:
    """Run PostgreSQL's own program as the owner; BackupRefused with what it said when it fails."""
    entry = _entry()
    folder = getattr(settings, "POSTGRES_BIN", "")
    path = str(Path(folder) / program) if folder else shutil.which(program)
    if path is None or not Path(path).exists():
        raise BackupRefused("no-program", f"{program} was not found: put PostgreSQL's programs on the PATH")
    named = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    environment = {**os.environ, **{name: str(entry[key]) for name, key in named.items() if entry[key]}}
    done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupRefused("program-failed", f"{program} failed: {done.stderr.strip()[-600:]}")


# --- files ------------------------------------------------------------------------------------------------------------


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _checked(parts: Parts) -> Mapping[str, Any]:
    """The manifest, when both parts are of one backup and every file is the one it names."""
    try:
        written = (parts.record / MANIFEST).read_bytes()
        theirs = (parts.keys / MANIFEST).read_bytes()
        manifest = json.loads(written)
    except FileNotFoundError as err:
        raise BackupRefused("no-manifest", f"{err.filename} is missing: is this a backup?") from err
    except ValueError as err:
        raise BackupRefused("manifest", "the manifest cannot be read") from err
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BackupRefused("manifest", "this is not a manifest of a backup of this kind")
    if written != theirs:
        raise BackupRefused("parts-differ", "the two parts are not of the same backup")
    for folder, named in ((parts.record, manifest["record"]), (parts.keys, manifest["keys"])):
        found = _digests(folder)
        wrong = sorted(name for name in {*named, *found} if named.get(name) != found.get(name))
        if wrong:
            raise BackupRefused("damaged", f"not as the manifest says: {', '.join(wrong[:5])} in {folder}")
    return manifest


def _copy_keys(source: Path, target: Path) -> None:
    """The site's keys, but not the signer's: its key and its memory are backed up where the signer runs."""
    target.mkdir(mode=0o700)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            _write(target / path.name, path.read_bytes())


def _put_keys_back(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(source.iterdir()):
        there = target / path.name
        if not there.exists():
            _write(there, path.read_bytes())
        elif there.read_bytes() != path.read_bytes():
            raise BackupRefused("other-keys", f"{there} is another key than the backup's: move it away first")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


__all__ = ["BackedUp", "BackupRefused", "Parts", "back_up", "record_restored", "restore"]
