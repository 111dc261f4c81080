"""Database addresses as people write them, `postgresql://user:password@host:port/name?option=value`, for Django."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = frozenset({"postgres", "postgresql"})


class BadAddress(Exception):
    """The text is no PostgreSQL address; the message says which part. It never repeats the password."""


def read_address(text: str, *, variable: str) -> dict[str, Any]:
    """Turn one address into Django's `DATABASES` entry. A `host` option names a socket folder, as in libpq."""
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        raise BadAddress(f"{variable} must start with postgresql://, it starts with {parts.scheme or 'nothing'}://")
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise BadAddress(f"{variable} names no database")
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", unquote(parts.hostname or "")),
        "PORT": options.pop("port", str(parts.port or "")),
        "OPTIONS": options,
    }
