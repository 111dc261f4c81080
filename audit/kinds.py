"""The closed registry of event types: what may happen here, and what an entry of each type must say.

The rules
 * An unknown type is refused on append and reported on verification. The meaning of a type never changes: a new meaning
   is a new type, added here by whoever records it (STYLE habit 19).
 * `needs` names the event's fields that may not be missing. Every type needs an actor, an object and a purpose anyway.
 * `payload_needs` names keys the payload must have, for types whose payload is itself evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One event type with what its entries must carry."""

    name: str
    needs: frozenset[str] = frozenset()
    payload_needs: frozenset[str] = frozenset()


class UnknownKind(ValueError):
    """The type is not in the registry. A bug of the caller's."""

    code = "unknown-kind"

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown event type: {name!r}")
        self.name = name


def _kinds(prefix: str, names: str, *needs: str, payload: tuple[str, ...] = ()) -> Iterator[Kind]:
    for name in names.split():
        yield Kind(f"{prefix}.{name}", frozenset(needs), frozenset(payload))


def _record() -> Iterator[Kind]:
    yield from _kinds("patient", "enrolled corrected", "subject")
    yield from _kinds("patient", "merged", "subject", "payload")
    yield from _kinds("observation", "batch_accepted", "payload", payload=("root", "count"))
    yield from _kinds("observation", "imported recorded", "subject", "payload")
    yield from _kinds("reading", "quarantined", "reason_code")
    yield from _kinds("reading", "corrected", "subject", "reason_code", "payload")
    yield from _kinds("regimen", "changed imported confirmed disagreed", "subject", "payload")
    yield from _kinds("lab", "recorded corrected", "subject", "payload")
    yield from _kinds("symptom", "reported", "subject", "payload")
    yield from _kinds("intake", "recorded", "subject", "payload")
    yield from _kinds("condition", "recorded corrected", "subject", "payload")
    yield from _kinds("allergy", "recorded corrected", "subject", "payload")
    yield from _kinds("consent", "given withdrawn", "subject")
    yield from _kinds("visit", "recorded planned closed cancelled", "subject")
    yield from _kinds("care_team", "joined left handed_over", "subject")
    yield from _kinds("reminder", "sent", "subject", "payload")
    yield from _kinds("import", "started finished", "payload")
    yield from _kinds("import", "stage_done", "payload", payload=("run", "stage"))


def _care() -> Iterator[Kind]:
    yield from _kinds("target", "signed superseded", "subject", "payload")
    yield from _kinds("boundary", "signed superseded withdrawn", "subject", "payload")
    yield from _kinds("alert_limits", "signed", "subject", "payload")
    yield from _kinds("operating_mode", "set", "payload")
    yield from _kinds("automation", "paused resumed", "subject", "reason_code")
    yield from _kinds("window", "closed", "subject", "payload")
    yield from _kinds("recommendation", "proposed", "subject", "payload", "model")
    yield from _kinds("recommendation", "routed reevaluated", "subject", "payload")
    yield from _kinds("recommendation", "withheld rejected recalled withdrawn", "subject", "reason_code")
    yield from _kinds("recommendation", "modified", "subject", "reason_code", "payload")
    yield from _kinds("recommendation", "approved delivered accepted declined expired done", "subject")
    yield from _kinds("recommendation", "escalated_to_clinician", "subject")
    yield from _kinds(
        "recommendation", "answered", "payload", payload=("case", "kind")
    )  # of a probe: none stands behind
    yield from _kinds("probe", "begun", "payload", payload=("library", "least_gap", "most_gap"))
    yield from _kinds("probe", "placed", "payload", payload=("case", "library", "person"))
    yield from _kinds("decide_first", "begun", "payload", payload=("rules", "permille"))
    yield from _kinds("decide_first", "answered", "subject", "payload", payload=("recommendation", "answer"))
    yield from _kinds("order", "written recalled", "subject", "payload")
    yield from _kinds("alert", "raised", "subject", "reason_code", "payload")
    yield from _kinds("alert", "coalesced acknowledged escalated delivered", "subject")
    yield from _kinds("alert", "disposed", "subject", "reason_code")
    yield from _kinds("danger_lock", "set lifted", "subject", "reason_code")
    yield from _kinds("card", "raised closed", "subject", "reason_code")
    yield from _kinds("message", "sent read", "subject")
    yield from _kinds("review", "seeded", "payload", payload=("seed", "rules"))
    yield from _kinds(
        "review", "drawn", "payload", payload=("seed", "rules", "population", "population_sha256", "drawn")
    )
    yield from _kinds("review", "read", "subject", "payload")
    yield from _kinds("review", "concluded", "subject", "payload")


def _devices() -> Iterator[Kind]:
    yield from _kinds("device", "enrolled")
    yield from _kinds("device", "revoked lost assigned unassigned suspended")
    yield from _kinds("batch", "rejected replayed", "reason_code")


