"""A log and its bundles made from `audit/README.md` alone: nothing of ours is imported, so it can disagree with ours.

`Log` keeps entries, payloads, readings and signatures; `members` writes the members of a bundle of some of them, and
`zipped` a file. Everything in between may be damaged by a test, and signed again as a thief of our keys would.
"""

import base64
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "log.example/clinic"
CONTEXT = b"clinaiops/esign/v1"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSONL = ("assertions", "batches", "checkpoints", "entries", "heads", "payloads", "rest")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def spell(value) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962 2.1, as it is written there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + root_of(hashes[:k]) + root_of(hashes[k:])).digest()


def batch_root(rows: list[bytes]) -> bytes:
    """The root of a batch: tiles of 64 rows, each row behind its length."""
    tiles = [rows[i : i + 64] for i in range(0, len(rows), 64)]
    return root_of([sha256(b"\x00" + b"".join(struct.pack(">I", len(r)) + r for r in t)).digest() for t in tiles])


@dataclass
class Key:
    """A named Ed25519 key; `kind` is 1 for notes, 4 for cosignatures."""

    name: str
    seed: bytes
    kind: int = 1

    def __post_init__(self) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.private.public_key().public_bytes_raw()
        self.id = sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    def line(self, text: bytes) -> str:
        return f"— {self.name} {b64(self.id + self.private.sign(text))}\n"

    def cosign(self, text: bytes, at: int) -> str:
        signature = self.private.sign(b"cosignature/v1\ntime %d\n" % at + text)
        return f"— {self.name} {b64(self.id + at.to_bytes(8, 'big') + signature)}\n"


def key(name: str, number: int, kind: int = 1) -> Key:
    """The key with 32 times this number as its seed."""
    return Key(name, bytes([number]) * 32, kind)


def note(text: bytes, *lines: str) -> bytes:
    return text + b"\n" + "".join(lines).encode()


