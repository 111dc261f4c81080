"""The clock of the work behind the request: Celery's beat, with its memory in the state folder.

What runs when is said where the task is: a `SCHEDULE` in an app's `tasks` module, of Celery's own entries by name.
"""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["CLINAIOPS_SEES"] = "everything"


def schedule() -> dict[str, dict[str, Any]]:
    """Every app's entries; two of one name are a mistake and stop the start."""
    from django.apps import apps

    entries: dict[str, dict[str, Any]] = {}
    for app in apps.get_app_configs():
        if find_spec(f"{app.name}.tasks") is None:
            continue
        own: dict[str, dict[str, Any]] = getattr(import_module(f"{app.name}.tasks"), "SCHEDULE", {})
        if twice := own.keys() & entries.keys():
            raise ValueError(f"scheduled twice: {', '.join(sorted(twice))}")
        entries |= own
    return entries


def main() -> None:
    """Run until told to stop."""
    import django

    django.setup()
    from config.celery import app
    from config.embedded import home

    memory = home().path / "beat"
    memory.mkdir(parents=True, exist_ok=True)
    app.conf.beat_schedule = schedule()
    app.Beat(schedule=str(memory / "schedule"), loglevel="WARNING", max_interval=1).run()


if __name__ == "__main__":
    main()
