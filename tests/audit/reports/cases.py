"""Bundles as a hospital would export them, built by our own writer over entries built by the record's code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import canonical, entries, merkle, notes
from audit.bundles import Body, BundleWriter, LeftOut, Manifest, PayloadCounts, rest_between
from audit.domain import (
    Actor,
    Cap,
    Device,
    Esign,
    Event,
    Job,
    Limits,
    ModelRef,
    ObjectRef,
    OnBehalfOf,
    Outcome,
    Person,
    Purpose,
    RequestRef,
)
from audit.services import certificates

ORIGIN = "hospital.example/log/7"
TENANT = b"t" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
STATEMENT_KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
DR = Person(
    "0198a1c2-0000-7000-8000-00000000d0c1", "clinician", session="a-session", amr=("pwd", "webauthn"), auth_time=NOON
)
NURSE = Person("0198a1c2-0000-7000-8000-00000000d0c2", "pharmacist", session="b-session")
PATIENT = "patient-7"
JOB = Job("close-windows", "run-1")
CUFF = Device("cuff-81", "key-1")
HOME_BP = ModelRef("home_bp", "1.0", artifact_sha256="ab" * 32, policy_version="mode:assisted@3")


@dataclass(slots=True)
class Case:
    """Acts in order, each with what it says; of some the reader may not see it, some is destroyed, some forged."""

    acts: list[tuple[Event, dict[str, Any] | None]] = field(default_factory=list)
    rows: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    evidence: dict[int, dict[str, str]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    shredded: set[int] = field(default_factory=set)
    forged: dict[int, bytes] = field(default_factory=dict)
    _versions: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(
        self,
        kind: str,
        of: tuple[str, str],
        by: Actor = DR,
        said: dict[str, Any] | None = None,
        *,
        versioned: bool = True,
        minutes: int | None = None,
        **fields: Any,
    ) -> int:
        """One more act; returns its place."""
        version = None
        if versioned:
            version = self._versions[of] = self._versions.get(of, 0) + 1
        at = NOON + timedelta(minutes=len(self.acts) if minutes is None else minutes)
        given = {"subject": PATIENT} | fields
        event = Event(type=kind, occurred_at=at, actor=by, object=ObjectRef(*of, version), payload=said, **given)
        self.acts.append((event, said))
        return len(self.acts) - 1


REPORT_KEY = ec.derive_private_key(7, ec.SECP256R1())
STATEMENT_VKEY = notes.VerifierKey(f"{ORIGIN}/statement", STATEMENT_KEY.public_key().public_bytes_raw())
POLICY = f"""log {notes.VerifierKey(ORIGIN, LOG_KEY.public_key().public_bytes_raw())}
statement {STATEMENT_VKEY}
quorum none
"""


@cache
def certificate() -> x509.Certificate:
    """The hospital's certificate for reports."""
    return x509.load_pem_x509_certificate(certificates._draw_certificate(REPORT_KEY, ORIGIN, NOON))


def statement(text: bytes) -> bytes:
    """Signed by the statement key."""
    return notes.sign(text, name=STATEMENT_VKEY.name, key=STATEMENT_KEY)


def signed(
    meaning: str = "approves this change",
    name: str = "Dr. Ana Šimić-Ångström",
    method: str = "session",
    of: str = "a record",
) -> Esign:
    """A signature over a record."""
    return Esign(meaning=meaning, record=sha256(of.encode()).hexdigest(), method=method, name_shown=name)


def begin(case: Case) -> None:
    """The record's first entries: genesis and keys."""
    vkey = str(notes.VerifierKey(ORIGIN, LOG_KEY.public_key().public_bytes_raw()))
    digest = certificates.fingerprint(certificate())
    said = {"origin": ORIGIN, "vkey": vkey, "report_certificate_sha256": digest}
    case.add("log.genesis", ("log", ORIGIN), Job("genesis", "1"), said, subject=None)
    said = {"use": "statement", "vkey": str(STATEMENT_VKEY)}
    case.add("key.created", ("log", ORIGIN), Job("genesis", "1"), said, subject=None)