@dataclass
class Log:
    """A log in memory."""

    origin: str = ORIGIN
    now: datetime = NOON
    quorum: str = "2"
    genesis: bool = True
    entries: list[dict] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    payloads: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    rows: dict[int, list[bytes]] = field(default_factory=dict)
    evidence: dict[int, dict] = field(default_factory=dict)
    checkpoints: dict[int, dict] = field(default_factory=dict)
    versions: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    shredded: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.log_keys = [key(self.origin, 1)]
        self.all_log_keys = [*self.log_keys, key(self.origin, 9)]
        self.statement = key(f"{self.origin}/statement", 2)
        self.witnesses = {name: key(f"{name}.example/witness", n, 4) for n, name in enumerate(("w1", "w2", "w3"), 3)}
        if self.genesis:
            self.add(
                "log.genesis", ("log", self.origin), payload={"origin": self.origin, "vkey": self.log_keys[0].vkey}
            )

    # -- growing ---------------------------------------------------------------------------------------------------

    def add(
        self,
        kind: str,
        thing: tuple[str, str],
        *,
        subject: str | None = None,
        payload=None,
        rows=None,
        at: datetime | None = None,
        chained: bool = True,
        actor: dict | None = None,
        **more,
    ) -> int:
        """Append an entry; its position."""
        position, at = len(self.entries), at or self.now
        self.now = max(self.now, at) + timedelta(milliseconds=100)
        version, prev = self.versions.get(thing, (0, None))
        entry = {
            "v": 1,
            "id": f"{int(at.timestamp() * 1000):012x}"[:8] + f"-{position & 0xFFFF:04x}-7000-8000-{position:012x}",
            "type": kind,
            "occurred_at": stamp(at),
            "at": stamp(at),
            "actor": actor or {"kind": "service", "id": "maker", "session": "ab" * 32},
            "purpose": "treatment",
            "object": {
                "type": thing[0],
                "id": thing[1],
                "version": version + 1 if chained else None,
                "prev": prev if chained else None,
            },
            "outcome": "ok",
            "sw": {"release": "1.0"},
        } | more
        if subject:
            entry["subject"] = sha256(subject.encode()).hexdigest()
        if rows is not None:
            self.rows[position] = rows
            payload = {"root": batch_root(rows).hex(), "count": len(rows)} | (payload or {})
        if payload is not None:
            salt, body = sha256(b"salt%d" % position).digest(), spell(payload)
            commit = sha256(b"clinaiops/payload-commit/v1" + salt + body).hexdigest()
            entry["payload"] = {"commit": commit, "ref": f"00000000-0000-4000-8000-{position:012x}"}
            self.payloads[position] = (salt, body)
        self.put(entry)
        if chained:
            self.versions[thing] = (version + 1, self.hashes[position].hex())
        return position

    def put(self, entry: dict, encoded: bytes | None = None) -> None:
        """Append these bytes, whatever they are."""
        encoded = spell(entry) if encoded is None else encoded
        self.entries.append(entry)
        self.encoded.append(encoded)
        self.hashes.append(self.leaf_hash(encoded))

    def leaf_hash(self, encoded: bytes) -> bytes:
        return sha256(b"\x00clinaiops/audit-entry/v1\n" + self.origin.encode() + b"\n" + encoded).digest()

    def shred(self, position: int) -> int:
        """Shred a payload lawfully."""
        self.shredded.add(position)
        return self.add(
            "payload.shredded",
            ("payload", self.entries[position]["payload"]["ref"]),
            reason_code="erasure",
            purpose="legal",
        )

    def rotate(self) -> int:
        """Change to the second log key; the next checkpoint is signed by both."""
        old, new = self.all_log_keys
        self.log_keys = [old, new]
        return self.add("log.key_rotated", ("log", self.origin), payload={"old": old.vkey, "new": new.vkey})

    # -- saying ----------------------------------------------------------------------------------------------------

    def head(self, size: int) -> bytes:
        return f"{self.origin}\n{size}\n{b64(root_of(self.hashes[:size]))}\n".encode()

    def checkpoint(self, *by: str, at: datetime | None = None, size: int | None = None) -> int:
        """Sign the log as it stands; cosigned by the witnesses named (w1 and w2 unless told otherwise)."""
        size = len(self.hashes) if size is None else size
        when = int((at or self.now).timestamp())
        text = self.head(size)
        lines = [each.line(text) for each in self.log_keys]
        lines += [self.witnesses[name].cosign(text, when) for name in by or ("w1", "w2") if name != "nobody"]
        self.checkpoints[size] = {"size": size, "note": note(text, *lines).decode()}
        if len(self.log_keys) == 2:
            self.log_keys = self.log_keys[1:]
        return size

    def policy(self, *more: str) -> bytes:
        """The file an auditor holds."""
        lines = [
            "# made for a test",
            *(f"log {each.vkey}" for each in self.all_log_keys),
            f"statement {self.statement.vkey}",
        ]
        lines += [f"witness {name} {each.vkey}" for name, each in self.witnesses.items()]
        lines += [f"group enough {self.quorum} w1 w2 w3", "quorum enough"] if self.quorum != "none" else ["quorum none"]
        return "\n".join([*lines, *more, ""]).encode()

    def receipt(self, position: int, **other) -> bytes:
        """What the caller of that act was given."""
        at = datetime.fromisoformat(self.entries[position]["at"])
        said = {"leaf": self.hashes[position], "at": stamp(at), "by": stamp(at + timedelta(seconds=60))} | other
        text = f"clinaiops/receipt/v1\n{self.origin}\n{b64(said['leaf'])}\n{said['at']}\n{said['by']}\n".encode()
        return note(text, self.statement.line(text))

    # -- a bundle --------------------------------------------------------------------------------------------------

    def members(
        self,
        *,
        take: Callable[[int], bool] | None = None,
        size: int | None = None,
        kind: str | None = None,
        withhold: Iterable[int] = (),
        complete: bool = True,
        **manifest,
    ) -> dict[str, bytes]:
        """The members of a bundle of the entries that `take` chooses (all), up to the checkpoint of `size` (newest)."""
        size = size or max(self.checkpoints)
        chosen = [p for p in range(size) if take is None or take(p)]
        sizes = self._sizes(chosen, size) if take else [s for s in sorted(self.checkpoints) if s <= size]
        shown = [p for p in chosen if p in self.payloads and p not in self.shredded and p not in set(withhold)]
        gone = [p for p in chosen if p in self.shredded]
        hidden = [p for p in chosen if p in self.payloads and p not in shown and p not in gone]
        identify = {p: self.entries[p]["id"] for p in chosen}
        lines = {
            "checkpoints": [self.checkpoints[s] for s in sizes],
            "heads": list(self._heads(chosen, size)),
            "rest": list(self._rest(chosen, sizes)),
            "payloads": [
                {"entry": identify[p], "salt": self.payloads[p][0].hex(), "body": self.payloads[p][1].decode()}
                for p in shown
            ],
            "batches": [
                {"entry": identify[p], "rows": [b64(r) for r in self.rows[p]]}
                for p in chosen
                if p in self.rows and p in shown
            ],
            "assertions": [{"entry": identify[p]} | self.evidence[p] for p in chosen if p in self.evidence],
        }
        members = {f"{name}.jsonl": b"".join(spell(one) + b"\n" for one in each) for name, each in lines.items()}
        members["entries.jsonl"] = b"".join(b"%d %b\n" % (p, self.encoded[p]) for p in chosen)
        left_out = [("entries", "outside the filter", size - len(chosen)), ("payloads", "not permitted", len(hidden))]
        said = {
            "v": 1,
            "format": "clinaiops/bundle/v1",
            "origin": self.origin,
            "kind": kind or ("patient" if take else "everything"),
            "filter": {},
            "made_at": stamp(self.now),
            "made_by": {"kind": "user", "id": "auditor"},
            "size": size,
            "root": root_of(self.hashes[:size]).hex(),
            "entries": len(chosen),
            "batches": len(lines["batches"]),
            "payloads": {"included": len(shown), "withheld": len(hidden), "shredded": len(gone)},
            "left_out": [{"what": what, "why": why, "n": n} for what, why, n in left_out if n],
            "complete_objects": complete,
        } | manifest
        return self.manifested(members, said)

    def manifested(self, members: dict[str, bytes], said: dict) -> dict[str, bytes]:
        """The members with a manifest that fits them, signed."""
        data = {n: m for n, m in members.items() if not n.startswith("manifest")}
        files = [{"name": n, "bytes": len(m), "sha256": sha256(m).hexdigest()} for n, m in sorted(data.items())]
        manifest = spell(said | {"files": files})
        return data | {"manifest.json": manifest, "manifest.note": self.manifest_note(manifest)}

    def manifest_note(self, manifest: bytes) -> bytes:
        said = json.loads(manifest)
        root, digest = b64(bytes.fromhex(said["root"])), sha256(manifest).hexdigest()
        lines = ("clinaiops/export-manifest/v1", self.origin, said["size"], root, said["entries"], digest)
        text = "".join(f"{line}\n" for line in lines).encode()
        return note(text, self.statement.line(text))

    def resigned(self, members: dict[str, bytes], **said) -> dict[str, bytes]:
        """The manifest made to fit again, as whoever holds the statement key can."""
        old = json.loads(members["manifest.json"])
        old.pop("files")
        return self.manifested(members, old | said)

    def _sizes(self, chosen: list[int], size: int) -> list[int]:
        known = [s for s in sorted(self.checkpoints) if s <= size]
        before = {max((s for s in known if s <= p), default=size) for p in chosen}
        return sorted(before | {min(s for s in known if s > p) for p in chosen} | {size})

    def _heads(self, chosen: list[int], size: int):
        """Of every object here its newest version among the first `size` entries, when not all of those are here."""
        newest = {}
        for p, entry in enumerate(self.entries[:size]):
            if _place(entry):
                newest[_place(entry)] = {"version": entry["object"]["version"], "leaf": self.hashes[p].hex()}
        for p in chosen if len(chosen) < size else ():
            if (head := newest.pop(_place(self.entries[p]), None)) is not None:
                yield {"entry": self.entries[p]["id"]} | head

    def _rest(self, chosen: list[int], sizes: list[int]):
        for start, end in zip([-1, *chosen], [*chosen, sizes[-1]], strict=True):
            at = start + 1
            for cut in [s for s in sizes if at < s < end] + [end]:
                while at < cut:
                    width = at & -at or 1 << 62
                    while at + width > cut:
                        width >>= 1
                    yield {"start": at, "end": at + width, "hash": root_of(self.hashes[at : at + width]).hex()}
                    at += width