def _people() -> Iterator[Kind]:
    yield from _kinds("account", "created disabled enabled locked unlocked password_changed mfa_changed")
    yield from _kinds("role", "granted revoked", "payload")
    yield from _kinds("invitation", "made accepted", "payload")
    yield from _kinds("staff", "invited joined left")
    yield from _kinds("carer", "invited joined left", "subject")
    yield from _kinds("login", "succeeded")
    yield from _kinds("login", "failed", "reason_code")
    yield from _kinds("logout", "done")
    yield from _kinds("session", "ended", "reason_code")
    yield from _kinds(
        "credential", "enrolled", "payload", payload=("user", "credential_id", "public_key", "aaguid", "method")
    )
    yield from _kinds("credential", "confirmed", "payload", payload=("user", "credential_id", "public_key", "method"))
    yield from _kinds("credential", "revoked", "payload", "reason_code", payload=("user", "credential_id", "method"))
    yield from _kinds("return", "opened used", "payload")
    yield from _kinds("token", "issued revoked")
    yield from _kinds("access", "read")
    yield from _kinds("access", "denied", "reason_code")
    yield from _kinds("access", "break_glass", "subject", "reason_code")
    yield from _kinds("break_glass", "alarmed", "subject", "payload", payload=("told",))
    yield from _kinds("break_glass", "ended", "subject", "reason_code")
    yield from _kinds("break_glass", "reviewed", "subject", "reason_code", "payload")
    yield from _kinds("command", "denied", "reason_code")
    yield from _kinds("signature", "made", "esign")
    yield from _kinds("signature", "checked", "payload", payload=("rows", "faults"))
    yield from _kinds("site", "founded")
    yield from _kinds("contact", "added confirmed ended", "payload", payload=("user", "channel"))
    yield from _kinds("shift", "added covered called_off", "payload", payload=("rung", "user", "starts", "ends"))
    yield from _kinds("notice", "planned accepted delivered", "payload", payload=("kind", "about", "user", "channel"))
    yield from _kinds("notice", "failed", "payload", "reason_code", payload=("kind", "about", "user", "channel"))
    yield from _kinds("notice", "nobody", "reason_code", "payload", payload=("kind", "about"))


def _governance() -> Iterator[Kind]:
    yield from _kinds("policy", "drafted signed activated superseded withdrawn", "payload")
    yield from _kinds("approval", "requested given refused withdrawn voided expired carried_out", "payload")
    yield from _kinds("suspension", "set end_asked lifted", "reason_code")
    yield from _kinds("finding", "raised seen_again owned action_recorded checked closed reopened", "payload")
    yield from _kinds("incident", "reported_here assessed reported closed", "payload")
    yield from _kinds("adverse_event", "recorded", "subject", "payload")
    yield from _kinds("autonomy", "gate_asked gate_signed measured", "payload")
    yield from _kinds("autonomy", "raised lowered", "reason_code", "payload")
    yield from _kinds("suspension", "drilled", "payload", payload=("workers", "seconds", "held"))
    yield from _kinds("model", "registered approved activated deactivated rolled_back withdrawn", "model")
    yield from _kinds("families", "sealed", "payload", payload=("custodians", "commitments", "tables"))
    yield from _kinds("model", "refused", "model", "reason_code")


def _log() -> Iterator[Kind]:
    yield from _kinds("log", "genesis", "payload", payload=("origin", "vkey"))
    yield from _kinds("log", "key_rotated", "payload", payload=("old", "new"))
    yield from _kinds("log", "verified backed_up restored", "payload")
    yield from _kinds("log", "drift_seen", "payload", payload=("found",))
    yield from _kinds("key", "created rotated revoked")
    yield from _kinds("key", "destroyed", "reason_code")
    yield from _kinds("payload", "shredded", "reason_code")
    yield from _kinds("hold", "placed released", "reason_code", "payload", payload=("approver", "basis"))
    yield from _kinds(
        "retention", "purged", "reason_code", "payload", payload=("class", "count", "digest", "keep_days", "policy")
    )
    yield from _kinds("segment", "sealed", "reason_code", "change", "payload", payload=("archive", "start", "stop"))
    yield from _kinds("segment", "detached", "payload", payload=("archive", "start", "stop"))
    yield from _kinds("export", "asked made", "payload")
    yield from _kinds("dataset", "reidentified", "subject", "reason_code", "payload", payload=("pseudonym", "reason"))
    yield from _kinds("export", "disclosed", "subject", "payload")
    yield from _kinds("export", "handed_out", "payload")


REGISTRY: dict[str, Kind] = {
    kind.name: kind for family in (_record, _care, _devices, _people, _governance, _log) for kind in family()
}


def kind_named(name: str) -> Kind:
    """The registered kind, or UnknownKind. Unknown means no."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UnknownKind(name) from None