def loop(case: Case, name: str, *, free_text: str = "Discussed on the phone.", start: int | None = None) -> None:
    """One recommendation from its window to its first dose."""
    on: dict[str, Any] = {} if start is None else {"minutes": start}
    change = '{"drug":"Lisinopril 20 mg","kind":"step_up","new_daily_dose":"20","old_daily_dose":"10","steps":1}'
    of = ("recommendation", name)
    case.add(
        "recommendation.proposed",
        of,
        JOB,
        {"evidence_sha256": "cd" * 32, "change": change, "tier": "clinician_approves", "withheld": None},
        model=HOME_BP,
        limits=Limits((Cap("dose_step", "20", "10", "mg"),), ("too_soon",)),
        **on,
    )
    case.add(
        "recommendation.routed",
        of,
        JOB,
        {"tier": "clinician_approves", "reasons": ["over_target_in_consecutive_windows"]},
        **on,
    )
    shown = {
        "recommendation": name,
        "patient": PATIENT,
        "decision": "approve",
        "proposed": change,
        "prescribed": change,
        "reason": "agrees_with_plan",
    }
    case.add("signature.made", ("signature", f"s-{name}"), DR, {"record": shown}, esign=signed(of=name), **on)
    case.add(
        "recommendation.approved",
        of,
        DR,
        shown | {"free_text": free_text},
        reason_code="agrees_with_plan",
        esign=signed(of=name),
        on_behalf_of=OnBehalfOf("ward-app"),
        req=RequestRef(id="r-1", route="/recommendations/", ip_prefix="192.0.2.0/24"),
        **on,
    )
    case.add("recommendation.delivered", of, Job("relay", "9"), {"state": "delivered"}, **on)


def readings(days: int, first: datetime) -> tuple[bytes, ...]:
    """Stored readings of several days, twice a day, slowly falling."""
    found = []
    for number in range(days * 2):
        at = first + timedelta(hours=12 * number)
        high = 158 - number * 30 // (days * 2) + (number * 7) % 9
        said = {
            "id": f"r-{number}",
            "taken_at": at.isoformat(),
            "systolic": f"{high}.0000",
            "diastolic": f"{high - 62}.0000",
            "method": "upper_arm_cuff",
            "quarantined": "",
            "flags": [],
            "patient": PATIENT,
        }
        found.append(canonical.dumps(said, profile=canonical.PAYLOAD))
    return tuple(found)


