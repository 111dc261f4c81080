"""What a cell of the access matrix must be: derived from its row and from the table of permissions, and judged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.client import ClientHandler

from governance.domain import Permission, Relation, Role
from governance.permissions import TABLE
from governance.services.tokens import PATIENT_SCOPE, STAFF_SCOPE
from tests.access.cast import PHONE_ROLES, Cast, Who
from tests.access.rows import KINDS, TEAM, Gate, Kind, Row
from tests.access.walking import ADMIN, Route

SCOPE = {Gate.API: STAFF_SCOPE, Gate.PHONE: PATIENT_SCOPE}
HANDLER = ClientHandler(enforce_csrf_checks=False)
OBJECTS = ("own", "foreign", "missing", "malformed")
STRAY = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SENT = {
    "nobody",
    "clinician",
    "clinician's app for staff",
    "administrator",
    "patient",
    "patient's app for patients",
}  # who tries the stray methods
_TOKEN = re.compile(rb'(csrfmiddlewaretoken" value="|csrf-token" content="|X-CSRFToken[^:]*: ?\\?")[^"\\]*')


class Cell(Enum):
    """How somebody is answered."""

    LET_IN = "let in"
    SIGN_IN = "sent to sign in"
    UNKNOWN = "401"
    ENROL = "sent to enrol a second factor"
    NOT_ALLOWED = "403"
    NOTHING = "404"
    NO_METHOD = "405"
    UNREADABLE = "400"
    SHUT = "shut to everybody"


@dataclass(frozen=True, slots=True)
class Asked:
    """One cell: who asks for what, by which method."""

    route: Route
    row: Row
    method: str
    who: Who
    whose: str  # own, foreign, missing, malformed; empty where no object is named

    def __str__(self) -> str:
        return f"{self.method} {self.route.path} [{self.whose}] by {self.who.name}"


def cells(route: Route, row: Row, people: list[Who]) -> Iterator[Asked]:
    """Every cell of a route: each method it takes for everybody and every object, the others for a few.

    Pages know no tokens: there two apps stand for all. What stands in the admin is shut alike, whatever the object.
    """
    objects = _objects(route, row)
    for who in people:
        if who.by == "token" and row.gate not in (Gate.API, Gate.PHONE) and who.name not in SENT:
            continue
        if row.few and who.name not in SENT:
            continue
        for whose, method in product(objects, row.needs):
            alike = method == "HEAD" or whose == "malformed" or _too_small(row, who)
            if alike and who.name not in SENT and (whose != objects[0] or method == "HEAD"):
                continue  # HEAD goes the way of GET; no address is one for nobody; a scope is asked before the object
            yield Asked(route, row, method, who, whose)
        if who.name in SENT and row.gate is not Gate.NOBODY:
            for method in STRAY + tuple({"GET", "POST"} - set(row.needs)):
                yield Asked(route, row, method, who, objects[0])


def _too_small(row: Row, who: Who) -> bool:
    return who.by == "token" and row.gate in (Gate.API, Gate.PHONE) and who.scope != SCOPE[row.gate]


def _objects(route: Route, row: Row) -> tuple[str, ...]:
    if not row.of:
        return ("",)
    if row.gate is Gate.NOBODY:
        return ("own",)
    return ("own", "missing") if KINDS[row.of] is Kind.OPEN else OBJECTS


def expected(asked: Asked) -> Cell:
    """What the table says of this cell."""
    row, who = asked.row, asked.who
    in_api = asked.route.path.startswith("/api/")
    unreadable = asked.whose == "malformed" and asked.route.takes_ids
    if who.one_factor and (unreadable or not row.enrolment):
        return Cell.NOT_ALLOWED if in_api else Cell.ENROL
    if row.gate is Gate.NOBODY:
        return Cell.SHUT
    if unreadable and KINDS[row.of] is not Kind.OPEN:
        return Cell.NOTHING
    door = {Gate.API: _program, Gate.PHONE: _program, Gate.DEVICE: _device}.get(row.gate, _page)
    return door(asked) or _permitted(asked)


def _page(asked: Asked) -> Cell | None:
    row, who = asked.row, asked.who
    if row.asks_first and who.by != "session":
        return Cell.SIGN_IN
    if asked.method not in row.needs:
        return Cell.NO_METHOD
    if row.gate is Gate.ANYBODY:
        return Cell.NOTHING if row.of == "challenge" and who.by != "session" else None
    if who.by != "session":
        return Cell.SIGN_IN
    staff = who.role is not None and who.role not in PHONE_ROLES
    return Cell.NOT_ALLOWED if row.gate is Gate.STAFF and not staff else None


def _program(asked: Asked) -> Cell | None:
    row, who = asked.row, asked.who
    if who.by not in ("session", "token"):
        return Cell.UNKNOWN
    if _too_small(row, who):
        return Cell.NOT_ALLOWED
    if row.gate is Gate.API and (who.role is None or who.role in PHONE_ROLES):
        return Cell.NOT_ALLOWED
    if row.gate is Gate.PHONE and asked.whose == "malformed":
        return Cell.UNREADABLE
    if asked.method not in row.needs:
        return Cell.LET_IN if asked.method == "OPTIONS" else Cell.NO_METHOD
    if row.gate is Gate.PHONE and row.needs[asked.method] and who.role not in PHONE_ROLES:
        return Cell.NOT_ALLOWED
    return None


def _device(asked: Asked) -> Cell | None:
    if asked.method not in asked.row.needs:
        return Cell.LET_IN if asked.method == "OPTIONS" else Cell.NO_METHOD
    return None if asked.who.by == "device" else Cell.SHUT


def _permitted(asked: Asked) -> Cell:
    """By role, then by what ties them to the object: a foreign one and none are the same."""
    row, who = asked.row, asked.who
    needs = row.needs[asked.method]
    if needs and not any((need, who.role) in TABLE for need in needs):
        return Cell.NOT_ALLOWED
    if not row.of or KINDS[row.of] is Kind.OPEN:
        return Cell.LET_IN
    of_site = any(Relation.SITE in TABLE.get((need, who.role), TEAM - TEAM) for need in needs)  # type: ignore[arg-type]
    if KINDS[row.of] is Kind.SITE and needs and not of_site:
        return Cell.NOT_ALLOWED
    if asked.whose == "missing":
        return Cell.NOTHING
    mine = asked.whose == "own" and (KINDS[row.of] is Kind.PERSON or _tied(needs, who.role))
    return Cell.LET_IN if mine or KINDS[row.of] is Kind.SITE else Cell.NOTHING


def _tied(needs: tuple[Permission, ...], role: Role | None) -> bool:
    """Whether being in the team, the patient, or their carer is what the permission asks of this role."""
    mine = {Role.PATIENT: Relation.OWN, Role.CARER: Relation.CARER_OF}.get(role, Relation.CARE_TEAM)  # type: ignore[arg-type]
    return not needs or any(mine in TABLE.get((need, role), TEAM - TEAM) for need in needs)  # type: ignore[arg-type]


# -- what the house says -----------------------------------------------------------------------------------------------


def send(cast: Cast, asked: Asked) -> Any:
    """Ask, and take back whatever it did."""
    route, row, who = asked.route, asked.row, asked.who
    object_id = cast.object_id(row.of, who, asked.whose) if asked.whose else ""
    where = route.at(object_id)
    if row.gate is Gate.PHONE and row.of == "patient":
        where += f"?patient={object_id}"
    return knock(cast, who, asked.method, where, row.sends)


def knock(
    cast: Cast,
    who: Who,
    method: str,
    where: str,
    sends: Mapping[str, object],
    *,
    look: Callable[[], None] | None = None,
) -> Any:
    """One request by this person, whose effects are taken back; before that, `look` may see them."""
    cache.clear()
    client = cast.clients.get(who.name) or Client()
    client.handler = HANDLER  # it looks for static files once, not once for each browser
    client.raise_request_exception = False
    cookies = client.cookies.copy()
    body, kind = b"", "application/octet-stream"
    if method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
        body, kind = _body(where, sends)
    if who.by == "device":
        body, kind = cast.batch, "application/json"
    headers = cast.headers.get(who.name, {}) | {"Idempotency-Key": uuid4().hex}
    atomic = transaction.atomic()
    atomic._from_testcase = True  # as Django's own tests do: what is durable may stand inside
    with atomic:
        answer = client.generic(method, where, body, kind, headers=headers)
        if look is not None and not connection.needs_rollback:
            look()
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


def _body(where: str, sends: Mapping[str, object]) -> tuple[bytes, str]:
    if where.startswith("/api/"):
        return json.dumps(sends).encode(), "application/json"
    return urlencode({"key": uuid4().hex} | dict(sends)).encode(), "application/x-www-form-urlencoded"


def judged(answer: Any, asked: Asked) -> Cell | str:
    """Which cell this answer is, or what else it is."""
    status, where = answer.status_code, answer.headers.get("Location", "")
    if asked.who.one_factor and (status == 403 or where == "/security/"):
        return Cell.ENROL if status == 302 else Cell.NOT_ALLOWED
    if asked.row.gate in (Gate.NOBODY, Gate.DEVICE) and _shut(status, where):
        return Cell.NO_METHOD if status == 405 and asked.row.gate is Gate.DEVICE else Cell.SHUT
    if status in asked.row.ok:
        return Cell.LET_IN
    if status == 302 and where.startswith("/accounts/login/"):
        return Cell.SIGN_IN
    if status == 302 and where == "/security/" and asked.row.name != "security":
        return Cell.LET_IN
    if status == 401 and _code(answer) == "signature_needed":
        return Cell.LET_IN
    if status in asked.row.within and expected(asked) is Cell.LET_IN:
        return Cell.LET_IN
    fixed = {401: Cell.UNKNOWN, 403: Cell.NOT_ALLOWED, 404: Cell.NOTHING, 405: Cell.NO_METHOD}
    if status in fixed:
        return fixed[status]
    if status == 400 and asked.whose == "malformed":
        return Cell.UNREADABLE
    let_in = {200} if asked.method in ("GET", "HEAD") else {200, 201, 302, 303, 400, 409, 410, 422}
    return Cell.LET_IN if status in let_in else f"status {status}"


def _shut(status: int, where: str) -> bool:
    return status in (400, 401, 403, 404, 405) or (status == 302 and where.startswith(("/accounts/login/", ADMIN)))


def _code(answer: Any) -> str:
    is_json = answer.content and "json" in answer.headers.get("Content-Type", "")
    return str(answer.json().get("code", "")) if is_json else ""


def plain(answer: Any) -> bytes:
    """The answer's bytes without the token that every form carries."""
    body: bytes = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return re.sub(_TOKEN, rb"\1", body)
