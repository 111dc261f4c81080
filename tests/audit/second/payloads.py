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
        self.lines: dict[str, dict[str, Any]] = {}

    def check(self) -> None:
        """V12, then V11."""
        gone = {entry.body["id"]: self.shredded_at(entry) for entry in self.bundle.entries}
        shredded = {entry_id: at for entry_id, at in gone.items() if at is not None}
        by_id = self.bundle.by_id
        self.lines, left = self.bundle.turns(self.bundle.payloads, only="payload")
        for entry_id, line in self.lines.items():
            self.line(line, by_id[entry_id], shredded.get(entry_id))
        if left:
            self.findings.total(0, "payload-stray")
        batches, left = self.bundle.turns(self.bundle.batches)
        for entry_id, line in batches.items():
            self.batch(line, by_id[entry_id])
        if left:
            self.findings.total(0, "batch-stray")
        self.sums({*shredded})

    def line(self, line: dict[str, Any], entry: Entry, shredded_at: int | None) -> None:
        data = b"clinaiops/payload-commit/v1" + bytes.fromhex(line["salt"]) + line["body"].encode()
        if hashlib.sha256(data).hexdigest() != entry.body["payload"]["commit"]:
            return self.findings.at(entry.position, 12, "payload-commit")
        try:
            self.of[entry.body["id"]] = read(line["body"].encode())
        except Misspelled:
            return self.findings.at(entry.position, 12, "payload-spelling")
        if shredded_at is not None:
            self.findings.at(shredded_at, 10, "payload-shredded")
        return None

    def shredded_at(self, entry: Entry) -> int | None:
        """Where the first later entry stands that says this entry's payload is gone; None when there is none."""
        if "payload" not in entry.body:
            return None
        names = ("payload", entry.body["payload"]["ref"]), ("subject", entry.body.get("subject", ""))
        said = [at for name in names for at in self.bundle.destroyed.get(name, []) if at > entry.position]
        return min(said, default=None)

    def sums(self, shredded: set[str]) -> None:
        having = {entry.body["id"] for entry in self.bundle.entries if "payload" in entry.body}
        shown = self.lines.keys() & having
        gone = (having & shredded) - shown
        counts = {"included": len(shown), "shredded": len(gone), "withheld": len(having - shown - gone)}
        if counts != self.bundle.manifest["payloads"]:
            self.findings.total(12, "manifest-count")

    def batch(self, line: dict[str, Any], entry: Entry) -> None:
        says = self.of.get(line["entry"])
        if entry.type != "observation.batch_accepted" or not isinstance(says, dict) or not says:
            return self.findings.at(entry.position, 12, "batch-stray")
        rows = [from_b64(row) for row in line["rows"]]
        tiles = [rows[at : at + 64] for at in range(0, len(rows), 64)]
        root = root_of([b"".join(struct.pack(">I", len(row)) + row for row in tile) for tile in tiles])
        counted = type(says.get("count")) is int and says["count"] == len(rows)
        if not counted or says.get("root") != root.hex():
            self.findings.at(entry.position, 14, "batch-root")
        return None
