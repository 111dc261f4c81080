"""The steps of section 10 over a bundle in memory: each says all it finds, and the first in order is the verdict."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.x509 import Certificate

from . import shapes
from .bundle import Bundle, Entry, opened
from .notes import COSIGNS, SIGNS, Forged, Head, Key, Malformed, Note, Policy, head, note, policy, seconds_of
from .payloads import Payloads
from .pdf import Report
from .signed import Signatures
from .spelling import from_b64
from .stamps import NoToken, microsecond, roots
from .trees import Table, Unknown
from .verdict import Failure, Findings, Judgment, Unusable

SECOND = 1_000_000
SLACK, MERGED = 2 * SECOND, 62 * SECOND


@dataclass(slots=True)
class Checkpoint:
    """A checkpoint of the bundle that was signed by a log key; `covered` is the second of its quorum."""

    note: Note
    head: Head
    signers: set[Key]
    covered: int | None


def judge(
    bundle: bytes,
    policy_file: bytes,
    *,
    receipts: Sequence[bytes] = (),
    seen: Sequence[bytes] = (),
    tsa: bytes | None = None,
    online: bytes | None = None,
) -> Judgment:
    """The verdict over a bundle, with everything that was found wrong.

    `tsa`: the auditor's roots as PEM; `online`: what a witness answered that was asked for its newest head.
    """
    try:
        keys = policy(policy_file)
        report = Report(bundle) if bundle.startswith(b"%PDF-") else None
        judge = _Judge(report.bundle if report else bundle, keys)
        judge.trusted = None if tsa is None else roots(tsa)
        verdict = judge.verdict(receipts, seen, online)
        found = report.check(judge.bundle, judge.statements) if report and verdict.exit in (0, 3) else ""
        return Judgment(1, found, None, frozenset({(found, None)})) if found else verdict
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
        if not self.logs:
            raise Unusable("policy-log")
        if not self.statements:
            raise Unusable("policy-statement")
        self.table = Table()
        self.checkpoints: list[Checkpoint] = []
        self.tiled = 0
        self.trusted: list[Certificate] | None = None

    def verdict(self, receipts: Sequence[bytes], seen: Sequence[bytes], online: bytes | None = None) -> Judgment:
        self.manifest_note()
        if self.findings.found and self.findings.found[-1].kind == "manifest-signature":
            return Judgment(1, "manifest-signature", None, frozenset({("manifest-signature", None)}))
        given = [found for file in receipts for found in self.receipts(file)]
        heads = [self.seen_head(file)[0] for file in seen]
        heads += self.online_head(online)
        self.counts()
        self.heads()
        self.tiles()
        self.roots(heads)
        self.objects()
        self.times()
        self.stamps()
        self.log_keys()
        payloads = Payloads(self.bundle, self.findings)
        payloads.check()
        Signatures(self.bundle, payloads, self.findings).check()
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
            self.findings.total(1, "manifest-count")

    # --- V2, V3: the heads

    def heads(self) -> None:
        last = 0
        for line in self.bundle.checkpoints:
            size = line["size"]
            if size <= last:
                return self.findings.head(last, 90, "checkpoint-order")
            last = size
            kind, found = self.checkpoint(line)
            if found is None:
                self.findings.head(size, 0, kind)
            else:
                self.checkpoints.append(found)
        if last != self.manifest["size"]:
            return self.findings.head(last, 90, "checkpoint-order")
        if self.checkpoints and self.checkpoints[-1].head.root.hex() != self.manifest["root"]:
            self.findings.head(last, 90, "checkpoint-order")
        return None

    def checkpoint(self, line: dict[str, Any]) -> tuple[str, Checkpoint | None]:
        try:
            signed = note(line["note"].encode())
            by = signed.by([*self.logs, *self.keys.witnesses.values()])
            says = head(signed.text)
            if says.size != line["size"]:
                return "checkpoint-form", None
            if says.origin != self.origin:
                return "checkpoint-origin", None
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
        return "", Checkpoint(signed, says, signers, self.keys.covered_at(times))

    # --- V5, V6, V7, V14: the tree

    def tiles(self) -> None:
        """The entries and the rest fill [0, N); `tiled` is how far they do."""
        sizes = [line["size"] for line in self.bundle.checkpoints]
        entries, rest = [*reversed(self.bundle.entries)], [*reversed(self.bundle.rest)]
        while sizes and self.tiled < max(sizes):
            at = self.tiled
            if entries and entries[-1].position == at:
                self.table.known[at, at + 1] = entries.pop().leaf
                self.tiled = at + 1
            elif rest and rest[-1]["start"] == at and self.fits(rest[-1], sizes):
                self.tiled = rest[-1]["end"]
                self.table.known[at, self.tiled] = bytes.fromhex(rest.pop()["hash"])
            else:
                return self.findings.gap(at) if at != self.bundle.broken else None
        if entries or rest or self.bundle.disordered:
            self.findings.found.append(Failure(self.tiled, 98, "tiling", self.tiled))
        return None

    @staticmethod
    def fits(line: dict[str, Any], sizes: list[int]) -> bool:
        start, end = line["start"], line["end"]
        length = end - start
        whole = length > 0 and length & (length - 1) == 0 and start % length == 0 and end <= max(sizes)
        return whole and not any(start < size < end for size in sizes)

    def roots(self, heads: Iterable[Head]) -> None:
        for one in self.checkpoints:
            self.root(one.head, "root", 5)
        for seen in heads:
            if seen.size > self.manifest["size"]:
                self.findings.total(17, "seen-longer")
            else:
                self.root(seen, "seen-root", 7)

    def root(self, says: Head, kind: str, step: int) -> None:
        if says.size > self.tiled:
            return
        try:
            if self.table.root(0, says.size) != says.root:
                self.findings.head(says.size, step if step == 5 else -1, kind)
        except Unknown:
            return

    def seen_head(self, data: bytes) -> tuple[Head, int]:
        """The head, and the latest second at which a witness cosigned it."""
        try:
            signed = note(data)
            says = head(signed.text)
        except Malformed as wrong:
            raise Unusable("seen-form") from wrong
        try:
            by = signed.by([*self.logs, *self.keys.witnesses.values()])
        except Forged as wrong:
            raise Unusable("seen-form") from wrong
        if says.origin != self.origin or not any(key.type == SIGNS for key, _ in by):
            raise Unusable("seen-signature")
        return says, max((seconds_of(signature) for key, signature in by if key.type == COSIGNS), default=0)

    def online_head(self, data: bytes | None) -> list[Head]:
        """The head to compare with: a longer one only if it was there when the bundle was made."""
        if data is None:
            return []
        if len(data) > 1_000_000:
            raise Unusable("online")
        says, second = self.seen_head(data)
        grown = says.size > self.manifest["size"] and second * SECOND > self.made_at() - SLACK
        return [] if grown else [says]

    def made_at(self) -> int:
        """When the bundle was made, in microseconds."""
        return shapes.microseconds(self.manifest["made_at"])

    # --- V15: timestamp tokens

    def stamps(self) -> None:
        for line in self.bundle.checkpoints if self.trusted is not None else []:
            one = next((each for each in self.checkpoints if each.head.size == line["size"]), None)
            if "timestamp" not in line or one is None:
                continue
            try:
                at = microsecond(line["timestamp"], one.note.text, self.trusted or [])
            except NoToken:
                self.findings.head(line["size"], 21, "token")
                continue
            below = [entry for entry in self.bundle.entries if entry.position < line["size"]]
            latest = max(below, key=lambda entry: (entry.at, entry.position), default=None)
            if latest is not None and latest.at > at + SLACK:
                self.findings.head(line["size"], 21, "token-time", latest.position)

    # --- V8, V9: objects and times

    def objects(self) -> None:
        strict = self.manifest["complete_objects"] or self.bundle.whole
        ids: set[str] = set()
        last: dict[tuple[str, str], tuple[int, bytes]] = {}
        firsts: dict[tuple[str, str], Entry] = {}
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
            firsts.setdefault(entry.object, entry)
        self.ends(firsts, last)

    def ends(self, firsts: dict[tuple[str, str], Entry], last: dict[tuple[str, str], tuple[int, bytes]]) -> None:
        """Each object goes as far as its line in `heads.jsonl` says; no such line where all entries are here."""
        lines = {line["entry"]: (line["version"], bytes.fromhex(line["leaf"])) for line in self.bundle.heads}
        expected = [] if self.bundle.whole else [entry.body["id"] for entry in firsts.values()]
        told = [line["entry"] for line in self.bundle.heads]
        for number, entry in enumerate(() if self.bundle.whole else firsts.values()):
            if told[number : number + 1] != [entry.body["id"]]:
                return self.findings.at(entry.position, 8, "object-head")
        if told != expected:
            self.findings.total(0, "object-head")
        for thing, entry in firsts.items():
            newest, here = lines.get(entry.body["id"]), last[thing]
            strict = self.manifest["complete_objects"]
            if newest is not None and newest != here and (strict or here[0] >= newest[0]):
                return self.findings.total(0, "object-head")
        return None

    def times(self) -> None:
        known = [(one.head.size, one.covered * SECOND) for one in self.checkpoints if one.covered is not None]
        for size, when in known:
            below = [entry for entry in self.bundle.entries if entry.position < size]
            latest = max(below, key=lambda entry: entry.at, default=None)
            if latest is not None and latest.at > when + SLACK:
                self.findings.head(size, 20, "time-after", latest.position)
        for entry in self.bundle.entries:
            if any(entry.at < when - MERGED for size, when in known if size <= entry.position):
                self.findings.at(entry.position, 9, "time-before")

    # --- V13: the keys in force

    def log_keys(self) -> None:
        shown, _ = self.bundle.turns(self.bundle.payloads, only="payload")
        payloads = {entry: line["body"] for entry, line in shown.items()}
        by_name = {_written(key): key for key in self.logs}
        now: Key | None = None
        steps: list[tuple[int, set[Key], Key]] = []
        for entry in self.bundle.entries:
            if entry.type not in ("log.genesis", "log.key_rotated") or entry.body["outcome"] != "ok":
                continue
            first = entry.type == "log.genesis"
            body = payloads.get(entry.body["id"])
            old, new = (by_name.get(_member(body, name)) for name in (("vkey", "vkey") if first else ("old", "new")))
            if (
                old is None
                or new is None
                or now not in (None, old)
                or (first and _member(body, "origin") != self.origin)
            ):
                return self.findings.at(entry.position, 13, "key-genesis" if first else "key-rotation")
            steps.append((entry.position, {old, new}, new))
            now = new
        if now is None and self.bundle.broken is None:
            return self.findings.total(13, "key-genesis")
        self.in_force(steps)
        return None

    def in_force(self, steps: list[tuple[int, set[Key], Key]]) -> None:
        wanted: set[Key] = set()
        before = 0
        for one in self.checkpoints:
            new = [(keys, now) for position, keys, now in steps if before <= position < one.head.size]
            wanted = wanted.union(*(keys for keys, _ in new))
            if not wanted <= one.signers:
                self.findings.head(one.head.size, 13, "key-not-in-force")
            wanted = {new[-1][1]} if new else wanted
            before = one.head.size

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
            if not signed.by(self.statements):
                raise Unusable("receipt-signature")
            kind, origin, leaf, at, due = signed.text.removesuffix("\n").split("\n")
            if (kind, origin) != ("clinaiops/receipt/v1", self.origin) or not shapes.is_time(at):
                raise Malformed("not a receipt of this log")
            return from_b64(leaf, 32), at, shapes.microseconds(due)
        except Forged as wrong:
            raise Unusable("receipt-signature") from wrong
        except ValueError as wrong:
            raise Unusable("receipt-form") from wrong

    def promises(self, receipts: list[tuple[bytes, str, int]]) -> bool:
        """Whether one is open; broken ones go to the findings."""
        if len({leaf for leaf, *_ in receipts}) != len(set(receipts)):
            self.findings.first(30, "receipt-at")
        leaves: dict[bytes, Entry] = {entry.leaf: entry for entry in self.bundle.entries}
        covered = [one.covered * SECOND for one in self.checkpoints if one.covered is not None]
        known_until = max([shapes.microseconds(self.manifest["made_at"]), *covered[-1:]])
        is_open = False
        for leaf, at, due in receipts:
            if leaf in leaves:
                if leaves[leaf].body["at"] != at:
                    self.findings.at(leaves[leaf].position, 30, "receipt-at")
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
