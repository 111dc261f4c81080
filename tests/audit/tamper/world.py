"""An honest log in memory: what happened, what was said, who signed, who saw it, and what the callers hold.

Built from `audit.entries`, `audit.merkle` and `audit.notes`, with the bytes the running system makes (a test compares).
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import canonical, entries, merkle, notes
from audit.domain import Device, Esign, Event, Job, ModelRef, ObjectRef, Person, Purpose
from audit.notes import TreeHead, VerifierKey, WitnessKey

ORIGIN = "clinaiops.invalid/log/tamper"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENANT = b"t" * 32
HOST = "hospital.invalid"
QUORUM = 2
MERGED_WITHIN = timedelta(seconds=60)


def _key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(b"tamper%d" % number).digest())


LOG, STATEMENT, STRANGER = _key(0), _key(1), _key(2)
WITNESSES = {f"w{n}.invalid/witness": _key(10 + n) for n in (1, 2, 3)}
CLINICIANS = {"17": _key(17), "18": _key(18)}
STATEMENT_NAME = f"{ORIGIN}/statement"


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def policy(*, witnessed: bool = True) -> bytes:
    """The auditor's file; without witnesses, what somebody would have who believes the log alone."""
    lines = [f"log {VerifierKey(ORIGIN, public(LOG))}", f"statement {VerifierKey(STATEMENT_NAME, public(STATEMENT))}"]
    if witnessed:
        lines += [f"witness w{n} {WitnessKey(name, public(key))}" for n, (name, key) in enumerate(WITNESSES.items(), 1)]
        lines += [f"group enough {QUORUM} w1 w2 w3", "quorum enough"]
    return "\n".join([*lines, "" if witnessed else "quorum none", ""]).encode()


@dataclass(frozen=True, slots=True)
class Record:
    """One entry and what is kept beside it: payload (salt, body), readings, evidence of a signature.

    An erased payload is still here, because an attacker may have a copy; no bundle shows it.
    """

    encoded: bytes
    payload: tuple[bytes, bytes] | None = None
    rows: tuple[bytes, ...] | None = None
    evidence: dict[str, Any] | None = None
    erased: bool = False

    @property
    def entry(self) -> dict[str, Any]:
        return json.loads(self.encoded)  # type: ignore[no-any-return]

    @property
    def leaf(self) -> bytes:
        return _leaf(self.encoded)

    def saying(self, entry: dict[str, Any], **changes: Any) -> Record:
        """The same record with another entry, spelled canonically."""
        return replace(self, encoded=canonical.spell(entry), **changes)


