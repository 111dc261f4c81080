"""Rows that ride with an entry: written in the entry's own statement, after it, each naming it in its column `entry`.

The rules
 * The order is data's: pending row, then the version, then the rows as they were given. A row's triggers see the entry
   and the rows before it. When the version is not free no row is written.
 * A row is what its model would insert: the same columns and values, `entry` alone filled in by the database. Model
   signals and `save` are not called; a default that the database computes cannot ride (CannotRide, the caller's bug).
 * Until the statement has answered, a row is new; then it has its entry, and its number where the database counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models

_LENGTH = re.compile(r"\([0-9, ]+\)")
ENTRY = "entry"


class CannotRide(Exception):
    """A bug of the caller's: the model has no column `entry`, or a value that only its own insert can make."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How rows of a model are written: their table, columns, types and fields; `counted` is a number it draws."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    fields: tuple[models.Field[Any, Any], ...]
    counted: str | None


def models_of(rows: Sequence[models.Model]) -> tuple[type[models.Model], ...]:
    """What shapes the statement: the models of the rows, in order."""
    return tuple(type(row) for row in rows)


def values(rows: Sequence[models.Model]) -> dict[str, Any]:
    """The rows' values under the names that `written` gives them."""
    found: dict[str, Any] = {}
    connection = connections[DEFAULT_DB_ALIAS]  # for its kind only, which is the same for all of ours
    for place, row in enumerate(rows):
        for at, field in enumerate(_shape(type(row)).fields):
            value = field.get_db_prep_save(field.pre_save(row, add=True), connection=connection)
            if hasattr(value, "resolve_expression"):
                raise CannotRide(f"{field} has a value that the database computes")
            found[_name(place, at)] = value
    return found


def written(kinds: Sequence[type[models.Model]], *, after: str) -> tuple[list[str], list[str]]:
    """The parts of the statement that write rows of these models after `after`, which has the entry's id as `entry_id`;
    and for each row what answers its number.
    """
    parts, numbers = [], []
    for place, kind in enumerate(kinds):
        shape, name = _shape(kind), f"row{place}"
        given = ", ".join(f"%({_name(place, at)})s::{of}" for at, of in enumerate(shape.types))
        number = shape.counted or "NULL::bigint"
        parts.append(
            f"{name} AS (INSERT INTO {shape.table} ({', '.join(shape.columns)}, {ENTRY})"  # noqa: S608  (our names)
            f" SELECT {given}, entry_id FROM {after} RETURNING {ENTRY} AS entry_id, {number} AS number)"
        )
        numbers.append(f"(SELECT number FROM {name})")  # noqa: S608  (our names)
        after = name
    return parts, numbers


def settle(rows: Sequence[models.Model], *, entry: UUID, numbers: Sequence[int | None], using: str) -> None:
    """The rows are written: they have their entry, and are new no more."""
    for row, number in zip(rows, numbers, strict=True):
        setattr(row, ENTRY, entry)
        if number is not None:
            row.pk = number
        row._state.adding, row._state.db = False, using  # noqa: SLF001  (as Django's own bulk insert)


def _name(place: int, at: int) -> str:
    return f"r{place}_{at}"


@lru_cache(maxsize=256)
def _shape(model: type[models.Model]) -> _Shape:
    connection = connections[DEFAULT_DB_ALIAS]

    def quote(name: str | None) -> str:
        return connection.ops.quote_name(name or "")

    meta = model._meta  # noqa: SLF001  (Django documents it)
    counted = None
    fields = []
    for field in meta.local_concrete_fields:
        if isinstance(field, models.AutoField):
            counted = quote(field.column)
        elif field.name != ENTRY:
            fields.append(field)
    if meta.parents or not any(field.name == ENTRY for field in meta.local_concrete_fields):
        raise CannotRide(f"{model.__name__} has no column {ENTRY} of its own")
    return _Shape(
        table=quote(meta.db_table),
        columns=tuple(quote(field.column) for field in fields),
        types=tuple(_LENGTH.sub("", field.db_type(connection) or "") for field in fields),
        fields=tuple(fields),
        counted=counted,
    )


__all__ = ["CannotRide", "models_of", "settle", "values", "written"]
