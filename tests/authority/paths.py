"""The bypasses that are the same for every control: drawn from its routes, its tables and its act."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.contrib import admin
from django.db.models import F, Model
from django.test import Client

from audit.domain import Job
from governance.domain import Permission, Role, Standing
from governance.permissions import TABLE
from governance.services import Acting, acting_device
from governance.services.signing import Proof
from tests.access.rows import ROWS, Gate, Row
from tests.access.walking import Route, routes
from tests.authority.house import STAFF, House, job
from tests.authority.trying import Bypass, NotHere, Try, sql

Act = Callable[[House, Acting, Mapping[str, Any], datetime], object]
DENIED = "permission denied|only grows"
ROLE_OF = STAFF | {"admin": Role.ADMINISTRATOR, "clinician": Role.CLINICIAN, "pharmacist": Role.PHARMACIST}
ROLE_OF |= {"engineer": Role.ML_ENGINEER, "patient": Role.PATIENT}
NO_OBJECT = frozenset({"invitation", "way_back", "policy_kind"})  # named by text


@dataclass(frozen=True)
class Control:
    """One thing that is held (`holds`, in words): by which permissions, over which tables, by which act it is seen.

    `act` takes the house, who acts, the objects acted on (`own` or `foreign`) and the time; `doer` may do it.
    """

    key: str
    holds: str
    permissions: frozenset[Permission]
    tables: tuple[str, ...]
    act: Act
    doer: str
    signed: bool = True
    mine: dict[Bypass, tuple[Try, ...] | NotHere] = field(default_factory=dict)
    beside: dict[Bypass, tuple[Try, ...]] = field(default_factory=dict)  # more attempts where the common ones apply

    def cell(self, bypass: Bypass) -> tuple[Try, ...] | NotHere:
        """What is tried here: what this control says itself, else what is common to all."""
        if bypass in self.mine:
            return self.mine[bypass]
        tries = tuple(COMMON[bypass](self)) if bypass in COMMON else ()
        tries += self.beside.get(bypass, ())
        return tries or NotHere(NOTHING[bypass])

    def who(self, house: House, *, now: datetime | None = None) -> Acting:
        """Who may, with a hand that signs."""
        return house.acting(self.doer, now=now)


# -- pages and the programs' door --------------------------------------------------------------------------------------

PLACES: Mapping[str, Route] = {route.name: route for route in routes()}


def acting_routes(control: Control, *gates: Gate) -> Iterator[tuple[Row, str]]:
    """The addresses by which a control is acted on, with an object that is nobody's."""
    for row in ROWS.values():
        if row.gate in gates and set(row.needs.get("POST", ())) & control.permissions:
            made = "operating_mode" if row.of in NO_OBJECT else uuid4()
            yield row, PLACES[row.name].at(made)


def _lacks(name: str, row: Row) -> bool:
    return not any((need, ROLE_OF[name]) in TABLE for need in row.needs["POST"])


def pages(control: Control) -> Iterator[Try]:
    """Each form of the control, sent by somebody signed in whose role does not allow it."""
    for row, where in acting_routes(control, Gate.STAFF, Gate.OWN):
        who = next(name for name in ("outsider", "engineer", "admin", "auditor", "clinician") if _lacks(name, row))
        yield Try(f"POST {row.name} by {who}", _post(where, who), "^403 .*(role|record|signed|staff|app)")


def _post(where: str, who: str) -> Callable[[House], object]:
    return lambda house: house.browsers[who].post(where, {"key": uuid4().hex})


def _send(where: str, token: str) -> Callable[[House], object]:
    def act(house: House) -> object:
        headers = {"Authorization": f"Bearer {house.tokens.get(token, token)}", "Idempotency-Key": uuid4().hex}
        return Client().post(where, b"{}", content_type="application/json", headers=headers)

    return act


def doors(control: Control) -> Iterator[Try]:
    """Each address of the API, by an application whose person's role does not allow it."""
    for row, where in acting_routes(control, Gate.API, Gate.PHONE):
        token = "phone of staff" if row.gate is Gate.PHONE else "outsider"
        if row.gate is Gate.PHONE or _lacks("outsider", row):
            yield Try(f"POST {row.name} by {token}", _send(where, token), "^403 .*not_allowed")


def one_factor(control: Control) -> Iterator[Try]:
    """Everything that acts, by a clinician who has shown their password alone."""
    for row, where in acting_routes(control, Gate.STAFF, Gate.OWN, Gate.API, Gate.PHONE):
        named = "^403 .*second_factor_needed" if where.startswith("/api/") else "^302 /security/"
        yield Try(f"POST {row.name} with one factor", _post(where, "single"), named)


def forged_clients(control: Control) -> Iterator[Try]:
    """A token that nobody issued, one of another application's scope, and a good one at a door for browsers."""
    for row, where in acting_routes(control, Gate.API, Gate.PHONE):
        other = "staff" if row.gate is Gate.PHONE else "phone of staff"
        yield Try(f"POST {row.name} by a made-up token", _send(where, "made-up"), "^401 .*not_authenticated")
        yield Try(f"POST {row.name} by a token of another scope", _send(where, other), "^403 .*(scope|not_allowed)")
    for row, where in acting_routes(control, Gate.STAFF, Gate.OWN):
        yield Try(f"POST {row.name} by a token", _send(where, "staff"), "^302 /accounts/login/")


# -- the database ------------------------------------------------------------------------------------------------------