@lru_cache(maxsize=1 << 16)
def _leaf(encoded: bytes) -> bytes:
    return entries.leaf_hash(entries.frame(ORIGIN) + encoded)


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint as stored."""

    size: int
    note: bytes


@dataclass(slots=True)
class World:
    """A log, and what others hold of it. `covered` entries were cosigned by the quorum; `now` is the end of the day."""

    records: list[Record] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    receipts: dict[int, bytes] = field(default_factory=dict)
    seen: bytes = b""
    covered: int = 0
    now: datetime = NOON

    def copy(self) -> World:
        return replace(self, records=list(self.records), heads=list(self.heads), receipts=dict(self.receipts))


def root_at(records: Sequence[Record], sizes: Sequence[int]) -> dict[int, bytes]:
    """The roots of the first n entries for each n asked for."""
    tree, wanted, roots = merkle.CompactRange.empty(), set(sizes), {0: merkle.EMPTY_ROOT}
    for record in records:
        tree.append(record.leaf)
        if tree.size in wanted:
            roots[tree.size] = tree.root()
    return roots


def signed(size: int, root: bytes, *, key: Ed25519PrivateKey = LOG) -> bytes:
    return notes.sign(TreeHead(ORIGIN, size, root).text(), name=ORIGIN, key=key)


def cosigned(note: bytes, at: datetime, names: Sequence[str]) -> bytes:
    text, second = notes.parse(note).text, -int(-at.timestamp() // 1)
    return note + b"".join(notes.cosign(text, name=name, key=WITNESSES[name], at=second) for name in names)


def receipt(record: Record) -> bytes:
    """What the caller of that act was given."""
    at = datetime.fromisoformat(record.entry["at"])
    said = ("clinaiops/receipt/v1", ORIGIN, b64(record.leaf), entries.stamp(at), entries.stamp(at + MERGED_WITHIN))
    return notes.sign("".join(f"{line}\n" for line in said).encode(), name=STATEMENT_NAME, key=STATEMENT)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def leaf_of(
    event: Event,
    *,
    entry_id: UUID,
    at: datetime,
    prev: bytes | None,
    payload: tuple[UUID, bytes] | None,
    origin: str = ORIGIN,
    tenant_key: bytes = TENANT,
    release: str = "1.0",
) -> bytes:
    """The leaf data of an event, as the running system makes it."""
    entry = entries.build(
        event, entry_id=entry_id, at=at, prev=prev, tenant_key=tenant_key, payload=payload,
        software=entries.Software(release),
    )  # fmt: skip
    return entries.leaf_data(entry, origin=origin)


class Growing:
    """A log as it grows. Every choice comes from `dice`, so that a seed makes the same log."""

    def __init__(self, dice: random.Random, world: World | None = None) -> None:
        self.dice = dice
        self.world = world.copy() if world else World()
        self.events: list[Event] = []
        self.chains: dict[tuple[str, str], tuple[int, bytes]] = {}
        for record in self.world.records:
            place = record.entry["object"]
            if place["version"]:
                self.chains[place["type"], place["id"]] = (place["version"], record.leaf)

    # -- acts ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The log's first words and the clinicians' passkeys, each confirmed by somebody else."""
        founded = {"origin": ORIGIN, "vkey": str(VerifierKey(ORIGIN, public(LOG)))}
        founded["statement_vkey"] = str(VerifierKey(STATEMENT_NAME, public(STATEMENT)))
        self.add("log.genesis", Job("found", "1"), ("log", ORIGIN), payload=founded, purpose=Purpose.AUDIT)
        for user, key in CLINICIANS.items():
            said = {"user": user, "credential_id": b64url(credential_id(user)), "public_key": b64url(cose(key))}
            said |= {"method": "webauthn"}
            person = Person(user, "clinician")
            self.add("credential.enrolled", person, ("credential", user), payload=said | {"aaguid": "0" * 32})
            self.add("credential.confirmed", Person("1", "administrator"), ("credential", user), payload=said)

    def act(self) -> None:
        """Something happens."""
        dice = self.dice
        patient, user = f"patient-{dice.randrange(8)}", dice.choice([*CLINICIANS])
        number = dice.randrange(10)
        if number < 3:
            rows = tuple(
                b"%d/%d" % (dice.randrange(100, 180), dice.randrange(60, 110)) for _ in range(dice.randrange(1, 90))
            )
            device = f"device-{dice.randrange(4)}"
            said = {"root": merkle.batch_root(rows).hex(), "count": len(rows)}
            thing = ("batch", str(UUID(int=dice.getrandbits(128))))
            self.add("observation.batch_accepted", Device(device, "1"), thing, subject=patient, payload=said, rows=rows)
        elif number < 5:
            mean = f"{dice.randrange(1100, 1800) / 10:.1f} mm[Hg]"
            self.add("window.closed", Job("close", "1"), ("loop", patient), subject=patient, payload={"mean": mean})
        elif number < 6:
            model = ModelRef("dose", f"{dice.randrange(9)}", artifact_sha256=dice.randbytes(32).hex())
            job, said = Job("propose", "1"), {"drug": "29046", "dose": f"{dice.randrange(1, 40)} mg"}
            self.add("recommendation.proposed", job, ("loop", patient), subject=patient, payload=said, model=model)
        elif number < 8:
            self.approve(user, patient)
        elif number < 9:
            self.add("access.read", Person(user, "clinician"), ("patient", patient), subject=patient, chained=False)
        else:
            self.add("consent.given", Person(user, "clinician"), ("consent", patient), subject=patient)

    def approve(self, user: str, patient: str) -> int:
        """A clinician signs with a passkey."""
        thing = ("loop", patient)
        version = self.chains.get(thing, (0, b""))[0] + 1
        pseudonym = entries.pseudonym(patient, tenant_key=TENANT)
        record = esign_record(user, thing, version, pseudonym, sha256(self.dice.randbytes(32)).hexdigest())
        evidence, esign = signature(record, key=CLINICIANS[user], user=user, nonce=self.dice.randbytes(32))
        person = Person(user, "clinician", amr=("webauthn",))
        return self.add("recommendation.approved", person, thing, subject=patient, esign=esign, evidence=evidence)

    def erase(self, position: int) -> None:
        """A payload is shredded, lawfully."""
        record = self.world.records[position]
        self.world.records[position] = replace(record, erased=True)
        ref = record.entry["payload"]["ref"]
        self.add("payload.shredded", Person("1", "administrator"), ("payload", ref), reason_code="erasure")

    def add(
        self,
        kind: str,
        actor: Any,
        thing: tuple[str, str],
        *,
        payload: dict[str, Any] | None = None,
        rows: tuple[bytes, ...] | None = None,
        evidence: dict[str, Any] | None = None,
        at: datetime | None = None,
        chained: bool = True,
        **more: Any,
    ) -> int:
        """Append one entry, made by `entries.build`; its position."""
        dice, world = self.dice, self.world
        world.now += timedelta(microseconds=dice.randrange(20_000, 1_500_000))
        moment = at or world.now
        before, prev = self.chains.get(thing, (0, None))
        kept, committed = None, None
        if payload is not None:
            kept = (dice.randbytes(32), canonical.dumps(payload, profile=canonical.PAYLOAD))
            committed = (UUID(int=dice.getrandbits(128)), entries.commitment(*kept))
        event = Event(kind, moment, actor, ObjectRef(*thing, before + 1 if chained else None), payload=payload, **more)
        self.events.append(event)
        leaf = leaf_of(
            event, entry_id=fresh_id(dice, moment), at=moment, prev=prev if chained else None, payload=committed
        )
        record = Record(leaf[len(entries.frame(ORIGIN)) :], kept, rows, evidence)
        if chained:
            self.chains[thing] = (before + 1, record.leaf)
        world.records.append(record)
        return len(world.records) - 1

    # -- evidence outside -------------------------------------------------------------------------------------------

    def publish(self, *, witnessed: bool = True) -> None:
        """Sign the log as it stands; two or three witnesses see it within seconds."""
        world = self.world
        world.now += timedelta(seconds=self.dice.uniform(0.2, 3))
        size = len(world.records)
        note = signed(size, root_at(world.records, [size])[size])
        if witnessed:
            names = sorted(self.dice.sample([*WITNESSES], self.dice.choice((2, 3))))
            note = cosigned(note, world.now, names)
            world.seen, world.covered = note, size
        if world.heads and world.heads[-1].size == size:
            world.heads.pop()
        world.heads.append(Head(size, note))
        world.now += timedelta(seconds=1)

    def hand_out(self, share: float) -> None:
        """Receipts to callers: for about this share of the entries, and for most of those nobody has seen."""
        for position, record in enumerate(self.world.records):
            if self.dice.random() < (share if position < self.world.covered else max(share, 0.7)):
                self.world.receipts[position] = receipt(record)


