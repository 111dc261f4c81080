"""What is in force, and who holds what."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..domain import STAFF_ROLES, NotFound
from ..models import PolicyVersion, RoleHeld, SignatureEvidence, User


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy in force: its reference for the record, and its body."""

    kind: str
    subject: str
    version: int
    digest: str
    body: dict[str, Any]

    @property
    def ref(self) -> str:
        """How a decision names it, e.g. `operating_mode:hypertension@3`."""
        return f"{self.kind}:{self.subject}@{self.version}"


def policy_in_force(kind: str, subject: str, *, now: datetime) -> InForce | None:
    """The newest version whose date has come; None when there is none. Never a default."""
    row = PolicyVersion.objects.filter(kind=kind, subject=subject, effective_from__lte=now).order_by("-version").first()
    if row is None:
        return None
    return InForce(kind=kind, subject=subject, version=row.version, digest=row.digest, body=json.loads(row.body))


def site_mode(*, now: datetime, pathway: str = "hypertension") -> str:
    """The operating mode of a pathway: `off` until a site sets one."""
    policy = policy_in_force("operating_mode", pathway, now=now)
    return str(policy.body["mode"]) if policy else "off"


def anybody_named(username: str) -> User:
    """Whoever signs in, or ever signed in, as `username`: what they did stays theirs after they left."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"Nobody here signs in as {username!r}.")
    return user


def account_named(username: str) -> User:
    """The account that signs in as `username`; `NotFound` when nobody here does."""
    user = User.objects.filter(username=username, left_at__isnull=True).first()
    if user is None:
        raise NotFound(f"Nobody here signs in as {username!r}.")
    return user


def staff_people() -> list[tuple[User, list[str]]]:
    """Everybody who holds a staff role, by name, with the roles held."""
    held = RoleHeld.objects.filter(until__isnull=True, role__in=[role.value for role in STAFF_ROLES])
    found: dict[User, list[str]] = {}
    for row in held.select_related("user").order_by("role"):
        found.setdefault(row.user, []).append(row.role)
    return sorted(found.items(), key=lambda pair: (pair[0].last_name.casefold(), pair[0].username.casefold()))


def person_here(user_id: uuid.UUID) -> User:
    """Somebody who has not left; `NotFound` otherwise."""
    user = User.objects.filter(pk=user_id, left_at__isnull=True).first()
    if user is None:
        raise NotFound("There is no such person here.")
    return user


def roles_of(user: User) -> list[str]:
    """The roles somebody holds."""
    return list(RoleHeld.objects.filter(user=user, until__isnull=True).order_by("role").values_list("role", flat=True))


def staff_names(user_ids: Iterable[str]) -> dict[str, str]:
    """Printed names, by identifier, of those who hold or ever held a staff role. Patients are not named here."""
    wanted = []
    for each in user_ids:
        with suppress(ValueError):
            wanted.append(uuid.UUID(each))
    held = RoleHeld.objects.filter(user_id__in=wanted, role__in=[role.value for role in STAFF_ROLES])
    return {str(row.user_id): row.user.printed_name for row in held.select_related("user").distinct()}


def staff_id_named(username: str) -> str | None:
    """The identifier of a member of staff, present or past, by the name they sign in with; None for anybody else."""
    held = RoleHeld.objects.filter(user__username=username, role__in=[role.value for role in STAFF_ROLES])
    row = held.first()
    return str(row.user_id) if row is not None else None


def evidence_of(entry_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, str | None]]:
    """What proves the passkeys' signatures among these entries, as a bundle carries it (audit/README.md 8)."""
    rows = SignatureEvidence.objects.filter(entry__in=list(entry_ids), assertion__isnull=False)
    return {row.entry: _as_carried(row) for row in rows.select_related("credential")}


def _as_carried(row: SignatureEvidence) -> dict[str, str | None]:
    name = row.credential.credential_id if row.credential else ""
    parts = {
        "nonce": bytes(row.nonce or b""),
        "client_data": bytes(row.client_data or b""),
        "authenticator_data": bytes(row.authenticator_data or b""),
        "signature": bytes(row.assertion or b""),
        "public_key": _from_url(row.public_key),
        "credential_id": _from_url(name),
    }
    carried = {key: b64encode(part).decode() for key, part in parts.items()}
    return {"record": bytes(row.record).decode(), **carried}


def _from_url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
