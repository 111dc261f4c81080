"""One bypass of one control, tried: what is done, and by which name it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import Any

from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.http import HttpResponse

from governance.domain import Refusal
from tests.authority.house import House, asked_at_commit, may_hold_durable, undone


class Bypass(StrEnum):
    """Every way around (PEERS 0 item 2: every path; SECURITY 2.3)."""

    PAGE = "a page's form, sent by who may not"
    API = "the programs' door, by who may not"
    COMMAND = "management command"
    BULK_UPDATE = "bulk update"
    RAW_SQL = "raw SQL as the application's role"
    ADMIN_ACTION = "admin action"
    SHELL = "shell"
    FORGED_TASK = "task with forged arguments"
    REPLAYED_TOKEN = "replayed token"
    STALE_FORM = "stale form"
    EXPIRED_APPROVAL = "expired approval"
    SWAPPED_OBJECT = "swapped object"
    DOWNGRADED_MFA = "downgraded MFA"
    FORGED_CLIENT = "forged client id"


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: what is done, and the name (a pattern) under which it is refused.

    An act that refuses by doing nothing says so itself, in words.
    """

    what: str
    act: Callable[[House], object]
    named: str


@dataclass(frozen=True, slots=True)
class NotHere:
    """Why a bypass is none of this control's."""

    reason: str


THROUGH = "went through"


def answer_to(one: Try, house: House) -> str:
    """What came of an attempt: the name of its refusal, or that it went through. Nothing of it stays."""
    cache.clear()
    with undone():
        try:
            with may_hold_durable():
                got = one.act(house)
                asked_at_commit()
        except Refusal as refusal:
            return f"{refusal.code}: {refusal.detail} {refusal.extra}"
        except CommandError as refusal:
            return f"command: {refusal}"
        except DatabaseError as refusal:
            return "database: " + str(refusal).partition("\n")[0]
    if isinstance(got, str):
        return got
    return _said(got) if isinstance(got, HttpResponse) else THROUGH


def refused_by_name(one: Try, house: House) -> str:
    """Empty where the attempt is refused by its name; else what came instead."""
    said = answer_to(one, house)
    return "" if re.search(one.named, said) else f"{one.what}: {said!r}, not {one.named!r}"


def _said(answer: HttpResponse) -> str:
    """A page or the API's answer: its status, where it sends, and how it names the refusal."""
    where = answer.headers.get("Location", "")
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    text = body.decode(errors="replace")
    code = re.search(r'"code": ?"(\w+)"', text)
    page = re.search(r"<main.*?</main>", text, re.DOTALL)
    named = code.group(1) if code else re.sub(r"<[^>]+>|\s+", " ", page.group(0)).strip()[:600] if page else ""
    return f"{answer.status_code} {where} {named}".strip()


def sql(statement: str, *values: object) -> None:
    """A statement as the application's own role; it has to touch something, else it proves nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount != 0, f"nothing was touched by {statement}"


def command(name: str, *arguments: Any, **options: Any) -> None:
    """A management command, without a terminal."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            call_command(name, *map(str, arguments), stdout=StringIO(), stderr=StringIO(), **options)
        except SystemExit as ended:
            raise CommandError(f"ended with {ended.code}") from ended


def each(tries: tuple[Try, ...] | NotHere) -> Iterator[Try]:
    """The attempts of a cell."""
    yield from () if isinstance(tries, NotHere) else tries
