"""A body read against its serializer: clean values, or one refusal that names every field and what is wrong with it.

Rules
 * The refusal's own code is that of the first field, so that a program need look in one place.
 * Codes are ours and stable; the framework's words for the same thing are translated here, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rest_framework.serializers import Serializer

from governance.domain import BadInput

_OURS = {
    "required": "missing",
    "null": "null",
    "blank": "empty",
    "invalid": "wrong_type",
    "not_a_list": "wrong_type",
    "max_length": "too_long",
    "min_length": "too_short",
    "max_value": "out_of_range",
    "min_value": "out_of_range",
    "max_string_length": "out_of_range",
    "null_characters_not_allowed": "bad_text",
    "surrogate_characters_not_allowed": "bad_text",
}


class InputRefused(BadInput):
    """What was sent could be read but not taken. `errors` names each field, its code and a sentence."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        where = f"{first['field']}: " if first["field"] else ""
        super().__init__(f"{where}{first['detail']}", field=first["field"], errors=[dict(error) for error in errors])
        self.code = first["code"]


def read(serializer: type[Serializer[Any]], data: object, *, now: datetime, **context: Any) -> dict[str, Any]:
    """The values of `data` under the serializer, or `InputRefused`."""
    reader = serializer(data=data, context={"now": now, **context})
    if not reader.is_valid():
        raise InputRefused(list(_flat(reader.errors, "")))
    return dict(reader.validated_data)


def read_query(serializer: type[Serializer[Any]], params: Any, *, now: datetime) -> dict[str, Any]:
    """The values of a query string: each name once, and known."""
    repeated = [name for name in params if len(params.getlist(name)) > 1]
    if repeated:
        raise InputRefused([{"field": repeated[0][:60], "code": "duplicate_key", "detail": "Given twice."}])
    return read(serializer, params.dict(), now=now)


def _flat(errors: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            inside = "" if name in ("", "non_field_errors") else str(name)
            yield from _flat(inner, ".".join(part for part in (path, inside) if part))
    elif isinstance(errors, list | tuple):
        for place, inner in enumerate(errors):
            nested = isinstance(inner, Mapping)
            yield from _flat(inner, f"{path}.{place}" if nested else path)
    else:
        code = str(getattr(errors, "code", "bad_input"))
        yield {"field": path, "code": _OURS.get(code, code), "detail": str(errors)}