def _place(entry: dict) -> tuple | None:
    """The object that an entry has a version of; None for a look, and for what a liar wrote there."""
    place = entry.get("object")
    if not isinstance(place, dict) or type(place.get("version")) is not int:
        return None
    return str(place.get("type")), str(place.get("id"))


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = compression
            target.writestr(info, data)
    return out.getvalue()


@dataclass
class Passkey:
    """An authenticator of one person. `kind` is "es256" or "eddsa"."""

    account: str = "17"
    kind: str = "es256"
    site: str = "clinic.example"

    def __post_init__(self) -> None:
        self.credential = sha256(f"{self.account}{self.kind}".encode()).digest()
        if self.kind == "eddsa":
            self.private = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
            self.cose = bytes.fromhex("a4010103272006215820") + self.private.public_key().public_bytes_raw()
        else:
            self.private = ec.derive_private_key(int.from_bytes(b"\x22" * 32, "big"), ec.SECP256R1())
            at = self.private.public_key().public_numbers()
            x, y = (value.to_bytes(32, "big") for value in (at.x, at.y))
            self.cose = bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y

    def enrol(self, log: Log, *, confirmed_by: str | None = "18") -> None:
        """Enrolled by its owner, confirmed by somebody else."""
        said = {"user": self.account, "credential_id": b64url(self.credential), "public_key": b64url(self.cose)}
        said |= {"method": "webauthn", "aaguid": ""}
        thing = ("credential", sha256(self.credential).hexdigest())
        log.add("credential.enrolled", thing, payload=said, actor={"kind": "user", "id": self.account})
        if confirmed_by:
            log.add("credential.confirmed", thing, payload=said, actor={"kind": "user", "id": confirmed_by})

    def revoke(self, log: Log) -> None:
        said = {"user": self.account, "credential_id": b64url(self.credential), "method": "webauthn"}
        log.add(
            "credential.revoked", ("credential", sha256(self.credential).hexdigest()), payload=said, reason_code="lost"
        )

    def sign(
        self,
        log: Log,
        thing: tuple[str, str] = ("loop", "l-1"),
        *,
        kind: str = "recommendation.approved",
        subject: str = "patient-7",
        flags: int = 5,
        origin: str = "https://desk.clinic.example",
        ceremony: str = "webauthn.get",
        record: dict | None = None,
        shown: bool = True,
        nonce: bytes = b"n" * 32,
        esign: dict | None = None,
        line: dict | None = None,
        act: dict | None = None,
    ) -> int:
        """Approve something with this passkey; the keywords are what a liar would change.

        With `act` the evidence stands at an entry `signature.made`, and the act (with these changes) follows it.
        """
        content, salt = spell({"dose": "5 mg"}), b"s" * 32
        version = log.versions.get(thing, (0, ""))[0] + 1
        said = {
            "v": 1,
            "type": kind,
            "object": {"type": thing[0], "id": thing[1], "version": version},
            "subject": sha256(subject.encode()).hexdigest(),
            "meaning": "approval",
            "account": self.account,
            "name_shown": "Dr Lee",
            "content": sha256(b"clinaiops/esign-content/v1" + salt + content).hexdigest(),
        } | (record or {})
        record_hash = sha256(CONTEXT + spell(said)).digest()
        challenge = b64url(sha256(CONTEXT + record_hash + nonce).digest())
        client = spell({"type": ceremony, "challenge": challenge, "origin": origin, "crossOrigin": False})
        authenticator = sha256(self.site.encode()).digest() + bytes([flags, 0, 0, 0, 7])
        message = authenticator + sha256(client).digest()
        signature = (
            self.private.sign(message) if self.kind == "eddsa" else self.private.sign(message, ec.ECDSA(SHA256()))
        )
        framed = b"".join(struct.pack(">I", len(part)) + part for part in (authenticator, client, signature))
        names = {
            "meaning": "approval",
            "record": record_hash.hex(),
            "method": "webauthn",
            "name_shown": "Dr Lee",
            "assertion_sha256": sha256(framed).hexdigest(),
            "key_id": b64url(self.credential),
        } | (esign or {})
        actor = {"kind": "user", "id": self.account}
        made = ("signature.made", ("signature", f"s-{len(log.entries)}")) if act is not None else (kind, thing)
        position = log.add(*made, subject=subject, esign=names, actor=actor)
        if act is not None:
            how = {"kind": kind, "thing": thing, "esign": names, "subject": subject} | act
            log.add(how.pop("kind"), how.pop("thing"), actor=actor, **how)
        log.evidence[position] = {
            "record": spell(said).decode(),
            "content": content.decode() if shown else None,
            "content_salt": salt.hex() if shown else None,
            "nonce": b64(nonce),
            "client_data": b64(client),
            "authenticator_data": b64(authenticator),
            "signature": b64(signature),
            "public_key": b64(self.cose),
            "credential_id": b64(self.credential),
        } | (line or {})
        return position


def usual(**how) -> Log:
    """A small log with most of what can be in one: 10 entries under 3 checkpoints."""
    log = Log(**how)
    log.add("consent.given", ("consent", "c-1"), subject="patient-7")
    for n in range(3):
        log.add("window.closed", ("loop", "l-1"), subject="patient-7", payload={"mean": f"13{n} mm[Hg]"})
    log.checkpoint()
    log.now += timedelta(seconds=5)
    log.add(
        "observation.batch_accepted", ("batch", "b-1"), subject="patient-7", rows=[b"row %d" % n for n in range(130)]
    )
    log.add("access.read", ("patient", "p-7"), subject="patient-7", chained=False, actor={"kind": "user", "id": "17"})
    log.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "121 mm[Hg]"})
    log.shred(2)
    log.checkpoint()
    log.now += timedelta(seconds=5)
    log.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "122 mm[Hg]"})
    log.checkpoint("w1", "w3")
    return log
