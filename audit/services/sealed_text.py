"""A column of text that is kept sealed under the key of the person it is about, and reads like any other (SECURITY
1.3).

Rules
 * Assigned and saved as plain text, stored as `personal.seal` makes it: bound to table, column, row and key. What says
   nothing (`""`) is stored as nothing; null stays null.
 * A row read from the database opens its texts when the first of them is asked for, and with it the rows this thread
   has read and not opened yet: one question for all their keys. A text whose key is destroyed reads as empty.
 * What must be found by value has a `BlindIndex` beside it: `exact` and `iexact` are asked of that. No other question
   can be asked of a sealed column, and `update()` cannot write one: a text is sealed with its row.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from operator import attrgetter
from typing import Any

from django.core.exceptions import FieldError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.lookups import Exact, IExact
from django.db.models.query_utils import DeferredAttribute

from audit.services import personal

TOGETHER = 256  # how many rows are opened with one question at most


class Sealed:
    """A text as it lies in the database. Shown anywhere it says that it is sealed, and nothing else."""

    __slots__ = ("held",)

    def __init__(self, held: bytes) -> None:
        self.held = held

    def __str__(self) -> str:
        return "(sealed)"


_read = threading.local()


def _waiting() -> deque[weakref.ref[models.Model]]:
    """The rows this thread has read and not opened, newest last."""
    if not hasattr(_read, "rows"):
        _read.rows = deque(maxlen=TOGETHER)
    rows: deque[weakref.ref[models.Model]] = _read.rows
    return rows


class _Opened(DeferredAttribute):
    """The attribute of a row: plain text, opened when it is first asked for."""

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        if instance is None:
            return self
        name = self.field.attname
        if isinstance(instance.__dict__.get(name), Sealed):
            _open_with_others(instance)
        return super().__get__(instance, cls)

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value
        if isinstance(value, Sealed):
            rows = _waiting()
            if not rows or rows[-1]() is not instance:
                rows.append(weakref.ref(instance))


def _table(of: models.Model | type[models.Model]) -> str:
    return of._meta.db_table  # noqa: SLF001


def _alias(row: models.Model) -> str:
    return row._state.db or DEFAULT_DB_ALIAS  # noqa: SLF001


def _sealed_of(row: models.Model) -> dict[str, tuple[SealedText, bytes]]:
    found = {}
    for field in row._meta.concrete_fields:  # noqa: SLF001  (the library's own name for it)
        value = row.__dict__.get(field.attname)
        if isinstance(field, SealedText) and isinstance(value, Sealed):
            found[field.attname] = (field, value.held)
    return found


def _open_with_others(row: models.Model) -> None:
    """Open what is sealed of this row, and of the others this thread has read from the same database."""
    alias = _alias(row)
    rows, together = _waiting(), [row]
    later: list[models.Model] = []
    while rows:
        other = rows.popleft()
        found = other()
        if found is not None and found is not row and _sealed_of(found):
            (together if _alias(found) == alias else later).append(found)
    rows.extend(weakref.ref(each) for each in later)
    try:
        _open(together, alias)
    except personal.FieldUnsound:
        _open([row], alias)  # what is wrong with another row is said where that one is asked


def _open(rows: list[models.Model], alias: str) -> None:
    parts = [(row, name, field, held) for row in rows for name, (field, held) in _sealed_of(row).items()]
    sealed = [
        personal.SealedRow(_table(row), field.row_of(row), {field.in_table: held}) for row, _, field, held in parts
    ]
    for (row, name, field, _), opened in zip(parts, personal.open_many(sealed, using=alias), strict=True):
        said = opened[field.in_table] if opened is not None else None
        row.__dict__[name] = said or ""


class SealedText(models.CharField):  # type: ignore[type-arg]
    """Text sealed for a person. `subject` is the attribute that names the person (`pk`, `patient_id`), `row` the one
    that names the row (`pk` where the key is drawn by us, else `entry`); `index` names the `BlindIndex` beside it.
    """

    descriptor_class = _Opened

    def __init__(self, *args: Any, subject: str = "pk", row: str = "pk", index: str = "", **more: Any) -> None:
        self.subject, self.row, self.index = subject, row, index
        super().__init__(*args, **more)

    def deconstruct(self) -> Any:
        """With what it is sealed for."""
        name, path, args, more = super().deconstruct()
        return name, path, args, more | {"subject": self.subject, "row": self.row, "index": self.index}

    @property
    def in_table(self) -> str:
        """The name of the column, as the seal has it."""
        return str(self.column)

    def row_of(self, instance: models.Model) -> str:
        """What names this row in the seal."""
        return str(attrgetter(self.row)(instance))

    def db_type(self, connection: Any) -> str:
        """Bytes."""
        return "bytea"

    def get_internal_type(self) -> str:
        """As the database sees it."""
        return "BinaryField"

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> Sealed | str | None:
        """Sealed until its row is asked."""
        if value is None:
            return None
        held = bytes(value)
        return Sealed(held) if held else ""

    def to_python(self, value: Any) -> Any:
        """Text; what is sealed stays so."""
        return value if isinstance(value, Sealed) else super().to_python(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> bytes | None:
        """Seal the text for its person, in the transaction of the row."""
        value = model_instance.__dict__.get(self.attname)
        if isinstance(value, Sealed):
            return value.held
        if value is None:
            return None
        if value == "":
            return b""
        sealed = personal.seal(
            str(attrgetter(self.subject)(model_instance)),
            table=_table(model_instance),
            row_id=self.row_of(model_instance),
            values={self.in_table: str(value)},
            using=_alias(model_instance),
        )
        return sealed[self.in_table]

    def get_prep_value(self, value: Any) -> Any:
        """What goes into a statement: bytes that were sealed, and no text."""
        if isinstance(value, Sealed):
            return value.held
        if value is None or isinstance(value, bytes | memoryview):
            return value
        if value == "":
            return b""
        if callable(getattr(value, "resolve_expression", None)):
            return value
        raise FieldError(f"{self.name} is sealed with its row: save the row, and look for it by its blind index")

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """As the database takes bytes."""
        value = value if prepared else self.get_prep_value(value)
        return connection.Database.Binary(value) if isinstance(value, bytes) else value

    def get_lookup(self, lookup_name: str) -> Any:
        """`exact` and `iexact` where there is an index, `isnull`, and nothing else."""
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        if self.index and lookup_name in ("exact", "iexact"):
            return _ByIndex if lookup_name == "exact" else _ByIndexAnyCase
        raise FieldError(f"{self.name} is sealed: it cannot be looked for by {lookup_name}")


class BlindIndex(models.BinaryField):  # type: ignore[type-arg]
    """The blind index of the text in the field `of`, case and inner space disregarded; null where it says nothing."""

    def __init__(self, *args: Any, of: str, **more: Any) -> None:
        self.of = of
        super().__init__(*args, **more)

    def deconstruct(self) -> Any:
        """With what it is the index of."""
        name, path, args, more = super().deconstruct()
        return name, path, args, more | {"of": self.of}

    def index_of(self, table: str, value: str) -> bytes:
        """The index of this value."""
        return personal.blind_index(f"{table}.{self.of}", value, fold=True)

    def pre_save(self, model_instance: models.Model, add: bool) -> bytes | None:
        """Drawn from the text as it is saved."""
        value = getattr(model_instance, self.of)
        return self.index_of(_table(model_instance), value) if value else None


class _Found:
    """The question, asked of the blind index of the same row."""

    lhs: Any
    rhs: Any

    def get_prep_lookup(self) -> Any:
        """The index of what is looked for."""
        return _index_of(self.lhs.target).index_of(_table(self.lhs.target.model), str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """`index = …`."""
        table = compiler.quote_name_unless_alias(self.lhs.alias)
        column = connection.ops.quote_name(_index_of(self.lhs.target).column)
        return f"{table}.{column} = %s", [connection.Database.Binary(self.rhs)]


class _ByIndex(_Found, Exact):  # type: ignore[misc]
    """`exact`."""


class _ByIndexAnyCase(_Found, IExact):  # type: ignore[misc]
    """`iexact`."""


def _index_of(field: SealedText) -> BlindIndex:
    found = field.model._meta.get_field(field.index)  # noqa: SLF001
    if not isinstance(found, BlindIndex):
        raise FieldError(f"{field.index} is no blind index")
    return found
