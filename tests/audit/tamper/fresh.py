"""T7, T13, T14, T21: lies that stood in the log before the witnesses saw it. Only what an entry says gives them away.

A witness sees size and root, never an entry: it cosigns what is appended, whatever it is. Here everything is published
and cosigned honestly after the lie, so that every signature holds.
"""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from audit import canonical, entries
from audit.domain import Person

from .forging import Attack, bundle
from .world import CLINICIANS, STRANGER, TENANT, Growing, Record, World, cose, esign_record, fresh_id, signature

SKEW_S = 2
MERGE_S = 60


def witnessed(name: str, world: World, dice: random.Random, lie: list[Record]) -> Attack:
    """The log with the lie at its end, some more acts, and everything seen by the quorum."""
    log = Growing(dice, world)
    log.world.records += lie
    for _ in range(dice.randrange(3)):
        log.act()
    log.publish()
    return _shown(name, log.world)


def _shown(name: str, world: World) -> Attack:
    return Attack(name, "fresh", bundle(world), tuple(world.receipts.values()), world.seen)


def replayed(world: World, dice: random.Random) -> Attack:
    """T7: an old entry once more: as it was, under a new id, or as the next version under the old id."""
    old = dice.choice([record for record in world.records if record.entry["object"]["version"]])
    match dice.randrange(3):
        case 0:
            again = old
        case 1:
            again = _with(old, id=str(fresh_id(dice, world.now)), shown=False)
        case _:
            place = old.entry["object"]
            version, leaf = Growing(dice, world).chains[place["type"], place["id"]]
            again = _with(old, object=place | {"version": version + 1, "prev": leaf.hex()})
    return witnessed("T7", world, dice, [again])


def _with(record: Record, *, shown: bool = True, **changes: object) -> Record:
    done = record.saying(record.entry | changes)
    return done if shown else replace(done, evidence=None) if "esign" not in done.entry else done


def dated(world: World, dice: random.Random, shift: timedelta, *, name: str) -> Attack:
    """An act with another time of the database's clock in it, then a checkpoint seen by the quorum."""
    log = Growing(dice, world)
    log.publish()
    log.add(
        "consent.given", Person("17", "clinician"), ("consent", "late"), subject="patient-1", at=log.world.now + shift
    )
    log.publish()
    return _shown(name, log.world)


def back_dated(world: World, dice: random.Random) -> Attack:
    """T13: two minutes to ten years back."""
    seconds = dice.choice((dice.uniform(75, 600), dice.uniform(600, 86_400), dice.uniform(86_400, 3.1e8)))
    return dated(world, dice, -timedelta(seconds=seconds), name="T13")


def forward_dated(world: World, dice: random.Random) -> Attack:
    """T14: ten seconds to ten years ahead."""
    seconds = dice.choice((dice.uniform(10, 600), dice.uniform(600, 86_400), dice.uniform(86_400, 3.1e8)))
    return dated(world, dice, timedelta(seconds=seconds), name="T14")


def forged_approval(world: World, dice: random.Random) -> Attack:
    """T21: an approval nobody gave, written by whoever owns the database, perfect but for the passkey.

    Signed with a key of his own; with a real signature of another record; with one by the wrong clinician; with a real
    one whose record, nonce or flags were changed; or without any evidence at all.
    """
    log, how = Growing(dice, world), dice.randrange(6)
    user, patient = dice.choice([*CLINICIANS]), f"patient-{dice.randrange(8)}"
    thing, subject = ("loop", patient), entries.pseudonym(patient, tenant_key=TENANT)
    version = log.chains.get(thing, (0, b""))[0] + 1
    record = esign_record(user, thing, version, subject, sha256(dice.randbytes(8)).hexdigest())
    other = next(each for each in CLINICIANS if each != user)
    key = {1: CLINICIANS[other]}.get(how, STRANGER)
    evidence, esign = signature(record, key=key, user=user, nonce=dice.randbytes(32))
    if how == 0:  # the registered key is shown, the signature is another's
        evidence["public_key"] = base64.b64encode(cose(CLINICIANS[user])).decode()
    elif how in {2, 3}:  # a real assertion of this clinician, over something else
        old = [r for r in world.records if r.evidence and r.entry["actor"]["id"] == user]
        if old:
            real = dice.choice(old)
            assert real.evidence is not None
            evidence = evidence | {
                k: real.evidence[k] for k in ("client_data", "authenticator_data", "signature", "public_key")
            }
            evidence |= {"nonce": real.evidence["nonce"]} if how == 3 else {}
            esign = replace(esign, assertion_sha256=real.entry["esign"]["assertion_sha256"])
    elif how == 4:  # present, but not verified
        bent = bytearray(base64.b64decode(evidence["authenticator_data"]))
        bent[32] = 0x01
        evidence["authenticator_data"] = base64.b64encode(bent).decode()
    kept = None if how == 5 else evidence
    person = Person(user, "clinician", amr=("webauthn",))
    log.add("recommendation.approved", person, thing, subject=patient, esign=esign, evidence=kept)
    log.publish()
    return _shown("T21", log.world)


def changed_signature(world: World, dice: random.Random) -> Attack | None:
    """T21 too: a real approval, seen by the quorum, with its record made to say something else and hashed again."""
    places = [n for n, r in enumerate(world.records) if r.evidence]
    if not places:
        return None
    record = world.records[dice.choice(places)]
    assert record.evidence is not None
    said = canonical.loads(record.evidence["record"].encode(), profile=canonical.PAYLOAD)
    said["content"] = sha256(b"another dose").hexdigest()
    entry = record.entry
    entry["id"] = str(fresh_id(dice, world.now))
    entry["at"] = entry["occurred_at"] = entries.stamp(world.now)
    chain = Growing(dice, world).chains[entry["object"]["type"], entry["object"]["id"]]
    entry["object"] |= {"version": chain[0] + 1, "prev": chain[1].hex()}
    said["object"]["version"] = chain[0] + 1
    spelled = canonical.spell(said)
    entry["esign"]["record"] = sha256(b"clinaiops/esign/v1" + spelled).hexdigest()
    lie = replace(record.saying(entry), evidence=record.evidence | {"record": spelled.decode()})
    return witnessed("T21", world, dice, [lie])


OPERATIONS = {"T7": replayed, "T13": back_dated, "T14": forward_dated, "T21": forged_approval}
