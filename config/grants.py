"""What the application may do with the tables a migration is about to make, said in any database, embedded or not."""

from typing import Any

import psycopg
from django.conf import settings

from config.embedded.postgres import grant_defaults


def grant_defaults_of_site() -> None:
    """As the owner, set the default rights of the application. Nothing to do when one role plays all parts."""
    roles = settings.DATABASE_ROLES
    if roles["owner"] == roles["default"]:
        return
    with connect_as_owner() as owner:
        grant_defaults(owner, app=roles["default"], sequencer=roles["sequencer"])


def connect_as_owner(*, name: str | None = None) -> psycopg.Connection:
    """A connection of the owner's own, outside Django's, committing each statement; to a database of that name."""
    entry: dict[str, Any] = settings.DATABASES["owner"]
    return psycopg.connect(
        dbname=name or entry["NAME"],
        user=entry["USER"],
        password=entry["PASSWORD"],
        host=entry["HOST"] or None,
        port=entry["PORT"] or None,
        autocommit=True,
        **entry["OPTIONS"],
    )