def patient_history(*, loops: int = 3, synthetic: bool = True, free_text: str = "Discussed on the phone.") -> Case:
    """A patient's months: target, readings, recommendations, a refusal, something withheld, something shredded."""
    case = Case()
    begin(case)
    case.add(
        "patient.enrolled",
        ("patient", PATIENT),
        NURSE,
        {
            "given_name": "Žofia",
            "family_name": "Nguyễn-O’Brien",
            "born_on": "1961-05-04",
            "sex": "female",
            "zone": "Europe/Prague",
            "synthetic": synthetic,
            "source": "ward|77",
        },
    )
    case.add(
        "target.signed",
        ("target", "t-1"),
        DR,
        {"systolic_below": "135", "diastolic_below": "85", "unit": "mm[Hg]"},
        esign=signed("sets this target"),
    )
    case.add(
        "boundary.signed",
        ("boundary", PATIENT),
        DR,
        {
            "drugs": [
                {"ingredient": "lisinopril", "max_daily_dose_mg": "40", "allow_up": True},
                {"ingredient": "amlodipine", "max_daily_dose_mg": "10", "allow_up": False},
            ],
            "max_steps": 2,
            "min_interval_days": 28,
        },
        esign=signed("orders titration within", of="b"),
    )
    for number in range(loops):
        start = number * 28 * 24 * 60
        rows = readings(14, NOON + timedelta(minutes=start))
        place = case.add(
            "observation.batch_accepted",
            ("observation_batch", f"b-{number}"),
            CUFF,
            {"count": len(rows), "root": merkle.batch_root(rows).hex(), "kind": "blood_pressure"},
            minutes=start,
        )
        case.rows[place] = rows
        loop(case, f"loop-{number}", start=start + 14 * 24 * 60, free_text=free_text)
        case.add(
            "regimen.changed",
            ("regimen_entry", f"g-{number}"),
            Job("relay", "9"),
            {
                "ingredient": "lisinopril",
                "name": "Lisinopril",
                "daily_dose_mg": str(10 * (number + 1)),
                "stopped": False,
            },
            minutes=start + 15 * 24 * 60,
        )
    last = loops * 28 * 24 * 60
    case.add(
        "alert.raised",
        ("alert", "a-1"),
        JOB,
        {
            "severity": "urgent",
            "rules": ["crisis_single"],
            "asks": ["repeat_now"],
            "evidence": ["r-3"],
            "locks": True,
            "unverified": False,
        },
        reason_code="crisis",
        purpose=Purpose.SAFETY,
        minutes=last,
    )
    case.add(
        "access.denied",
        ("patient", PATIENT),
        NURSE,
        None,
        versioned=False,
        reason_code="not-in-care-team",
        outcome=Outcome.DENIED,
        minutes=last + 1,
    )
    hidden = case.add(
        "symptom.reported", ("symptom", "s-1"), NURSE, {"kind": "syncope", "text": "secret words"}, minutes=last + 2
    )
    gone = case.add(
        "symptom.reported", ("symptom", "s-2"), NURSE, {"kind": "syncope", "text": "forgotten words"}, minutes=last + 3
    )
    case.hidden.add(hidden)
    case.shredded.add(gone)
    case.add(
        "payload.shredded",
        ("payload", str(UUID(int=gone))),
        NURSE,
        None,
        reason_code="gdpr_17",
        purpose=Purpose.LEGAL,
        minutes=last + 4,
    )
    return case


def accesses(count: int) -> Case:
    """Looks at a record by several people, some refused, one in an emergency."""
    case = Case()
    begin(case)
    for number in range(count):
        who = (DR, NURSE, Person(f"u-{number % 7}", "auditor", session="s"))[number % 3]
        kind, more = "access.read", {"purpose": Purpose.AUDIT if number % 3 == 2 else Purpose.TREATMENT}
        said: dict[str, Any] | None = {"what": ("summary", "trend", "letters of the last twelve months")[number % 3]}
        if number % 17 == 16:
            kind, said, more = "access.denied", None, {"reason_code": "not_in_care_team", "outcome": Outcome.DENIED}
        elif number == 5:
            kind, more = (
                "access.break_glass",
                {"reason_code": "emergency", "purpose": Purpose.BREAK_GLASS, "break_glass_id": "bg-1"},
            )
        case.add(kind, ("patient", PATIENT), who, said, versioned=False, minutes=number * 300, **more)
    return case


def disclosures() -> Case:
    """Two disclosures to named recipients."""
    case = Case()
    begin(case)
    for number, (to, why) in enumerate(
        (
            ("Public Health Office, Ústí nad Labem", "reportable condition"),
            ("District Court 4", "court order 12 C 33/2026"),
        )
    ):
        case.add(
            "export.made",
            ("export", f"e-{number}"),
            NURSE,
            {
                "recipient": to,
                "address": "Main Street 1, 400 01",
                "description": "decision history, March to May",
                "purpose": why,
            },
            purpose=Purpose.LEGAL,
            minutes=number * 5000,
        )
    return case


def model_dossier() -> Case:
    """A model's life: registered, approved, active, used."""
    case = Case()
    begin(case)
    for step in ("registered", "approved", "activated"):
        case.add(
            f"model.{step}",
            ("model", "home_bp@1.0"),
            Person("eng-1", "ml_engineer", session="s"),
            {"gates": "all held", "card": "ef" * 32},
            subject=None,
            model=HOME_BP,
        )
    for number in range(12):
        loop(case, f"loop-{number}", start=number * 1440)
    return case


