"""The database and the broker a machine gets when nobody has given it any.

The rules
 * With DATABASE_URL unset the database is ours; with CELERY_BROKER_URL unset the broker is ours. What is set stands.
 * Everything lives under one home (`var/`, or CLINAIOPS_HOME), so two homes can run side by side.
 * Starting is idempotent and guarded by a file lock: two processes that start at once end with one server.
 * A pid file is never believed. The server is asked, and its answer counts.
"""

from config.embedded.broker import broker_url, ensure_broker, stop_broker
from config.embedded.home import Home, home
from config.embedded.postgres import database_urls, ensure_database, has_tables, stop_database

__all__ = [
    "Home",
    "broker_url",
    "database_urls",
    "ensure_broker",
    "ensure_database",
    "has_tables",
    "home",
    "stop_broker",
    "stop_database",
]
