"""Recognising a person by what they show: passkey, code, recovery code, password; and looking away after failures.

Rules (SECURITY 2.3 A12, A13; 21 CFR 11.300)
 * A code is taken once: its step must be later than the last one taken, whoever asks and for whatever.
 * A passkey whose counter went back may have been copied: refused, and recorded by that name.
 * Each failure is an entry. After five within the time of the rules, no further attempt is looked at until it has
   passed, right or wrong; the moment of locking is an entry too.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Person, Purpose
from audit.selectors import next_version
from audit.services import append, append_denied

from ..domain import Amr, Method
from ..models import Credential, CredentialUse, FailedAttempt, RecoveryCode, User
from ..policies import LockedOut, factor_rules
from .codes import CodeNotTaken, digest_of_recovery, right_code, show_secret
from .credentials import live
from .passkeys import Assertion, PasskeyNotTaken, State, check_assertion, read_assertion


@dataclass(frozen=True, slots=True)
class Recognised:
    """Who it is, by which credential, how that stands in an entry, and the assertion where a passkey was used."""

    user: User
    credential: Credential
    amr: Amr
    assertion: Assertion | None = None


def check_not_locked(user: User, *, now: datetime) -> None:
    """Refuse before looking at anything, while the account is locked."""
    rules = factor_rules()
    recent = FailedAttempt.objects.filter(user=user, at__gt=now - rules.lock).count()
    if recent >= rules.failures_before_lock:
        minutes = int(rules.lock.total_seconds() // 60)
        raise LockedOut(f"Too many attempts. Nothing is looked at for up to {minutes} minutes.")


def by_passkey(
    answer: Mapping[str, Any], state: State, *, place: str, now: datetime, user: User | None = None
) -> Recognised:
    """Whoever this passkey belongs to; of `user` only, where one is expected."""
    said = read_assertion(answer)
    row = Credential.objects.filter(credential_id=said.credential_id, revoked__isnull=True).select_related("user")
    found = row.first() if user is None else row.filter(user=user).first()
    if found is None or (said.user_handle and said.user_handle != found.user_id.bytes):
        raise PasskeyNotTaken("This passkey is not known here.")
    check_not_locked(found.user, now=now)
    try:
        assertion = check_assertion(answer, state, found, place=place)
    except PasskeyNotTaken:
        if user is not None:  # a stranger who only names a passkey must not be able to lock its owner out
            failed(found.user, "passkey", now=now)
        raise
    _count(found, assertion.sign_count, now=now)
    return Recognised(user=found.user, credential=found, amr=Amr.PASSKEY, assertion=assertion)


def by_code(user: User, code: str, *, now: datetime) -> Recognised:
    """This person by a code of their generator, or by one of their recovery codes."""
    check_not_locked(user, now=now)
    taken = _generator(user, code, now=now) or _sheet(user, code, now=now)
    if taken is None:
        failed(user, "code", now=now)
        raise CodeNotTaken("This is not the code of this moment, or it was used.", field="code")
    return taken


def by_generator(user: User, code: str, *, now: datetime) -> Recognised:
    """This person by a code of their generator and by nothing else: what a signature asks for."""
    check_not_locked(user, now=now)
    taken = _generator(user, code, now=now)
    if taken is None:
        failed(user, "code", now=now)
        raise CodeNotTaken("This is not the code of this moment, or it was used.", field="code")
    return taken


def check_password(user: User, password: str, *, now: datetime) -> None:
    """Refuse a wrong password of somebody who is signed in already."""
    check_not_locked(user, now=now)
    if not user.check_password(password):
        failed(user, "password", now=now)
        raise CodeNotTaken("This is not your password.", field="password")


def failed(user: User, what: str, *, now: datetime) -> None:
    """Keep that somebody was not recognised as `user`. Its own transaction: what was tried leaves nothing else."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        entry = _record("login.failed", user, now=now, reason=what, outcome=Outcome.DENIED)
        FailedAttempt.objects.create(user=user, what=what, at=now, entry=entry)
        rules = factor_rules()
        if FailedAttempt.objects.filter(user=user, at__gt=now - rules.lock).count() == rules.failures_before_lock:
            _record("account.locked", user, now=now, reason="failures", outcome=Outcome.OK)


def note_wrong_password(user: User | None, *, now: datetime) -> None:
    """Record a password that was not taken, the same for a name nobody has: neither the answer nor its time tells.

    How many are looked at is limited at the door, by name and by address.
    """
    append_denied(
        Event(
            type="login.failed",
            occurred_at=now,
            actor=Job(name="sign-in", run="door"),
            object=ObjectRef(type="account", id=str(user.pk) if user else "unknown"),
            purpose=Purpose.OPERATIONS,
            outcome=Outcome.DENIED,
            reason_code="password",
        )
    )


def _generator(user: User, code: str, *, now: datetime) -> Recognised | None:
    for row in live(user, Method.TOTP):
        step = right_code(show_secret(row.secret, key=str(row.pk)), code, now=now)
        if step is None:
            continue
        fresh = CredentialUse.objects.filter(credential=row, last_step__lt=step)
        if fresh.update(last_step=step, used_at=now):
            return Recognised(user=user, credential=row, amr=Amr.CODE)
    return None


def _sheet(user: User, code: str, *, now: datetime) -> Recognised | None:
    for row in live(user, Method.RECOVERY_CODES):
        unused = RecoveryCode.objects.filter(sheet=row, digest=digest_of_recovery(code), used_at__isnull=True)
        if unused.update(used_at=now):
            CredentialUse.objects.filter(credential=row).update(used_at=now)
            return Recognised(user=user, credential=row, amr=Amr.RECOVERY)
    return None


def _count(row: Credential, counter: int, *, now: datetime) -> None:
    """Counters only grow; authenticators that keep none always say 0."""
    with transaction.atomic():
        use = CredentialUse.objects.select_for_update().get(credential=row)
        back = counter <= use.sign_count and not (counter == 0 and use.sign_count == 0)
        if not back:
            use.sign_count, use.used_at = counter, now
            use.save(update_fields=["sign_count", "used_at"])
    if back:
        failed(row.user, "passkey_counter", now=now)
        raise PasskeyNotTaken("This passkey may have been copied. It is not taken; tell an administrator.")


def _record(kind: str, user: User, *, now: datetime, reason: str, outcome: Outcome) -> uuid.UUID:
    key = str(user.pk)
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=Person(id=key, role="none"),
            object=ObjectRef(type="account", id=key, version=next_version("account", key)),
            purpose=Purpose.OPERATIONS,
            outcome=outcome,
            reason_code=reason,
        )
    )
    return appended.entry_id