def _built(case: Case) -> Iterator[tuple[bytes, bytes, tuple[bytes, bytes] | None, UUID]]:
    """(encoded entry, leaf, (salt, body), entry id) of each act."""
    previous: dict[tuple[str, str], bytes] = {}
    for number, (event, said) in enumerate(case.acts):
        body = canonical.dumps(said, profile=canonical.PAYLOAD) if said is not None else None
        salt = sha256(b"salt %d" % number).digest()
        entry_id = UUID(int=0x0198A1C2_0000_7000_8000_000000000000 + number)
        of = (event.object.type, event.object.id)
        entry = entries.build(
            event,
            entry_id=entry_id,
            at=event.occurred_at + timedelta(milliseconds=40),
            prev=previous.get(of) if event.object.version and event.object.version > 1 else None,
            tenant_key=TENANT,
            payload=(UUID(int=number), entries.commitment(salt, body)) if body is not None else None,
            software=entries.Software("0.1.0"),
        )
        leaf = entries.leaf_data(entry, origin=ORIGIN)
        if event.object.version:
            previous[of] = entries.leaf_hash(leaf)
        yield canonical.spell(entry), leaf, (salt, body) if body is not None else None, entry_id


def _object(case: Case, place: int) -> tuple[str, str] | None:
    """The object that an act made a version of."""
    thing = case.acts[place][0].object
    return (thing.type, thing.id) if thing.version else None


def write(case: Case, target: Path, *, kind: str = "patient", keep: Sequence[int] | None = None, **chosen: str) -> Path:
    """The bundle of the kept acts (all, unless told otherwise)."""
    built = list(_built(case))
    leaves = [entries.leaf_hash(leaf) for _, leaf, _, _ in built]
    size, kept = len(built), list(range(len(built))) if keep is None else list(keep)
    root = merkle.root(leaves)
    note = notes.sign(notes.TreeHead(ORIGIN, size, root).text(), name=ORIGIN, key=LOG_KEY)
    text = note.rpartition(b"\n\n")[0] + b"\n"
    note += notes.sign(text, name="witness.example/ethics-board", key=WITNESS_KEY).rpartition(b"\n\n")[2]
    counts = {"included": 0, "withheld": 0, "shredded": 0}
    with BundleWriter(target) as writer:
        writer.checkpoint(size, note)
        for rest in rest_between(kept, size=size, splits=[size], subtree=merkle.subtree_of(leaves)):
            writer.rest(rest)
        newest = {_object(case, place): place for place in range(size)}
        for place in kept if len(kept) < size else ():
            if (last := newest.pop(_object(case, place), None)) is not None and _object(case, place):
                version = case.acts[last][0].object.version
                writer.head(built[place][3], version=version, leaf_hash=leaves[last])
        for place in kept:
            encoded, _, plain, entry_id = built[place]
            writer.entry(place, encoded)
            if place in case.shredded:
                counts["shredded"] += 1
            elif plain is not None and place not in case.hidden:
                writer.payload(entry_id, Body(plain[0], case.forged.get(place, plain[1])))
                counts["included"] += 1
            elif plain is not None:
                counts["withheld"] += 1
            if place in case.rows:
                writer.batch(entry_id, case.rows[place])
            if place in case.evidence:
                writer.assertion(entry_id, case.evidence[place])

        left_out = (
            LeftOut("entries", "filter", size - len(kept)),
            LeftOut("payloads", "permission", counts["withheld"]),
        )

        def manifest(files: Any) -> Manifest:
            return Manifest(
                origin=ORIGIN,
                kind=kind,
                filter=tuple(sorted(chosen.items())),
                made_at="2026-06-01T08:30:00.000000Z",
                made_by=(("id", DR.id), ("kind", "user"), ("role", "compliance_officer")),
                size=size,
                root=root,
                entries=len(kept),
                payloads=PayloadCounts(**counts),
                batches=len(case.rows),
                left_out=tuple(each for each in left_out if each.n),
                complete_objects=True,
                files=files,
            )

        writer.finish(manifest, sign=statement)
    return target