def model_of(table: str) -> type[Model]:
    """The class of a table."""
    return next(model for model in apps.get_models() if model._meta.db_table == table)


def _first(table: str) -> Any:
    """The first column: its identifier, or a part of it."""
    return next(one for one in model_of(table)._meta.concrete_fields if one.column)


def bulk(control: Control) -> Iterator[Try]:
    """Every row of every table of the control, by the ORM's bulk: written over, and taken away."""
    for table in control.tables:
        yield Try(f"{table} written over", _written_over(table), DENIED)
        yield Try(f"{table} deleted", _deleted(table), DENIED)


def _written_over(table: str) -> Callable[[House], object]:
    def act(_: House) -> object:
        model = model_of(table)
        return model._base_manager.all().update(**{_first(table).name: F(_first(table).name)})

    return act


def _deleted(table: str) -> Callable[[House], object]:
    def act(_: House) -> object:
        rows: Any = model_of(table)._base_manager.all()
        return rows._raw_delete("default")  # at once: `delete()` would look for what hangs on it first

    return act


def raw(control: Control) -> Iterator[Try]:
    """Rows rewritten, removed and cut off by SQL."""
    for table in control.tables:
        key = _first(table).column
        statements = (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE")
        for statement in statements:
            yield Try(statement, lambda _, said=statement: sql(said), DENIED)


def admins(control: Control) -> Iterator[Try]:
    """The admin's list and its actions, for each table, by an administrator with two factors."""
    registered = {model._meta.db_table for model in admin.site._registry}
    for table in control.tables:
        assert table not in registered, f"{table} stands in the admin"
        meta = model_of(table)._meta
        where = f"/admin/{meta.app_label}/{meta.model_name}/"
        sent = {"action": "delete_selected", "_selected_action": "1", "post": "yes"}
        yield Try(
            f"POST {where}", lambda house, at=where, s=sent: house.browsers["admin"].post(at, s), "^302 /admin/login"
        )


# -- this server itself ------------------------------------------------------------------------------------------------


def shells(control: Control) -> Iterator[Try]:
    """The service called from a shell: by a job, a device, an outsider, without a signature, under a lent role."""
    named = "not_allowed|not_found"
    for what, by in (("a job", job()), ("a device", acting_device("cuff-1"))):
        yield Try(f"by {what}", lambda house, by=by: control.act(house, by, house.own, house.now), named)
    yield Try("by an outsider", lambda house: control.act(house, house.acting("outsider"), house.own, house.now), named)
    if control.signed:
        unsigned: Callable[[House], object] = lambda house: control.act(  # noqa: E731
            house, replace(control.who(house), hand=None), house.own, house.now
        )
        yield Try("without a signature", unsigned, "signature_needed")
    yield Try(
        "by a job that lends itself a role",
        _lent(control),
        f"{named}|signature_needed|without an entry|no entry of|by event|without an event",
    )


def _lent(control: Control) -> Callable[[House], object]:
    def act(house: House) -> object:
        person = control.who(house)
        standing = Standing(person.standing.person_id, person.standing.roles | {Role.CLINICIAN})
        forged = Acting(Job("night", str(uuid4())), standing, user=person.user)
        return control.act(house, forged, house.own, house.now)

    return act


# -- signatures --------------------------------------------------------------------------------------------------------


def caught(control: Control, house: House, side: Mapping[str, Any]) -> Proof:
    """The proof of an act that was carried out and taken back: what somebody who listens would hold."""
    kept: list[Proof] = []
    who = control.who(house)
    hand = who.hand
    assert hand is not None

    def listening(asked: Any, now: datetime) -> Proof:
        kept.append(hand(asked, now))
        return kept[-1]

    control.act(house, replace(who, hand=listening), side, house.now)
    return kept[-1]


def replays(control: Control) -> Iterator[Try]:
    """The proof of an act given twice: the second time over the same thing."""
    if not control.signed:
        return

    def twice(house: House) -> object:
        proof = caught(control, house, house.own)
        again = replace(control.who(house), hand=None, proof=proof)
        return control.act(house, again, house.own, house.now)

    yield Try(
        "the same proof twice", twice, "signature_not_taken|already|over|not_now|not_found|duplicate|finding_not_there"
    )


def swaps(control: Control) -> Iterator[Try]:
    """Somebody else's object in place of one's own; and the proof over one thing given for another."""
    yield Try(
        "a foreign object",
        lambda house: control.act(house, control.who(house), house.foreign, house.now),
        "not_found|not_allowed|void|second|over",
    )


COMMON: Mapping[Bypass, Callable[[Control], Iterator[Try]]] = {
    Bypass.PAGE: pages,
    Bypass.API: doors,
    Bypass.BULK_UPDATE: bulk,
    Bypass.RAW_SQL: raw,
    Bypass.ADMIN_ACTION: admins,
    Bypass.SHELL: shells,
    Bypass.REPLAYED_TOKEN: replays,
    Bypass.SWAPPED_OBJECT: swaps,
    Bypass.DOWNGRADED_MFA: one_factor,
    Bypass.FORGED_CLIENT: forged_clients,
}
NOTHING: Mapping[Bypass, str] = {
    Bypass.PAGE: "no page acts on it",
    Bypass.API: "no address of the API acts on it",
    Bypass.COMMAND: "no command acts on it",
    Bypass.FORGED_TASK: "no task and no topic of the outbox names one of these",
}
