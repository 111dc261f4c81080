"""One effect per command, however often it is sent: the idempotency key (SECURITY 4).

The rules
 * The same key and body by the same actor on the same route: the effect once, the same answer every time.
 * The same key while the first is still at work: StillRunning (409, try again). The same key with another body:
   BodyDiffers (422).
 * The answer is stored in the transaction of the effect, so a crash leaves both or neither. A refusal (raised by
   `work`) stores nothing: the command may be sent again with the same key.
 * The wait is not taken on the row but on an advisory lock of the transaction, which a crash frees by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit.domain import Actor, Device, Job, Model, Person
from audit.models import IdempotencyKey

MAX_KEY = 255


class StillRunning(Exception):
    """A refusal: the first command with this key has not ended. Answer 409 with Retry-After."""

    code = "idempotency-running"


class BodyDiffers(Exception):
    """A refusal: this key was used for a different command. Answer 422."""

    code = "idempotency-body-differs"


class KeyUnusable(ValueError):
    """A refusal: the key is empty or longer than 255 characters. Answer 400."""

    code = "idempotency-key"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer as bytes, so that the second time it is the same to the byte. `replayed` is true on a repeat."""

    status: int
    body: bytes
    content_type: str = "application/json"
    replayed: bool = False


def actor_name(actor: Actor) -> str:
    """The actor as one word, distinct over the four kinds."""
    match actor:
        case Person():
            return f"user:{actor.id}"
        case Device():
            return f"device:{actor.id}"
        case Job():
            return f"service:{actor.name}"
        case Model():
            return f"model:{actor.id}@{actor.version}"


def idempotent(
    actor: Actor,
    *,
    key: str,
    route: str,
    body_sha256: bytes,
    work: Callable[[], StoredResponse],
    using: str = DEFAULT_DB_ALIAS,
) -> StoredResponse:
    """Run `work` once for (actor, route, key) in one transaction and answer the same from then on.

    Raises StillRunning, BodyDiffers or KeyUnusable; whatever `work` raises rolls everything back and passes through.
    """
    if not 0 < len(key) <= MAX_KEY or "\x00" in key:
        raise KeyUnusable(key[:40])
    who = actor_name(actor)
    lock = sha256(f"{who}\x00{route}\x00{key}".encode()).digest()[:8]
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(lock, "big", signed=True)])
            if not cursor.fetchone()[0]:
                raise StillRunning(route)
        before = IdempotencyKey.objects.using(using).filter(actor=who, route=route, key=key).first()
        if before is not None:
            return _replay(before, body_sha256)
        answer = work()
        IdempotencyKey.objects.using(using).create(
            actor=who,
            route=route,
            key=key,
            body_sha256=body_sha256,
            status=answer.status,
            content_type=answer.content_type,
            body=answer.body,
        )
        return answer


def _replay(before: IdempotencyKey, body_sha256: bytes) -> StoredResponse:
    if bytes(before.body_sha256) != body_sha256:
        raise BodyDiffers(before.route)
    return StoredResponse(
        status=before.status, body=bytes(before.body), content_type=before.content_type, replayed=True
    )
