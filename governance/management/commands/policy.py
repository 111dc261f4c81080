"""`manage.py policy list|propose|approve|withdraw`: what is in force, what is put forward, and who is missing."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from governance.domain import BadInput, Refusal, Role
from governance.management.signing import SigningCommand
from governance.models import Motion, PolicyVersion
from governance.policy_kinds import SITE, PolicyKind, choices_body
from governance.selectors import account_named
from governance.selectors.policies import PATHWAY, all_policies, motion_state
from governance.services import Acting, acting_person, approve_policy, propose_policy
from governance.services.quorum import withdraw


class Command(SigningCommand):
    """`policy propose tier_policy --file F --reason ... --by ada`, then `policy approve MOTION --by ...` by others."""

    help = "Put a policy forward, approve it, withdraw it; without words about one, list what is in force and waiting."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, about which, by whom."""
        parser.add_argument("act", choices=["list", "propose", "approve", "withdraw"])
        parser.add_argument("what", nargs="?", help="the kind to propose, or the motion to approve or withdraw")
        parser.add_argument(
            "--file", type=Path, help="propose: JSON, the options chosen by row, or every part of a mode"
        )
        parser.add_argument("--from", dest="starts", help="propose: ISO moment from which it holds; else its approval")
        parser.add_argument("--role", choices=[role.value for role in Role], help="approve: under which of your roles")
        parser.add_argument("--reason", default="", help="propose, withdraw: why")
        parser.add_argument("--by", help="user name of who does it")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        try:
            said = self._listed() if options["act"] == "list" else self._done(options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        words = said if isinstance(said, list) else [said]
        self.stdout.write(json.dumps(said) if options["as_json"] else "\n".join(_in_words(each) for each in words))

    def _listed(self) -> list[dict[str, Any]]:
        now = timezone.now()
        return [
            {
                "policy": line.ref,
                "in_force": line.in_force.version if line.in_force else None,
                "proposed": str(line.proposed.motion.pk) if line.proposed else None,
                "state": line.proposed.status.value if line.proposed else None,
            }
            for line in all_policies(now=now)
        ]

    def _done(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["what"] or not options["by"]:
            raise CommandError("Say which, and --by whom.")
        by = acting_person(account_named(options["by"]), now=timezone.now())
        motion, version = self.signed(lambda signer: _do(options, by=signer), by, options)
        state = motion_state(motion, now=timezone.now())
        return {
            "motion": str(motion.pk),
            "policy": f"{motion.content['kind']}:{motion.content['subject']}@{motion.content['version']}",
            "state": state.status.value,
            "in_force": version is not None,
            "missing": [{"roles": sorted(seat.roles), "count": seat.count} for seat in state.quorum.missing],
            "who_may": [f"{user.username} as {role.value}" for user, role in state.may],
        }


def _do(options: dict[str, Any], *, by: Acting) -> tuple[Motion, PolicyVersion | None]:
    now = timezone.now()
    if options["act"] == "propose":
        kind, subject, body = body_of(options["what"], options["file"])
        starts = parse_datetime(options["starts"]) if options["starts"] else None
        if options["starts"] and (starts is None or starts.tzinfo is None):
            raise BadInput("Write the moment as ISO 8601 with its zone.", field="from")
        put = propose_policy(kind, subject, body=body, reason=options["reason"], effective_from=starts, by=by, now=now)
        return put.motion, put.version
    motion_id = _identifier(options["what"])
    version = None
    if options["act"] == "approve":
        role = Role(options["role"]) if options["role"] else None
        version = approve_policy(motion_id, role=role, by=by, now=now)
    else:
        withdraw(motion_id, reason=options["reason"], by=by, now=now)
    return Motion.objects.get(pk=motion_id), version


def body_of(kind: str, file: Path | None) -> tuple[str, str, dict[str, Any]]:
    """Kind, subject and body of a policy written in a file: the parts of a mode, or the options chosen by row."""
    if kind not in set(PolicyKind):
        raise BadInput(f"{kind!r} is no kind of policy.", field="kind", known=[one.value for one in PolicyKind])
    if file is None:
        raise BadInput("Say in which file the policy stands.", field="file")
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise BadInput(f"{file} cannot be read as JSON.", field="file") from err
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise BadInput(f"{file} holds no object.", field="file")
    known = PolicyKind(kind)
    subject = SITE if known is PolicyKind.QUORUM_RULES else PATHWAY
    if known is PolicyKind.OPERATING_MODE or set(said) == {"choices", "rows_sha256"}:
        return kind, subject, said
    if not all(isinstance(value, str) for value in said.values()):
        raise BadInput("Name an option for each row.", field="file")
    return kind, subject, choices_body(known, said)


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as err:
        raise BadInput(f"{text!r} is not the identifier of a motion.", field="motion") from err


def _in_words(said: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said.items())
