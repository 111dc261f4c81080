"""Every route there is, from Django's own resolver: what has no row cannot hide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from django.urls import URLPattern, URLResolver, get_resolver

from tests.access.rows import Gate, Row, nobody

_PLACE = re.compile(r"<(?:(?P<type>\w+):)?(?P<name>\w+)>|\(\?P<(?P<regex>\w+)>[^)]*\)")


@dataclass(frozen=True, slots=True)
class Route:
    """One address with places for objects, and the name under which its row stands."""

    path: str
    name: str
    kinds: tuple[str, ...]

    @property
    def takes_ids(self) -> bool:
        """Whether the address names an object."""
        return bool(self.kinds)

    def at(self, object_id: object) -> str:
        """The address of this object."""
        return re.sub(_PLACE, quote(str(object_id), safe="%"), self.path)


def routes(resolver: URLResolver | None = None) -> tuple[Route, ...]:
    """Every route of the house, the admin's included; one address twice (Django answers only the first) once."""
    found: dict[str, Route] = {}
    for path, name in _walk(resolver or get_resolver()):
        kinds = tuple(match.group("type") or "str" for match in _PLACE.finditer(path))
        found.setdefault(path, Route(path, name or path, kinds))
    return tuple(found.values())


def _walk(resolver: URLResolver, before: str = "/", space: str = "") -> Iterator[tuple[str, str]]:
    for one in resolver.url_patterns:
        path = before + re.sub(r"^\^|\$$", "", str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _walk(one, path, f"{space}{one.namespace}:" if one.namespace else space)
        elif isinstance(one, URLPattern):
            yield path, f"{space}{one.name}" if one.name else ""


ADMIN = "/admin/"


def row_of(route: Route, rows: Mapping[str, Row]) -> Row | None:
    """The row of a route. The admin's own routes share one: they open for nobody, whatever is registered there."""
    if route.name in rows:
        return rows[route.name]
    if route.path.startswith(ADMIN):
        return nobody(route.name, get=(), post=(), of="admin" if route.takes_ids else "")
    return None


def without_row(found: tuple[Route, ...], rows: Mapping[str, Row]) -> list[str]:
    """Routes that nobody has said anything about."""
    return [f"{route.path} ({route.name})" for route in found if row_of(route, rows) is None]


def without_route(found: tuple[Route, ...], rows: Mapping[str, Row]) -> list[str]:
    """Rows of routes that are gone."""
    return sorted(set(rows) - {route.name for route in found})


__all__ = ["ADMIN", "Gate", "Route", "routes", "row_of", "without_route", "without_row"]
