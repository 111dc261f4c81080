"""A person's credentials: enrolled by their owner, confirmed by somebody else before they sign, and ended.

Rules (SECURITY 1.4, 3.4; 21 CFR 11.100, 11.200, 11.300)
 * Each is one entry on the credential's own chain, with its public key: what it signed is checked against that entry.
 * It opens the door from its enrolment on. It signs only once another person has confirmed whose it is; the first
   administrator's one passkey is confirmed by the ceremony at which the site was founded, and recorded as such.
 * Who opened the way back for somebody does not confirm what they enrol then: it takes two to misuse a credential.
 * The last strong credential of staff is not ended by its owner; another one is enrolled first.
 * Recovery codes are drawn anew as a sheet, shown once, and kept as keyed digests.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import STAFF_ROLES, BadInput, Method, NotAllowed, NotFound, Permission, Refusal, Relation, Role
from ..models import Credential, CredentialConfirmed, CredentialRevoked, CredentialUse, RecoveryCode, RoleHeld, User
from ..permissions import check
from ..policies import factor_rules
from .acting import Acting, acting_job
from .codes import CodeNotTaken, digest_of_recovery, hide_secret, right_code
from .passkeys import State, read_created

_SITE = frozenset({Relation.SITE})
STRONG = (Method.WEBAUTHN.value, Method.TOTP.value)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class ConfirmedAlready(Refusal):
    """The credential was confirmed before, or the ceremony was held."""

    code = "confirmed_already"


class LastCredential(Refusal):
    """Staff without a second factor could not come in again."""

    code = "last_credential"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Recovery codes as they are shown once."""

    credential: Credential
    codes: tuple[str, ...] = field(repr=False)


def live(user: User, *methods: Method) -> QuerySet[Credential]:
    """This person's credentials that still hold, oldest first; of these methods, or all."""
    found = Credential.objects.filter(user=user, revoked__isnull=True).order_by("enrolled_at", "pk")
    return found.filter(method__in=[m.value for m in methods]) if methods else found


def has_second_factor(user: User) -> bool:
    """Whether this person can show more than a password."""
    return live(user).filter(method__in=STRONG).exists()


def enrol_passkey(
    answer: Mapping[str, Any], state: State, *, name: str, place: str, by: Acting, now: datetime
) -> Credential:
    """Take the passkey that the owner's browser made for `place`."""
    made = read_created(answer, state, place=place)
    if Credential.objects.filter(credential_id=made.credential_id).exists():
        raise BadInput("This passkey is enrolled already.", field="credential")
    row = Credential(
        user=by.person(),
        method=Method.WEBAUTHN.value,
        name=name.strip()[:80] or "Passkey",
        credential_id=made.credential_id,
        public_key=made.public_key,
        aaguid=made.aaguid,
        enrolled_at=now,
    )
    with transaction.atomic():
        return _enrol(row, by=by, now=now, sign_count=made.sign_count)


def enrol_code(secret: str, code: str, *, by: Acting, now: datetime) -> Credential:
    """Take a code generator whose owner has just shown that it works. It replaces the one before."""
    step = right_code(secret, code, now=now)
    if step is None:
        raise CodeNotTaken("This is not the code of this moment.", field="code")
    owner = by.person()
    row = Credential(user=owner, method=Method.TOTP.value, name="Code from an app", enrolled_at=now)
    row.secret = hide_secret(secret, key=str(row.pk), owner=str(owner.pk))
    with transaction.atomic():
        for before in live(owner, Method.TOTP):
            _revoke(before, reason="replaced", by=by, now=now)
        return _enrol(row, by=by, now=now, last_step=step)


def draw_recovery_codes(*, by: Acting, now: datetime) -> Sheet:
    """A new sheet of codes for the person who acts; the sheet before is void."""
    owner = by.person()
    if not has_second_factor(owner):
        raise BadInput("Enrol a passkey or a code first.", field="credential")
    codes = tuple(_drawn() for _ in range(factor_rules().recovery_codes))
    row = Credential(user=owner, method=Method.RECOVERY_CODES.value, name="Recovery codes", enrolled_at=now)
    with transaction.atomic():
        for before in live(owner, Method.RECOVERY_CODES):
            _revoke(before, reason="replaced", by=by, now=now)
        _enrol(row, by=by, now=now)
        RecoveryCode.objects.bulk_create(RecoveryCode(sheet=row, digest=digest_of_recovery(code)) for code in codes)
    return Sheet(credential=row, codes=codes)


def revoke(credential_id: uuid.UUID, *, by: Acting, now: datetime, reason: str = "by_owner") -> None:
    """The owner ends a credential. Staff keep one that lets them in."""
    owner = by.person()
    with transaction.atomic():
        list(CredentialUse.objects.select_for_update(of=("self",)).filter(credential__user=owner))
        row = live(owner).filter(pk=credential_id).first()
        if row is None:
            raise NotFound("There is no such credential of yours.")
        others = live(owner).filter(method__in=STRONG).exclude(pk=row.pk)
        if row.method in STRONG and by.standing.roles & STAFF_ROLES and not others.exists():
            raise LastCredential("This is your last second factor. Enrol another one first.")
        _revoke(row, reason=reason, by=by, now=now)


