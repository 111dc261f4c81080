"""Payloads and batches: commitments, what was shredded, what is withheld (V11, V12)."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from .bundle import Bundle, Entry
from .spelling import Misspelled, from_b64, read
from .trees import root_of
from .verdict import Findings


class Payloads:
    """What the bundle shows of its entries' payloads; `of` by entry id once checked."""

    def __init__(self, bundle: Bundle, findings: Findings) -> None:
        self.bundle, self.findings = bundle, findings
        self.of: dict[str, Any] = {}

    def check(self) -> None:
        """V12, then V11."""
        by_id = self.bundle.by_id
        shredded = {entry.body["id"] for entry in self.bundle.entries if self.is_shredded(entry)}
        last = -1
        for line in self.bundle.payloads:
            entry = by_id.get(line["entry"])
            if entry is None or "payload" not in entry.body or entry.position <= last:
                self.stray("payload-stray", 12, entry)
                continue
            last = entry.position
            self.line(line, entry, entry.body["id"] in shredded)
        self.batches(by_id)
        self.sums(shredded)

    def stray(self, kind: str, step: int, entry: Entry | None) -> None:
        """A line that belongs to no entry is known when all entries are."""
        if entry is None:
            self.findings.total(step, kind)
        else:
            self.findings.at(entry.position, step, kind)

    def line(self, line: dict[str, Any], entry: Entry, is_shredded: bool) -> None:
        data = b"clinaiops/payload-commit/v1" + bytes.fromhex(line["salt"]) + line["body"].encode()
        if hashlib.sha256(data).hexdigest() != entry.body["payload"]["commit"]:
            return self.findings.at(entry.position, 12, "payload-commit")
        try:
            self.of[entry.body["id"]] = read(line["body"].encode())
        except Misspelled:
            return self.findings.at(entry.position, 12, "payload-spelling")
        if is_shredded:
            self.findings.at(entry.position, 12, "payload-shredded")
        return None

    def is_shredded(self, entry: Entry) -> bool:
        """Whether a later entry says that this entry's payload is gone."""
        if "payload" not in entry.body:
            return False
        return any(
            later.position > entry.position and later.body["outcome"] == "ok" and self.destroys(later, entry)
            for later in self.bundle.entries
            if later.type in ("payload.shredded", "key.destroyed")
        )

    @staticmethod
    def destroys(later: Entry, entry: Entry) -> bool:
        if later.type == "payload.shredded":
            return later.object == ("payload", entry.body["payload"]["ref"])
        same = later.body.get("subject") is not None and later.body.get("subject") == entry.body.get("subject")
        return same and later.object[0] == "data_key"

    def sums(self, shredded: set[str]) -> None:
        having = {entry.body["id"] for entry in self.bundle.entries if "payload" in entry.body}
        shown = {line["entry"] for line in self.bundle.payloads} & having
        gone = (having & shredded) - shown
        counts = {"included": len(shown), "shredded": len(gone), "withheld": len(having - shown - gone)}
        if counts != self.bundle.manifest["payloads"]:
            self.findings.total(12, "manifest-count")

    def batches(self, by_id: dict[str, Entry]) -> None:
        last = -1
        for line in self.bundle.batches:
            entry = by_id.get(line["entry"])
            if entry is None or entry.type != "observation.batch_accepted" or entry.position <= last:
                self.stray("batch-stray", 11, entry)
                continue
            last = entry.position
            if line["entry"] not in {payload["entry"] for payload in self.bundle.payloads}:
                self.findings.at(entry.position, 11, "batch-stray")
                continue
            says = self.of.get(line["entry"])
            rows = [from_b64(row) for row in line["rows"]]
            tiles = [rows[at : at + 64] for at in range(0, len(rows), 64)]
            root = root_of([b"".join(struct.pack(">I", len(row)) + row for row in tile) for tile in tiles])
            counted = isinstance(says, dict) and type(says.get("count")) is int and says["count"] == len(rows)
            if not (counted and says is not None and says.get("root") == root.hex()):
                self.findings.at(entry.position, 11, "batch-root")
