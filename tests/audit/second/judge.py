"""The steps of section 10 over a bundle in memory: each says all it finds, and the first in order is the verdict."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import shapes
from .bundle import Bundle, Entry, opened
from .notes import COSIGNS, ORIGIN, SIGNS, Forged, Head, Key, Malformed, Note, Policy, head, note, policy, seconds_of
from .payloads import Payloads
from .signed import Signatures
from .spelling import from_b64
from .trees import Table, Unknown
from .verdict import BEFORE, Failure, Findings, Judgment, Unusable

SECOND = 1_000_000
SLACK, MERGED = 2 * SECOND, 62 * SECOND


@dataclass(slots=True)
class Checkpoint:
    """A checkpoint of the bundle that was signed by a log key; `covered` is the second of its quorum."""

    note: Note
    head: Head
    signers: set[Key]
    covered: int | None
    token: bytes | None


def judge(
    bundle: bytes,
    policy_file: bytes,
    *,
    receipts: Sequence[bytes] = (),
    seen: Sequence[bytes] = (),
    tsa: bytes | None = None,
) -> Judgment:
    """The verdict over a bundle, with everything that was found wrong."""
    try:
        return _Judge(bundle, policy(policy_file)).verdict(receipts, seen, tsa)
    except Unusable as unusable:
        return Judgment(2, unusable.kind)


class _Judge:
    """One bundle under one policy."""

    def __init__(self, data: bytes, keys: Policy) -> None:
        self.findings, self.keys = Findings(), keys
        self.bundle: Bundle = opened(data, self.findings)
        self.manifest = self.bundle.manifest
        self.origin: str = self.manifest["origin"]
        self.logs = [key for key in keys.logs if key.name == self.origin]
        self.statements = [key for key in keys.statements if key.name == f"{self.origin}/statement"]
        if not ORIGIN.match(self.origin):
            raise Unusable("manifest-form")
        if not self.logs:
            raise Unusable("policy-log")
        if not self.statements:
            raise Unusable("policy-statement")
        self.table = Table()
        self.checkpoints: list[Checkpoint] = []
        self.tiled = 0

    def verdict(self, receipts: Sequence[bytes], seen: Sequence[bytes], tsa: bytes | None) -> Judgment:
        given = [found for file in receipts for found in self.receipts(file)]
        heads = [self.seen_head(file) for file in seen]
        self.manifest_note()
        self.counts()
        if any(failure.order == BEFORE for failure in self.findings.found):
            return self.findings.judgment(1)
        self.heads()
        if any(failure.order == BEFORE for failure in self.findings.found):
            return self.findings.judgment(1)
        self.tiles()
        self.roots(heads)
        self.objects()
        self.times()
        self.log_keys()
        payloads = Payloads(self.bundle, self.findings)
        payloads.check()
        Signatures(self.bundle, payloads, self.findings).check()
        if tsa is not None:
            self.tokens(tsa)
        is_open = self.promises(given)
        covered = max((one.head.size for one in self.checkpoints if one.covered is not None), default=0)
        unwitnessed = self.keys.quorum is not None and any(e.position >= covered for e in self.bundle.entries)
        return self.findings.judgment(3 if is_open or unwitnessed else 0)

    # --- V1, V14: what the manifest says

    def manifest_note(self) -> None:
        root = base64.b64encode(bytes.fromhex(self.manifest["root"])).decode()
        says = ["clinaiops/export-manifest/v1", self.origin, self.manifest["size"], root, self.manifest["entries"]]
        text = "".join(f"{line}\n" for line in [*says, self.bundle.manifest_digest])
        try:
            signed = note(self.bundle.note)
            good = bool(signed.by(self.statements)) and signed.text == text
        except (Malformed, Forged):
            good = False
        if not good:
            self.findings.first(14, "manifest-signature")

    def counts(self) -> None:
        manifest = self.manifest
        left = dict.fromkeys(("entries", "payloads"), 0)
        for line in manifest["left_out"]:
            if line["what"] in left:
                left[line["what"]] += line["n"]
        wanted = {"entries": manifest["size"] - manifest["entries"], "payloads": manifest["payloads"]["withheld"]}
        if left != wanted or (manifest["kind"] == "everything" and wanted["entries"]):
            self.findings.first(1, "manifest-count")

    # --- V2, V3: the heads

    def heads(self) -> None:
        last = 0
        for line in self.bundle.checkpoints:
            kind, found = self.checkpoint(line)
            if found is None:
                return self.findings.first(3 if kind == "cosignature" else 2, kind)
            if found.head.size != line["size"] or found.head.size <= last:
                return self.findings.first(2, "checkpoint-order")
            last = found.head.size
            self.checkpoints.append(found)
        if not self.checkpoints or last != self.manifest["size"]:
            return self.findings.first(2, "checkpoint-order")
        if self.checkpoints[-1].head.root.hex() != self.manifest["root"]:
            self.findings.first(2, "checkpoint-order")
        return None

    def checkpoint(self, line: dict[str, Any]) -> tuple[str, Checkpoint | None]:
        try:
            signed = note(line["note"].encode())
            says = head(signed.text)
            if says.origin != self.origin:
                return "checkpoint-origin", None
            by = signed.by([*self.logs, *self.keys.witnesses.values()])
        except Malformed:
            return "checkpoint-form", None
        except Forged as forged:
            return ("cosignature" if forged.args[0].type == COSIGNS else "checkpoint-signature"), None
        signers = {key for key, _ in by if key.type == SIGNS}
        if not signers:
            return "checkpoint-signature", None
        times: dict[Key, int] = {}
        for key, signature in by:
            if key.type == COSIGNS:
                times[key] = min(seconds_of(signature), times.get(key, seconds_of(signature)))
        token = from_b64(line["timestamp"]) if "timestamp" in line else None
        return "", Checkpoint(signed, says, signers, self.keys.covered_at(times), token)

    # --- V5, V6, V7, V14: the tree

    def tiles(self) -> None:
        """The entries and the rest fill [0, N); `tiled` is how far they do."""
        sizes = [one.head.size for one in self.checkpoints]
        pieces = [(entry.position, entry.position + 1, entry.leaf, True) for entry in self.bundle.entries]
        last = -1
        for line in self.bundle.rest:
            start, end = line["start"], line["end"]
            length = end - start
            bad = length < 1 or length & (length - 1) or start % length or start <= last or end > sizes[-1]
            if bad or any(start < size < end for size in sizes):
                self.findings.found.append(Failure(start, 14, "tiling"))
            last = start
            pieces.append((start, end, bytes.fromhex(line["hash"]), False))
        for start, end, known, _ in sorted(pieces):
            if start != self.tiled:
                break
            self.table.known[start, end] = known
            self.tiled = end
        stopped = any(
            failure.kind.startswith(("entry-", "line-")) or failure.step == 14 for failure in self.findings.found
        )
        if self.tiled != sizes[-1] and not stopped:
            self.findings.found.append(Failure(self.tiled, 14, "tiling"))
        if self.tiled == sizes[-1] and len(self.table.known) != len(pieces):
            self.findings.found.append(Failure(self.tiled, 14, "tiling"))

    def roots(self, heads: Iterable[Head]) -> None:
        for one in self.checkpoints:
            self.root(one.head, "root", 5)
        for seen in heads:
            if seen.size > self.manifest["size"]:
                self.findings.first(7, "seen-longer")
            else:
                self.root(seen, "seen-root", 7)

    def root(self, says: Head, kind: str, step: int) -> None:
        if says.size > self.tiled:
            return
        try:
            if self.table.root(0, says.size) != says.root:
                self.findings.head(says.size, step, kind)
        except Unknown:
            if step == 5:
                self.findings.found.append(Failure(says.size - 1, 98, "tiling"))

    def seen_head(self, data: bytes) -> Head:
        try:
            signed = note(data)
            says = head(signed.text)
        except Malformed as wrong:
            raise Unusable("seen-form") from wrong
        try:
            by = signed.by([*self.logs, *self.keys.witnesses.values()])
        except Forged as wrong:
            raise Unusable("seen-signature") from wrong
        if says.origin != self.origin:
            raise Unusable("seen-form")
        if not any(key.type == SIGNS for key, _ in by):
            raise Unusable("seen-signature")
        return says

    # --- V8, V9: objects and times

    def objects(self) -> None:
        strict = self.manifest["complete_objects"] or self.bundle.whole
        ids: set[str] = set()
        last: dict[tuple[str, str], tuple[int, bytes]] = {}
        for entry in self.bundle.entries:
            if entry.body["id"] in ids:
                self.findings.at(entry.position, 8, "duplicate-id")
            ids.add(entry.body["id"])
            if entry.version is None:
                continue
            before, leaf = last.get(entry.object, (0, b""))
            if entry.version <= before:
                self.findings.at(entry.position, 8, "version-order")
            elif entry.version == before + 1:
                if before and entry.body["object"]["prev"] != leaf.hex():
                    self.findings.at(entry.position, 8, "prev")
            elif strict:
                self.findings.at(entry.position, 8, "version-gap")
            last[entry.object] = (entry.version, entry.leaf)

    def times(self) -> None:
        known = [(one.head.size, one.covered * SECOND) for one in self.checkpoints if one.covered is not None]
        for entry in self.bundle.entries:
            if any(entry.at > when + SLACK for size, when in known if size > entry.position):
                self.findings.at(entry.position, 9, "time-after")
            if any(entry.at < when - MERGED for size, when in known if size <= entry.position):
                self.findings.at(entry.position, 9, "time-before")

    # --- V13: the keys in force

    def log_keys(self) -> None:
        payloads = {line["entry"]: line["body"] for line in self.bundle.payloads}
        by_name = {_written(key): key for key in self.logs}
        genesis = [entry for entry in self.bundle.entries if entry.type == "log.genesis"]
        reached = max((entry.position + 1 for entry in self.bundle.entries), default=0)
        if not genesis and any(failure.order < reached + 1 for failure in self.findings.found):
            return None
        if len(genesis) != 1 or genesis[0].object != ("log", self.origin):
            return self.findings.first(13, "key-genesis")
        now = by_name.get(_member(payloads.get(genesis[0].body["id"]), "vkey"))
        if now is None:
            return self.findings.at(genesis[0].position, 13, "key-genesis")
        rotations = []
        for entry in self.bundle.entries:
            if entry.type == "log.key_rotated":
                body = payloads.get(entry.body["id"])
                old, new = by_name.get(_member(body, "old")), by_name.get(_member(body, "new"))
                if old is None or new is None or old != now:
                    return self.findings.at(entry.position, 13, "key-rotation")
                rotations.append((entry.position, old, new))
                now = new
        self.in_force(by_name[_member(payloads[genesis[0].body["id"]], "vkey")], rotations)
        return None

    def in_force(self, first: Key, rotations: list[tuple[int, Key, Key]]) -> None:
        now, before = first, 0
        for one in self.checkpoints:
            wanted = {now}
            for position, old, new in rotations:
                if before <= position < one.head.size:
                    wanted |= {old, new}
                    now = new
            if not wanted <= one.signers:
                self.findings.head(one.head.size, 13, "key-not-in-force")
            before = one.head.size

    # --- V15: time-stamp tokens

    def tokens(self, roots: bytes) -> None:
        from .tokens import Distrusted, time_of, trusted

        anchors = trusted(roots)
        for one in self.checkpoints:
            if one.token is None:
                continue
            try:
                when = time_of(one.token, one.note.text.encode(), anchors)
            except Distrusted:
                self.findings.head(one.head.size, 15, "token")
                continue
            for entry in self.bundle.entries:
                if entry.position < one.head.size and entry.at > when + SLACK:
                    self.findings.at(entry.position, 15, "token-time")

    # --- receipts

    def receipts(self, data: bytes) -> list[tuple[bytes, str, int]]:
        if len(data) > 64 << 20:
            raise Unusable("receipt-form")
        notes = [data]
        if data[:1] == b"{":
            try:
                notes = [json.loads(line)["receipt"].encode() for line in data.decode().split("\n") if line]
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as wrong:
                raise Unusable("receipt-form") from wrong
        return [self.receipt(one) for one in notes]

    def receipt(self, data: bytes) -> tuple[bytes, str, int]:
        try:
            signed = note(data)
            kind, origin, leaf, at, merged = signed.text.removesuffix("\n").split("\n")
            right = kind == "clinaiops/receipt/v1" and origin == self.origin
            due = shapes.microseconds(merged)
            if not right or due - shapes.microseconds(at) != 60 * SECOND:
                raise Malformed("not a receipt of this log")
            found = from_b64(leaf, 32), at, due
        except ValueError as wrong:
            raise Unusable("receipt-form") from wrong
        try:
            if not signed.by(self.statements):
                raise Unusable("receipt-signature")
        except Forged as wrong:
            raise Unusable("receipt-signature") from wrong
        return found

    def promises(self, receipts: list[tuple[bytes, str, int]]) -> bool:
        """Whether one is open; broken ones go to the findings."""
        leaves: dict[bytes, Entry] = {entry.leaf: entry for entry in self.bundle.entries}
        covered = [one.covered * SECOND for one in self.checkpoints if one.covered is not None]
        known_until = max([shapes.microseconds(self.manifest["made_at"]), *covered[-1:]])
        is_open = False
        for leaf, at, due in receipts:
            if leaf in leaves:
                if leaves[leaf].body["at"] != at:
                    self.findings.at(leaves[leaf].position, 16, "receipt-at")
            elif self.bundle.whole and due <= known_until:
                self.findings.total(16, "receipt-missing")
            else:
                is_open = True
        return is_open


def _member(body: str | None, name: str) -> str:
    """A member of a payload that is an object; empty when there is none. What is not canonical V12 finds."""
    try:
        value = json.loads(body or "null")
    except (ValueError, RecursionError):
        return ""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _written(key: Key) -> str:
    data = base64.b64encode(bytes([key.type]) + key.public).decode()
    return f"{key.name}+{key.id.hex()}+{data}"
