"""A bundle in memory: its members taken apart into lines, and what can be said of them before the walk (V1)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from . import shapes
from .shapes import Check
from .spelling import Misspelled, read
from .trees import leaf_hash
from .verdict import Findings, Unusable
from .zips import MEMBERS, members

LONGEST = {"entries.jsonl": 65_600, "checkpoints.jsonl": 2 << 20, "heads.jsonl": 1 << 10, "rest.jsonl": 1 << 10}
_ENTRY_LINE = re.compile(rb"(0|[1-9][0-9]{0,15})(?: (.*))?\Z", re.DOTALL)


@dataclass(slots=True)
class Entry:
    """One entry with its place."""

    position: int
    body: dict[str, Any]
    leaf: bytes
    at: int

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.body["type"])

    @property
    def object(self) -> tuple[str, str]:
        """Type and id of its object."""
        return self.body["object"]["type"], self.body["object"]["id"]

    @property
    def version(self) -> int | None:
        """The version of its object."""
        version: int | None = self.body["object"]["version"]
        return version


@dataclass(slots=True)
class Bundle:
    """The members' lines. `entries` ends before the first line that holds no entry, at `broken`."""

    manifest: dict[str, Any]
    manifest_digest: str
    note: bytes
    checkpoints: list[dict[str, Any]]
    rest: list[dict[str, Any]]
    heads: list[dict[str, Any]]
    payloads: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    assertions: list[dict[str, Any]]
    entries: list[Entry]
    broken: int | None
    disordered: bool
    destroyed: dict[tuple[str, str], list[int]]

    @property
    def by_id(self) -> dict[str, Entry]:
        """The first entry of each id."""
        return {entry.body["id"]: entry for entry in reversed(self.entries)}

    def turns(self, lines: list[dict[str, Any]], *, only: str = "v") -> tuple[dict[str, dict[str, Any]], bool]:
        """Each line whose turn comes, by its entry's id, and whether one was left over.

        Lines stand in the order of entries (those with the member `only`). One whose turn never comes blocks.
        """
        by_id, found, last = self.by_id, dict[str, dict[str, Any]](), -1
        for line in lines:
            entry = by_id.get(line["entry"])
            if entry is None or entry.position <= last or only not in entry.body:
                return found, True
            found[line["entry"]], last = line, entry.position
        return found, False

    @property
    def whole(self) -> bool:
        """Whether no entry is left out."""
        return bool(self.manifest["entries"] == self.manifest["size"])


def _manifest(data: bytes) -> dict[str, Any]:
    if len(data) > 65_535:
        raise Unusable("zip-ratio")
    try:
        found = read(data)
    except Misspelled as wrong:
        raise Unusable("manifest-form") from wrong
    if not isinstance(found, dict) or found.get("format") != "clinaiops/bundle/v1":
        raise Unusable("format-unknown")
    named = tuple(name for name in MEMBERS if name.endswith(".jsonl"))
    if not shapes.MANIFEST(found) or tuple(file["name"] for file in found["files"]) != named:
        raise Unusable("manifest-form")
    result: dict[str, Any] = found
    return result


def opened(data: bytes, findings: Findings) -> Bundle:
    """The bundle in the zip; what V1 and V4 find goes to the findings.

    :raises Unusable: it cannot be used
    """
    files = members(data)
    manifest = _manifest(files["manifest.json"])
    if len(files["manifest.note"]) > 1_000_000:
        raise Unusable("zip-ratio")
    for file in manifest["files"]:
        content = files[file["name"]]
        if (len(content), hashlib.sha256(content).hexdigest()) != (file["bytes"], file["sha256"]):
            findings.first(1, "manifest-digest")
    lines = {name: _lines(name, files[name], findings) for name in files if name.endswith(".jsonl")}
    if (len(lines["entries.jsonl"]), len(lines["batches.jsonl"])) != (manifest["entries"], manifest["batches"]):
        findings.total(1, "manifest-count")
    return Bundle(
        manifest,
        hashlib.sha256(files["manifest.json"]).hexdigest(),
        files["manifest.note"],
        _objects(lines["checkpoints.jsonl"], shapes.CHECKPOINT, findings),
        _objects(lines["rest.jsonl"], shapes.REST, findings),
        _objects(lines["heads.jsonl"], shapes.HEAD, findings),
        _objects(lines["payloads.jsonl"], shapes.PAYLOAD, findings),
        _objects(lines["batches.jsonl"], shapes.BATCH, findings),
        _objects(lines["assertions.jsonl"], shapes.ASSERTION, findings),
        *_entries(lines["entries.jsonl"], manifest, findings),
        _destroyed(lines["entries.jsonl"]),
    )


def _lines(name: str, content: bytes, findings: Findings) -> list[bytes]:
    lines = content.split(b"\n")
    if any(len(line) > LONGEST.get(name, 32 << 20) for line in lines):
        raise Unusable("line-too-long")
    if lines.pop():
        findings.first(1, "line-form")
    return lines


def _objects(lines: list[bytes], shape: Check, findings: Findings) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            value = read(line)
        except Misspelled:
            value = None
        if shape(value):
            found.append(value)
        else:
            findings.first(1, "line-form")
    return found


def _entries(lines: list[bytes], manifest: dict[str, Any], findings: Findings) -> tuple[list[Entry], int | None, bool]:
    frame = f"clinaiops/audit-entry/v1\n{manifest['origin']}\n".encode()
    found: list[Entry] = []
    last = -1
    for line in lines:
        matched = _ENTRY_LINE.match(line)
        if matched is None:
            findings.at(last + 1, 1, "line-form")
            return found, last + 1, False
        position, spelled = int(matched[1]), matched[2] or b""
        if not last < position < manifest["size"]:
            return found, None, True
        last = position
        wrong, body = _entry(spelled, frame)
        if wrong:
            findings.at(position, 4, wrong)
            return found, position, False
        found.append(Entry(position, body, leaf_hash(frame + spelled), shapes.microseconds(body["at"])))
    return found, None, False


def _destroyed(lines: list[bytes]) -> dict[tuple[str, str], list[int]]:
    """The positions that say a payload, or all about a subject, is gone: of every line that can be read at all."""
    found: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        if b'"payload.shredded"' not in line and b'"key.destroyed"' not in line:
            continue
        matched = _ENTRY_LINE.match(line)
        try:
            body = read(matched[2] or b"") if matched else None
            said = body["type"], body["object"]["type"], body["outcome"]
            if matched and said == ("payload.shredded", "payload", "ok"):
                found.setdefault(("payload", body["object"]["id"]), []).append(int(matched[1]))
            elif matched and said == ("key.destroyed", "data_key", "ok"):
                found.setdefault(("subject", body["subject"]), []).append(int(matched[1]))
        except (Misspelled, KeyError, TypeError):
            continue
    return found


def _entry(spelled: bytes, frame: bytes) -> tuple[str, dict[str, Any]]:
    if len(frame) + len(spelled) > 65_535:
        return "entry-size", {}
    try:
        body = read(spelled)
    except Misspelled:
        return "entry-spelling", {}
    if not shapes.is_entry(body):
        return "entry-schema", {}
    return "", body
