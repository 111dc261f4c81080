"""One pass over a bundle, in the order of positions; the first thing that does not hold ends it (README 10, V1 to V15).

* Entries and the hashes of what was left out grow one tree, which must have every checkpoint's root on its way.
* Nothing is kept but the ids of entries and of their payloads, what each object's newest version is, and what
  signatures need: at most some 300 bytes per entry.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b, sha256
from typing import Any

from audit.verify import quick
from audit.verify.archive import LINED, Archive
from audit.verify.notes import COSIGNATURE, PLAIN, Key, NoteInvalid, Policy, open_note, read_head, stated, unb64
from audit.verify.quick import Entry
from audit.verify.signatures import Signatures
from audit.verify.spelling import CHECKS, Refused, Wrong, instant, parse, stamp

FAULTS = {PLAIN: ("V2", "checkpoint-signature"), COSIGNATURE: ("V3", "cosignature")}
KEYS = {"log.genesis": ("key-genesis", "vkey", "vkey"), "log.key_rotated": ("key-rotation", "old", "new")}
STRAY = {"payloads": ("V12", "payload-stray"), "batches": ("V11", "batch-stray")}
STRAY |= {"assertions": ("V10", "esign-stray"), "heads": ("V14", "object-head")}
SHREDDED, KEY = ("payload.shredded", "payload"), ("key.destroyed", "data_key")
LONG = 48  # characters of an object's name above which only its digest is kept
SECOND, SKEW, MERGE = 1_000_000, 2_000_000, 60_000_000  # microseconds: clocks differ, an entry waits to be merged


class Range:
    """The roots of the perfect subtrees over the first `size` leaves, largest first: RFC 6962 in log2(size) hashes."""

    def __init__(self) -> None:
        self.size, self.hashes = 0, list[bytes]()

    def add(self, node: bytes, width: int = 1) -> None:
        """Add the root over the next `width` leaves, a power of two that divides the size."""
        level = self.size // width
        while level & 1:
            node, level = sha256(b"\x01" + self.hashes.pop() + node).digest(), level >> 1
        self.hashes.append(node)
        self.size += width

    def root(self) -> bytes:
        """The root over all leaves so far."""
        node = self.hashes[-1] if self.hashes else sha256(b"").digest()
        for left in reversed(self.hashes[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node


class _Beside:
    """The lines of a member that speak of entries, handed out as their entries come by: `id` names the next one's."""

    def __init__(self, lines: Iterator[dict[str, Any]]) -> None:
        self._lines, self.taken = lines, 0
        self._next = next(lines, None)
        self.id = self._next and self._next["entry"]

    def take(self) -> dict[str, Any]:
        line, self._next = self._next, next(self._lines, None)
        self.id, self.taken = self._next and self._next["entry"], self.taken + 1
        return line or {}


def read_manifest(archive: Archive, policy: Policy) -> dict[str, Any]:
    """The manifest of a log of the policy, signed by its statement key (V14)."""
    data = archive.zip.read("manifest.json")
    said = parse(data, "manifest-form")
    if not isinstance(said, dict) or said.get("format") != "clinaiops/bundle/v1":
        raise Refused("format-unknown")
    if not CHECKS["manifest"](said) or [file["name"] for file in said["files"]] != LINED:
        raise Refused("manifest-form", "not the members of a manifest")
    origin, statements = said["origin"], [key for key in policy.statements if key.name == f"{said['origin']}/statement"]
    known = origin in {key.name for key in policy.logs}
    if not known or not statements:
        raise Refused("policy-statement" if known else "policy-log", origin)
    root, digest = b64encode(bytes.fromhex(said["root"])).decode(), sha256(data).hexdigest()
    expected = ("clinaiops/export-manifest/v1", origin, said["size"], root, said["entries"], digest)
    try:
        stated(archive.zip.read("manifest.note"), statements, *expected)
    except NoteInvalid as err:
        raise Wrong("V14", "manifest-signature", err) from err
    archive.listed = {file["name"]: file for file in said["files"]}
    return said