def revoke_all(user: User, *, reason: str, by: Acting, now: datetime) -> int:
    """End every credential of a person, in the caller's transaction. Returns how many."""
    found = list(live(user))
    for row in found:
        _revoke(row, reason=reason, by=by, now=now)
    return len(found)


def waiting_to_be_confirmed() -> QuerySet[Credential]:
    """Strong credentials of people who hold a staff role that nobody has confirmed yet, oldest first."""
    staff = RoleHeld.objects.filter(until__isnull=True, role__in=[r.value for r in STAFF_ROLES]).values("user")
    found = Credential.objects.filter(method__in=STRONG, revoked__isnull=True, confirmed__isnull=True, user__in=staff)
    return found.select_related("user").order_by("enrolled_at", "pk")


def confirm(credential_id: uuid.UUID, *, by: Acting, now: datetime) -> CredentialConfirmed:
    """Another person confirms whose credential this is. From now on it may sign."""
    acted = by.under(check(Permission.CONFIRM_PEOPLE, by.standing, _SITE))
    with transaction.atomic():
        row = _locked(credential_id)
        back = row.user.ways_back.order_by("-opened_at").first()
        if row.user_id == by.person().pk:
            raise NotAllowed("Nobody confirms their own credential.", missing="another_person")
        if back is not None and back.opened_by_id == by.person().pk:
            raise NotAllowed("Who opened the way back does not confirm what came of it.", missing="another_person")
        return _confirm(row, ceremony=False, by=acted, now=now)


def confirm_by_ceremony(credential_id: uuid.UUID, *, witnesses: tuple[str, ...], by: Acting, now: datetime) -> None:
    """The first administrator's own passkey, confirmed in front of witnesses. Once for a site."""
    with transaction.atomic():
        row = _locked(credential_id)
        first = RoleHeld.objects.filter(role=Role.ADMINISTRATOR.value).order_by("since", "pk").first()
        if first is None or first.user_id != row.user_id or row.user_id != by.person().pk:
            raise NotAllowed("The ceremony is for the first administrator's own passkey.", missing="role")
        if row.method != Method.WEBAUTHN or not witnesses or not all(w.strip() for w in witnesses):
            raise BadInput("The ceremony needs a passkey, and the names of its witnesses.", field="witness")
        if CredentialConfirmed.objects.filter(ceremony=True).exists():
            raise ConfirmedAlready("The ceremony of this site was held.")
        ceremony = replace(by, actor=acting_job("key_ceremony", str(uuid.uuid4())).actor)  # nobody confirms their own
        _confirm(row, ceremony=True, by=ceremony, now=now, more={"witnesses": list(witnesses)})


def may_sign(credential: Credential) -> bool:
    """Whether this credential holds, and somebody has confirmed whose it is."""
    return CredentialConfirmed.objects.filter(credential=credential, credential__revoked__isnull=True).exists()


def _locked(credential_id: uuid.UUID) -> Credential:
    use = CredentialUse.objects.select_for_update().filter(credential_id=credential_id).first()
    row = Credential.objects.filter(pk=credential_id, revoked__isnull=True).first()
    if use is None or row is None:
        raise NotFound("There is no such credential.")
    if CredentialConfirmed.objects.filter(credential=row).exists():
        raise ConfirmedAlready("This credential was confirmed already.")
    return row


def _confirm(
    row: Credential, *, ceremony: bool, by: Acting, now: datetime, more: Mapping[str, Any] | None = None
) -> CredentialConfirmed:
    payload = _named(row) | {"public_key": row.public_key, "ceremony": ceremony} | dict(more or {})
    entry = _record("credential.confirmed", row, by=by, now=now, payload=payload)
    return CredentialConfirmed.objects.create(
        credential=row, owner=row.user, by=by.person(), ceremony=ceremony, at=now, entry=entry
    )


def _enrol(row: Credential, *, by: Acting, now: datetime, sign_count: int = 0, last_step: int = -1) -> Credential:
    payload = _named(row) | {"public_key": row.public_key, "aaguid": row.aaguid}
    row.entry = _record("credential.enrolled", row, by=by, now=now, payload=payload)
    row.save(force_insert=True)
    CredentialUse.objects.create(credential=row, sign_count=sign_count, last_step=last_step)
    return row


def _revoke(row: Credential, *, reason: str, by: Acting, now: datetime) -> None:
    entry = _record("credential.revoked", row, by=by, now=now, payload=_named(row), reason=reason)
    CredentialRevoked.objects.create(credential=row, by=by.person(), at=now, reason=reason, entry=entry)


def _named(row: Credential) -> dict[str, Any]:
    return {"user": str(row.user_id), "credential_id": row.credential_id, "method": row.method}


def _drawn() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def _record(
    kind: str, row: Credential, *, by: Acting, now: datetime, payload: Mapping[str, Any], reason: str | None = None
) -> uuid.UUID:
    key = str(row.pk)
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="credential", id=key, version=next_version("credential", key)),
            purpose=Purpose.OPERATIONS,
            reason_code=reason,
            payload=payload,
        )
    )
    return appended.entry_id
