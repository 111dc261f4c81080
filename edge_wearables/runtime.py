"""The device's side: readings buffered on its own disk, numbered before they are sent, sent again until acknowledged.

Rules
 * A reading and its sequence number are on disk together before anything is sent; a number is never given twice.
 * A message is on disk, byte for byte, before it is sent, and is sent again with the same bytes until it is answered. A
   crash between any two steps loses nothing and numbers nothing anew.
 * A reading leaves the buffer only when an answer names its number: accepted, duplicate, rejected or quarantined. What
   the server says is missing is sent again.
 * A refusal of the message keeps everything: the device waits for a person (401, 403, 400) or sends less at once (413).
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from .domain import BatchHead
from .signatures import key_id, message_bytes, pack, public_of, sign

FORMAT = "clinaiops/readings/v1"
BATCHES = "/api/v1/devices/batches"
BATCH_SIZE = 200
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reading (seq INTEGER PRIMARY KEY, content TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS outgoing (
    one INTEGER PRIMARY KEY CHECK (one = 1), headers TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS receipt (entry_id TEXT PRIMARY KEY, note TEXT NOT NULL);
"""


class Offline(Exception):
    """A fault: the server could not be reached, or its answer was lost. Nothing is known; send again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: HTTP status and body."""

    status: int
    body: bytes


class Line(Protocol):
    """The way to the server. Raises `Offline`."""

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send bytes, return the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the device is: its identifier, its private key, the zone its owner lives in."""

    device_id: str
    private_key: bytes
    zone: str


class Ended(StrEnum):
    """How a round of sending ended."""

    ALL_SENT = "all_sent"
    OFFLINE = "offline"
    TRY_LATER = "try_later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of sending did: how it ended, the answers it got, and why it was refused, if it was."""

    ended: Ended
    answers: tuple[dict[str, Any], ...] = ()
    code: str = ""


Step = Callable[[str], None]


def _no_step(name: str) -> None:
    """No crash."""