class Walk:
    """The pass. `receipts`: leaf hash to (at, merged by); `seen`: size to root; `stamped` reads a token's time."""

    def __init__(self, archive: Archive, policy: Policy) -> None:
        self.archive, self.policy, self.manifest = archive, policy, read_manifest(archive, policy)
        self.seen, self.receipts = dict[int, bytes](), dict[bytes, tuple[str, str]]()
        self.stamped: Callable[[str, bytes], int] | None = None
        self.keys = [key for key in policy.logs if key.name == self.manifest["origin"]]
        self.prefix = f"\0clinaiops/audit-entry/v1\n{self.manifest['origin']}\n".encode()
        self.tree, self.signatures, self.covered = Range(), Signatures(), dict[str, Any]()
        self.beside = {name: _Beside(archive.objects(f"{name}.jsonl")) for name in STRAY}
        self.payloads, self.batches, self.assertions, self.heads = self.beside.values()
        self.whole = self.manifest["entries"] == self.manifest["size"]
        self.strict = self.manifest["complete_objects"] or self.whole
        self.ids, self.versions = set[bytes](), dict[str | bytes, bytes]()
        self.newest = dict[str | bytes, tuple[str, str, bytes]]()  # each object, its first entry here, its last version
        self.refs, self.hidden, self.missing = set[str | None](), set[str | None](), 0  # payloads shown, and not
        self.subjects, self.about = set[str | None](), dict[str | None, list[str | None]]()  # whose they are
        self.in_force: set[Key] = set()  # what the next checkpoint must be signed by
        self.after: set[Key] = set()  # and those after it
        self.latest = ("0001-01-01T00:00:00.000000Z", -1)  # newest `at`, and where
        self.floor = -(1 << 62)  # last covered checkpoint's time
        self.late, self.oldest = "", ""  # the least `at` that is not late, and that is not wrong
        self.tally = dict.fromkeys(("witnessed", "checkpoints", "tokens", "compared", "late", "out_of_order"), 0)

    @property
    def shown(self) -> dict[str, int]:
        """How many payloads are here, are kept from this reader, and were destroyed."""
        shredded = self.missing - len(self.hidden)
        return {"included": self.payloads.taken, "withheld": len(self.hidden), "shredded": shredded}

    @property
    def cut(self) -> list[tuple[str, str, int, int]]:
        """The objects whose newest version is not here: name, first entry here, newest version, the last one here."""
        ends = ((*said, self.versions[name]) for name, said in self.newest.items() if said[2] != self.versions[name])
        return [(name, first, int.from_bytes(said[32:]), int.from_bytes(last[32:])) for name, first, said, last in ends]

    def run(self) -> None:
        """Everything; raises Wrong or Refused."""
        entries, rest = self._entries(), self.archive.objects("rest.jsonl")
        entry, gap = next(entries, None), next(rest, None)
        for line in self.archive.objects("checkpoints.jsonl"):
            if (size := line["size"]) <= self.tree.size:
                raise Wrong("V2", "checkpoint-order", f"size {size} after {self.tree.size}")
            while (at := self.tree.size) < size:
                if entry is not None and entry[0] == at:
                    self._entry(*entry)
                    entry = next(entries, None)
                elif gap is not None and gap["start"] == at:
                    width = gap["end"] - at
                    if width < 1 or width & (width - 1) or at % width or gap["end"] > size:
                        raise Wrong("V14", "tiling", f"[{at}, {gap['end']}) is not a subtree before {size}", at)
                    self.tree.add(bytes.fromhex(gap["hash"]), width)
                    gap = next(rest, None)
                else:
                    raise Wrong("V14", "tiling", "neither an entry nor a hash for this position", at)
                if self.seen and (seen := self.seen.pop(self.tree.size, None)) is not None:
                    self.tally["compared"] += 1
                    self._agree(seen, "V7", "seen-root")
            self._checkpoint(line, size)
        if entry is not None or gap is not None:
            raise Wrong("V14", "tiling", "something stands beyond the last checkpoint", self.tree.size)
        self._end()

    def _entries(self) -> Iterator[tuple[int, bytes]]:
        for line in self.archive.lines("entries.jsonl"):
            said, _, encoded = line.partition(b" ")
            if not said.isdigit() or len(said) > 16 or b"%d" % (position := int(said)) != said:
                raise Wrong("V1", "line-form", "entries.jsonl: no position", self.tree.size)
            yield position, encoded

    def _entry(self, position: int, encoded: bytes) -> None:
        entry = None
        try:
            if len(self.prefix) + len(encoded) > 65_536:
                raise Wrong("V4", "entry-size", f"{len(encoded)} bytes")
            entry, leaf = quick.entry(encoded), sha256(self.prefix + encoded).digest()
            self.tree.add(leaf)
            self._chain(entry, leaf)
            self._times(position, entry.at)
            done = entry.all and entry.all["outcome"] == "ok"  # and it is about keys or payloads, or signed
            if done:
                self._gone(entry)
            body = self._payload(entry)
            if done and entry.type in KEYS:
                self._log_key(entry.type, body)
            if done:
                self.signatures.learn(entry.all, body)
            if self.batches.id == entry.id:
                _check_batch(entry.type, body, self.batches.take()["rows"])
            if entry.all or self.assertions.id == entry.id:
                self.signatures.check(entry.all, self.assertions.take() if self.assertions.id == entry.id else None)
            if self.receipts and self.receipts.pop(leaf, (entry.at,))[0] != entry.at:
                raise Wrong("receipts", "receipt-at", "the receipt for this entry names another time")
        except Wrong as err:
            err.position = position if err.position is None else err.position
            err.entry = entry.id if entry else err.entry
            raise

    def _chain(self, entry: Entry, leaf: bytes) -> None:
        raw = bytes.fromhex(entry.id.replace("-", ""))
        if raw in self.ids:
            raise Wrong("V8", "duplicate-id")
        self.ids.add(raw)
        version = entry.version and int(entry.version)
        if (entry.prev is None) != (version is None or version == 1):
            raise Wrong("V4", "entry-schema", "a version from the second on, and no other, names the one before it")
        if version is None:
            return
        words = f"{entry.thing} {entry.name}"  # a type has no space
        name = words if len(words) <= LONG else blake2b(words.encode(), digest_size=16).digest()
        before = self.versions.get(name, b"")
        known = int.from_bytes(before[32:])
        if version == known + 1:
            if (entry.prev or "") != before[:32].hex():
                raise Wrong("V8", "prev", "does not name the object's entry before it")
        elif version <= known or self.strict:
            code = "version-order" if version <= known else "version-gap"
            raise Wrong("V8", code, f"version {version} after {known}")
        self.versions[name] = leaf + version.to_bytes(7)
        if not before and not self.whole:
            if self.heads.id != entry.id:
                raise Wrong("V14", "object-head", "nothing says how far this object goes on")
            head = self.heads.take()
            self.newest[name] = words[:200], entry.id, bytes.fromhex(head["leaf"]) + head["version"].to_bytes(7)

    def _times(self, position: int, at: str) -> None:
        if at < self.oldest:
            raise Wrong("V9", "time-before", "the entry says it is older than a checkpoint that does not hold it")
        self.tally["late"] += at < self.late
        if at >= self.latest[0]:
            self.latest = (at, position)
        else:
            self.tally["out_of_order"] += instant(at) < instant(self.latest[0]) - SKEW

    def _gone(self, entry: Entry) -> None:
        """What says that payloads are destroyed: none of them was shown, and those that were not are not withheld."""
        what = entry.type, entry.thing
        name = {SHREDDED: entry.name, KEY: entry.subject}.get(what)
        if name is not None:
            if name in (self.refs if what == SHREDDED else self.subjects):
                raise Wrong("V12", "payload-shredded", "a payload that was shredded is shown")
            self.hidden.difference_update([name] if what == SHREDDED else self.about.pop(name, ()))

    def _payload(self, entry: Entry) -> dict[str, Any]:
        """The payload as an object, empty when it is not shown. A line for no payload is left over at the end."""
        if entry.commit is None:
            return {}
        if self.payloads.id != entry.id:
            self.missing += 1
            self.hidden.add(entry.ref)
            self.about.setdefault(entry.subject, []).append(entry.ref)
            return {}
        self.refs.add(entry.ref)
        self.subjects.add(entry.subject)
        line = self.payloads.take()
        plain = line["body"].encode()
        if sha256(b"clinaiops/payload-commit/v1" + bytes.fromhex(line["salt"]) + plain).hexdigest() != entry.commit:
            raise Wrong("V12", "payload-commit", "the payload is not the one the entry commits to")
        body = parse(plain, "V12", "payload-spelling")
        return body if isinstance(body, dict) else {}

    def _log_key(self, kind: str, body: Mapping[str, Any]) -> None:
        code, *names = KEYS[kind]
        try:
            old, new = (Key.parse(body[name], PLAIN) for name in names)
        except (KeyError, ValueError, AttributeError) as err:
            raise Wrong("V13", code, "its payload is not shown, or names no key") from err
        mine = self.after <= {old} and (kind != "log.genesis" or body.get("origin") == self.manifest["origin"])
        if not mine or not {old, new} <= set(self.keys):
            raise Wrong("V13", code, "not a key of this log in the policy, or not the one in force")
        self.in_force, self.after = self.in_force | {old, new}, {new}

    def _checkpoint(self, line: Mapping[str, Any], size: int) -> None:
        try:
            text, signed = open_note(line["note"].encode(), [*self.keys, *self.policy.witnesses.values()])
            origin, stated_size, root = read_head(text)
        except ValueError as err:
            raise Wrong(*FAULTS.get(getattr(err, "type", 0), ("V2", "checkpoint-form")), err) from err
        if (origin, stated_size) != (self.manifest["origin"], size):
            raise Wrong("V2", "checkpoint-form" if stated_size != size else "checkpoint-origin", (origin, stated_size))
        logs = {key for key in signed if key.type == PLAIN}
        if not logs:
            raise Wrong("V2", "checkpoint-signature", f"the checkpoint of size {size} is not signed by the log")
        self._agree(root, "V5", "root")
        if not self.in_force <= logs:
            raise Wrong("V13", "key-not-in-force", f"the checkpoint of size {size} is not signed by the key in force")
        self.in_force = self.after
        self.tally["checkpoints"] += 1
        covered, since = self.policy.judge(signed)
        if covered:
            by = sorted(name for name, key in self.policy.witnesses.items() if key in signed)
            self.covered = {"size": size, "at": since, "by": by, "quorum": self.policy.quorum}
            self.tally["witnessed"] = len(self.ids)
        bounds = [] if since is None else [(since * SECOND, "V9", "time-after")]
        self.floor = max([self.floor, *(time for time, *_ in bounds)])
        self.late, self.oldest = stamp(self.floor - SKEW), stamp(self.floor - SKEW - MERGE)
        if "timestamp" in line:
            self.tally["tokens"] += 1
            bounds += [(self.stamped(line["timestamp"], text), "V15", "token-time")] if self.stamped else []
        for time, step, code in bounds:
            if instant(self.latest[0]) > time + SKEW:
                raise Wrong(step, code, "the entry says it is younger than what holds it", self.latest[1])

    def _agree(self, root: bytes, step: str, code: str) -> None:
        if (own := self.tree.root()) != root:
            heads = f"two heads of size {self.tree.size}: {own.hex()} by the entries here, {root.hex()} by the other"
            raise Wrong(step, code, f"{heads}; agreed: {self.covered.get('size', 0)}")

    def _reach(self) -> None:
        """Each object ends here with the version that its head names; where the filter may cut, not behind it."""
        for words, first, newest, last in self.cut:
            if self.strict or last >= newest:
                raise Wrong("V14", "object-head", f"{words} goes to version {newest}, here to {last}", entry=first)

    def _end(self) -> None:
        said, last = self.manifest, (self.tree.size, self.tree.root().hex())
        if last != (said["size"], said["root"]) or not self.tally["checkpoints"]:
            raise Wrong("V2", "checkpoint-order", "the last checkpoint is not the manifest's size and root")
        if not self.after:
            raise Wrong("V13", "key-genesis", "the log's first words are not here")
        for name, (step, code) in STRAY.items():
            if (stray := self.beside[name].id) is not None:
                raise Wrong(step, code, "a line that belongs to no entry here, or is out of order", entry=stray)
        self._reach()
        left = [sum(each["n"] for each in said["left_out"] if each["what"] == what) for what in ("entries", "payloads")]
        counted = [len(self.ids), self.shown, self.batches.taken, [said["size"] - len(self.ids)]]
        listed = [said["entries"], said["payloads"], said["batches"], left[:1]]
        if counted != listed or left[1] != self.shown["withheld"] or (said["kind"] == "everything" and left[0]):
            raise Wrong("V1", "manifest-count", f"counted {counted}, the manifest says {listed}")
        if max(self.seen, default=0) > said["size"]:
            raise Wrong("V7", "seen-longer", f"a log of {max(self.seen)} entries was seen, this has {said['size']}")
        for _, due in self.receipts.values():
            if not left[0] and instant(due) <= max(instant(said["made_at"]), self.floor):
                raise Wrong("receipts", "receipt-missing", f"an entry promised to be here by {due} is not")


def _check_batch(kind: str, body: Mapping[str, Any], encoded: list[str]) -> None:
    if kind != "observation.batch_accepted" or not body:
        raise Wrong("V11", "batch-stray", "readings for an entry that is no batch, or whose payload is not shown")
    framed, tree = [len(row).to_bytes(4, "big") + row for row in map(unb64, encoded)], Range()
    for start in range(0, len(framed), 64):
        tree.add(sha256(b"\x00" + b"".join(framed[start : start + 64])).digest())
    if (body.get("root"), body.get("count")) != (tree.root().hex(), len(framed)) or body["count"] is True:
        raise Wrong("V11", "batch-root", f"{len(framed)} readings do not answer to the batch's root and count")
