"""Ways around that several controls share, made for each: a forged row, a proof used elsewhere, what went stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from tests.authority.house import House
from tests.authority.paths import Control, caught
from tests.authority.trying import Try, command, sql

FORGED = "without an entry|no entry of|not signed|signed over|is not its own|does not follow"


def row(what: str, statement: str, *names: str, named: str = FORGED) -> Try:
    """A row made up or moved by SQL; `names` are people of the house, or objects that are under way."""

    def act(house: House) -> None:
        sql(statement, *(house.hospital.people[n].pk if n in house.hospital.people else house.own[n].pk for n in names))

    return Try(what, act, named)


def run(what: str, name: str, *arguments: str, named: str = "command: not_allowed") -> Try:
    """A command; an argument in braces is an object of the house, or a person's user name."""

    def act(house: House) -> None:
        people = {who: user.username for who, user in house.hospital.people.items()}
        objects = {kind: thing.pk for kind, thing in house.own.items() if hasattr(thing, "pk")}
        command(name, *(one.format(**people | objects) for one in arguments))

    return Try(f"{name}: {what}", act, named)


def kept_apart(control: Control, house: House) -> Any:
    """The proof of the control's act, of which nothing else stayed."""
    before = transaction.savepoint()
    proof = caught(control, house, house.own)
    transaction.savepoint_rollback(before)
    return proof


def given_elsewhere(control: Control) -> Try:
    """A proof over one's own object, for a foreign one."""

    def act(house: House) -> object:
        by = replace(control.who(house), hand=None, proof=kept_apart(control, house))
        return control.act(house, by, house.foreign, house.now)

    return Try("the proof over another object", act, "signature_not_taken|not_found|second_person_needed")


def gone_stale(control: Control, change: Callable[[House], object], named: str) -> Try:
    """What was looked at, and signed where it is signed, sent after something changed under it."""

    def act(house: House) -> object:
        by = control.who(house)
        if control.signed:
            by = replace(by, hand=None, proof=kept_apart(control, house))
        change(house)
        return control.act(house, by, house.own, house.now)

    return Try("after something changed", act, named)


def too_late(control: Control, when: Callable[[House], datetime], named: str) -> Try:
    """The same act after the end of what it rests on."""

    def act(house: House) -> object:
        at = when(house)
        return control.act(house, control.who(house, now=at), house.own, at)

    return Try("after its time", act, named)