class DeviceRuntime:
    """One device with its own disk. `step` is called between any two things that could be torn apart by a crash."""

    def __init__(
        self,
        disk: Path,
        identity: Identity,
        line: Line,
        *,
        step: Step = _no_step,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.identity, self.line, self.step, self.batch_size = identity, line, step, batch_size
        self.db = sqlite3.connect(disk, isolation_level=None)
        self.db.executescript("PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE;" + SCHEMA)
        self.db.execute("INSERT OR IGNORE INTO meta VALUES ('boot_id', ?)", [str(uuid4())])
        self.db.execute("INSERT OR IGNORE INTO meta VALUES ('next_seq', '1')")

    @property
    def boot_id(self) -> str:
        """The name of this numbering: made once with the disk, new only when the disk is."""
        return str(self.db.execute("SELECT value FROM meta WHERE name = 'boot_id'").fetchone()[0])

    def close(self) -> None:
        """Let go of the disk."""
        self.db.close()

    def record(self, content: Mapping[str, Any]) -> int:
        """Keep one reading (our format, without seq) and return its number."""
        return self.record_all([content])

    def record_all(self, contents: Sequence[Mapping[str, Any]]) -> int:
        """Keep readings together, all or none, and return the number of the last one (0 when nothing was ever kept)."""
        self.step("before_record")
        with _Transaction(self.db):
            seq = int(self.db.execute("SELECT value FROM meta WHERE name = 'next_seq'").fetchone()[0])
            rows = [(seq + n, json.dumps(dict(content))) for n, content in enumerate(contents)]
            self.db.executemany("INSERT INTO reading (seq, content) VALUES (?, ?)", rows)
            self.db.execute("UPDATE meta SET value = ? WHERE name = 'next_seq'", [str(seq + len(rows))])
        self.step("after_record")
        return seq + len(rows) - 1

    def send_again(self, first: int, last: int) -> None:
        """Forget that these were acknowledged, as a device does whose disk was restored from an older copy."""
        self.db.execute("UPDATE reading SET done = 0 WHERE seq BETWEEN ? AND ?", [first, last])

    def waiting(self) -> dict[int, dict[str, Any]]:
        """What has not been acknowledged yet, by number."""
        rows = self.db.execute("SELECT seq, content FROM reading WHERE done = 0 ORDER BY seq")
        return {seq: json.loads(content) for seq, content in rows}

    def kept(self) -> dict[int, dict[str, Any]]:
        """Every reading on the disk, by number: the truth the server is held to."""
        return {seq: json.loads(content) for seq, content in self.db.execute("SELECT seq, content FROM reading")}

    def sync(self, *, now: datetime) -> Round:
        """Send what waits until nothing does, or until something stops it."""
        answers: list[dict[str, Any]] = []
        while (outgoing := self._outgoing(now=now)) is not None:
            headers, body = outgoing
            self.step("before_send")
            try:
                reply = self.line.post(BATCHES, headers=headers, body=body)
            except Offline:
                self._failed()
                return Round(Ended.OFFLINE, tuple(answers))
            self.step("after_send")
            if reply.status == 413 and self.batch_size > 1:
                self.batch_size = max(1, self.batch_size // 2)
                self.db.execute("DELETE FROM outgoing")
                continue
            if reply.status != 200:
                self._failed()
                later = reply.status in (429, 502, 503, 504) or reply.status >= 500
                return Round(Ended.TRY_LATER if later else Ended.REFUSED, tuple(answers), _code(reply.body))
            answers.append(self._settle(reply.body))
            self.step("after_settle")
        return Round(Ended.ALL_SENT, tuple(answers))

    def _outgoing(self, *, now: datetime) -> tuple[dict[str, str], bytes] | None:
        """The message on its way, or a new one put on disk first; `None` when nothing waits."""
        found = self.db.execute("SELECT headers, body FROM outgoing").fetchone()
        if found is None:
            rows = self.db.execute(
                "SELECT seq, content FROM reading WHERE done = 0 ORDER BY seq LIMIT ?", [self.batch_size]
            ).fetchall()
            if not rows:
                return None
            entries = [{"seq": seq} | json.loads(content) for seq, content in rows]
            body = json.dumps({"format": FORMAT, "zone": self.identity.zone, "readings": entries}).encode()
            headers = signed_headers(
                self.identity, self.boot_id, first_seq=rows[0][0], last_seq=rows[-1][0], body=body, now=now
            )
            found = json.dumps(headers), body
            self.db.execute("INSERT INTO outgoing VALUES (1, ?, ?)", found)
            self.step("after_outgoing")
        return json.loads(found[0]), bytes(found[1])

    def _settle(self, body: bytes) -> dict[str, Any]:
        """Believe the answer: what it names is done, what it misses waits again."""
        answer: dict[str, Any] = json.loads(body)
        named = [*answer["accepted"], *answer["duplicate"]]
        named += [item["seq"] for item in (*answer["rejected"], *answer["quarantined"])]
        with _Transaction(self.db):
            self.db.executemany("UPDATE reading SET done = 1 WHERE seq = ?", [[seq] for seq in named])
            for low, high in answer["missing_ranges"]:
                self.db.execute("UPDATE reading SET done = 0 WHERE seq BETWEEN ? AND ?", [low, high])
            self.db.execute("DELETE FROM outgoing")
            if promised := answer.get("receipt"):
                kept = [promised["entry_id"], promised.get("note", "")]
                self.db.execute("INSERT OR IGNORE INTO receipt (entry_id, note) VALUES (?, ?)", kept)
        return answer

    def receipts(self) -> dict[str, str]:
        """The promises the server has signed for what this device sent, by entry: evidence against a log without it."""
        return dict(self.db.execute("SELECT entry_id, note FROM receipt ORDER BY rowid"))

    def _failed(self) -> None:
        """Nothing to do: the message stays on disk as it is and is sent again as it is."""


class HttpLine:
    """The way to a server over HTTP or HTTPS, with a time limit."""

    def __init__(self, server: str, *, timeout: float = 20.0) -> None:
        if not server.startswith(("http://", "https://")):
            raise ValueError(f"not an address of a server: {server!r}")
        self.server, self.timeout = server.rstrip("/"), timeout

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send bytes, return the answer, whatever its status. Raises `Offline`."""
        sent = dict(headers) | {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server + path, data=body, headers=sent, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310 - scheme checked above
                return Reply(answer.status, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Reply(refused.code, refused.read())
        except (urllib.error.URLError, http.client.HTTPException, OSError) as err:
            raise Offline(str(err)) from err


def signed_headers(
    identity: Identity, boot_id: str, *, first_seq: int, last_seq: int, body: bytes, now: datetime
) -> dict[str, str]:
    """The headers of a message: what the signature covers, and the signature."""
    sent_at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = BatchHead(identity.device_id, boot_id, first_seq, last_seq, now, sent_at)
    return {
        "Device-Id": head.device_id,
        "Device-Key": key_id(public_of(identity.private_key)),
        "Boot-Id": head.boot_id,
        "First-Seq": str(head.first_seq),
        "Last-Seq": str(head.last_seq),
        "Sent-At": head.sent_at_text,
        "Signature": pack(sign(identity.private_key, message_bytes(head, sha256(body).digest()))),
    }


class _Transaction:
    """One transaction of the device's disk."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        self.db.execute("COMMIT" if kind is None else "ROLLBACK")


def _code(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("code", "")) if isinstance(found, dict) else ""


def seqs_of(answers: Iterable[Mapping[str, Any]], outcome: str) -> list[int]:
    """The numbers that answers name under an outcome."""
    named = [item for answer in answers for item in answer[outcome]]
    return [item["seq"] if isinstance(item, dict) else item for item in named]
