"""`manage.py reference_docs [--check]`: write the reference from the code, or say what in it is stale. No database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError

from care_loops.presenters.reference import pages
from care_loops.presenters.reference.house import OURS

DEFAULT = settings.ROOT / "docs" / "reference"


class Command(BaseCommand):
    """Ask for the pages, then write or compare."""

    help = "Write docs/reference/ from the code. With --check, exit 1 and name what is stale, missing or left over."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 unless every page is up to date"
        )
        parser.add_argument("--out", type=Path, default=DEFAULT, help="the folder; default: docs/reference")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the folder, or compare it."""
        folder: Path = options["out"]
        wanted = {f"{page.name}.md": page.text() for page in pages(_commands_of_ours())}
        found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
        stale = [name for name, text in wanted.items() if found.get(name) != text]
        left_over = [name for name in found if name not in wanted]
        if not options["check"]:
            _write(folder, {name: wanted[name] for name in stale}, left_over)
            self.stdout.write(f"{len(wanted)} pages, {len(stale)} written, {len(left_over)} removed.")
        elif stale or left_over:
            named = ", ".join(sorted(stale + left_over))
            raise CommandError(f"docs/reference is not what the code says: {named}. Run: manage.py reference_docs")
        else:
            self.stdout.write(f"{len(wanted)} pages are up to date.")


def _write(folder: Path, texts: dict[str, str], left_over: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in left_over:
        (folder / name).unlink()


def _commands_of_ours() -> dict[str, str]:
    ours = {config.name for config in apps.get_app_configs() if config.name.split(".")[0] in OURS}
    found = {name: app for name, app in get_commands().items() if isinstance(app, str) and app in ours}
    return {name: load_command_class(app, name).help.strip() for name, app in found.items()}