def grown(dice: random.Random, size: int, *, tail: int = 0, share: float = 0.4, erased: int = 2) -> World:
    """An honest log of about `size` entries, the last `tail` of them not yet seen by the witnesses."""
    log = Growing(dice)
    log.begin()
    while len(log.world.records) < size - tail - erased:
        longest = max(6, min(40, size // 5))
        for _ in range(min(dice.randrange(5, longest), size - tail - erased - len(log.world.records))):
            log.act()
        log.publish(witnessed=dice.random() < 0.9)
    with_payload = [n for n, r in enumerate(log.world.records) if r.payload and n > 4 and r.entry.get("subject")]
    for position in dice.sample(with_payload, min(erased, len(with_payload))):
        log.erase(position)
    log.publish()
    if tail:
        for _ in range(tail):
            log.act()
        log.publish(witnessed=False)
    log.hand_out(share)
    return log.world


# --- signatures of people ---------------------------------------------------------------------------------------------

_CONTEXT = b"clinaiops/esign/v1"


def credential_id(user: str) -> bytes:
    return sha256(b"credential" + user.encode()).digest()


def cose(key: Ed25519PrivateKey) -> bytes:
    """COSE_Key of an Ed25519 key: {1: 1, 3: -8, -1: 6, -2: x}."""
    return bytes.fromhex("a4010103272006215820") + public(key)


def esign_record(user: str, thing: tuple[str, str], version: int, subject: str, content: str) -> dict[str, Any]:
    """The record as it was shown to the clinician."""
    return {
        "v": 1, "type": "recommendation.approved", "object": {"type": thing[0], "id": thing[1], "version": version},
        "subject": subject, "meaning": "approved", "account": user, "name_shown": f"Dr. {user}", "content": content,
    }  # fmt: skip


def signature(
    record: dict[str, Any], *, key: Ed25519PrivateKey, user: str, nonce: bytes
) -> tuple[dict[str, Any], Esign]:
    """A passkey's assertion over the record: the line of evidence, and what the entry says of it."""
    spelled = canonical.spell(record)
    record_hash = sha256(_CONTEXT + spelled).digest()
    challenge = b64url(sha256(_CONTEXT + record_hash + nonce).digest())
    client = canonical.spell(
        {"type": "webauthn.get", "challenge": challenge, "origin": f"https://{HOST}", "crossOrigin": False}
    )
    authenticator = sha256(HOST.encode()).digest() + b"\x05" + (7).to_bytes(4, "big")
    signed_by_key = key.sign(authenticator + sha256(client).digest())
    parts = b"".join(len(each).to_bytes(4, "big") + each for each in (authenticator, client, signed_by_key))
    evidence = {
        "record": spelled.decode(), "content": None, "content_salt": None, "nonce": b64(nonce),
        "client_data": b64(client), "authenticator_data": b64(authenticator), "signature": b64(signed_by_key),
        "public_key": b64(cose(key)), "credential_id": b64(credential_id(user)),
    }  # fmt: skip
    esign = Esign(
        record["meaning"], record_hash.hex(), "webauthn", assertion_sha256=sha256(parts).hexdigest(),
        key_id=b64url(credential_id(user)), name_shown=record["name_shown"],
    )  # fmt: skip
    return evidence, esign


def fresh_id(dice: random.Random, at: datetime) -> UUID:
    """As `entries.fresh_id`, from the dice."""
    millis = int(at.timestamp() * 1000)
    return UUID(int=millis << 80 | 0x7 << 76 | dice.getrandbits(12) << 64 | 0b10 << 62 | dice.getrandbits(62))
