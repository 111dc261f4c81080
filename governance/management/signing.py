"""Signing at the server's terminal: the record is shown there, and its person types password and code.

Rules (21 CFR 11.200; decision 50)
 * Whoever can run a command here is not thereby the person the command names. What is signed asks for both components.
 * They are typed at a terminal, hidden, and come by no argument, file, pipe or environment: a script signs nothing.
 * It says `password_totp`: attested by this application, like everything done at the server itself.
"""

from __future__ import annotations

import json
import sys
import termios
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TextIO, TypeVar

from django.core.management.base import BaseCommand
from django.utils import timezone

from governance.domain import Refusal
from governance.services import Acting
from governance.services.signing import SignatureNeeded, begin_assertion, finish_with_password

Done = TypeVar("Done")


class NoTerminal(Refusal):
    """Nobody is there to sign."""

    code = "signature_needed"


class SigningCommand(BaseCommand):
    """A command whose act is signed by the person it names."""

    stealth_options = ("terminal",)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """The help says that it asks."""
        parser: ArgumentParser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.epilog = "What is signed asks, at a terminal, for the password and the code of the person named by --by."
        return parser

    def signed(self, work: Callable[[Acting], Done], by: Acting, options: dict[str, Any]) -> Done:
        """Do `work`, signed by `by`, who is asked at the terminal once it is known what has to be signed."""
        try:
            return work(by)
        except SignatureNeeded as needed:
            terminal: TextIO = options.get("terminal") or sys.stdin
            if not terminal.isatty():
                raise NoTerminal("This has to be signed: run it at a terminal, where its person types.") from needed
            return work(replace(by, proof=self._proof(needed, by, terminal)))

    def _proof(self, needed: SignatureNeeded, by: Acting, terminal: TextIO) -> Any:
        user = by.person()
        self.stderr.write(json.dumps(dict(needed.asked.content), indent=2, sort_keys=True, ensure_ascii=False))
        self.stderr.write(f"{user.printed_name} {needed.asked.meaning}. Sign with password and code:")
        asked = begin_assertion(needed.asked, user=user, now=timezone.now())
        password, code = self._hidden("Password", terminal), self._hidden("Code", terminal)
        return finish_with_password(asked.pk, password=password, code=code, user=user, now=timezone.now())

    def _hidden(self, what: str, terminal: TextIO) -> str:
        self.stderr.write(f"{what}: ", ending="")
        self.stderr.flush()
        before = termios.tcgetattr(terminal)
        silent = list(before)
        silent[3] &= ~termios.ECHO
        try:
            termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
            return terminal.readline().rstrip("\n")
        finally:
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)
            self.stderr.write("")
