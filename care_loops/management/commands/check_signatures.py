"""`manage.py check_signatures`: go over every signed row; exit 0 only when each still says what was signed."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from care_loops.services.signed_rows import check_signatures, said_of
from governance.services.signed_rows import Checked, Fault

WORDS = {
    Fault.CONTENT: "does not say any more what was signed",
    Fault.RECORD: "carries a signature over another record",
    Fault.TWICE: "carries a signature that serves another row",
    Fault.ENTRY: "carries another signature than its entry in the log",
    Fault.REMOVED: "was signed, as its entry in the log says, and its signature is gone",
    Fault.BROKEN: "carries a signature that its evidence does not bear out",
}


class Command(BaseCommand):
    """Go over them, say what came of it."""

    help = "Compare every signed row with what was signed. Names each whose signature is void, and why."

    def add_arguments(self, parser: CommandParser) -> None:
        """The one option."""
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when every signature stands, 1 when one does not."""
        checked = check_signatures()
        self.stdout.write(json.dumps(said_of(checked)) if options["as_json"] else _in_words(checked))
        if checked.found:
            sys.exit(1)


def _in_words(checked: Checked) -> str:
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(checked.kinds.items())) or "none"
    lines = [f"{checked.rows} signed rows ({counted}); {checked.holds} say what was signed."]
    if checked.shredded:
        lines.append(f"{checked.shredded} cannot be compared: what was signed was destroyed under its legal basis.")
    if checked.before:
        lines.append(f"{checked.before} are of before signatures were asked for.")
    for each in checked.found:
        fields = f" ({', '.join(each.fields)})" if each.fields else ""
        lines.append(f"VOID: {each.kind} {each.row} {WORDS[each.fault]}{fields}. Entry {each.entry}.")
    return "\n".join(lines)
