"""One worker process of the drill: it acts when told to, with its own connection and its own memory."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from uuid import UUID

import django


def main() -> None:
    """Lines in: `accept LOOP USER AT` or `close PATIENT AT`; one line out for each: what came of it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from care_loops.services import Answer, close_window, respond
    from governance.domain import Refusal
    from governance.models import User
    from governance.services import acting_job, acting_person

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        act, which, *more = line.split()
        now = datetime.fromisoformat(more[-1])
        try:
            if act == "accept":
                by = acting_person(User.objects.get(pk=more[0]), now=now)
                said = respond(UUID(which), Answer.ACCEPT, reason_code="", by=by, now=now).state
            else:
                loop = close_window(UUID(which), by=acting_job("close-windows", str(os.getpid())), now=now)
                said = loop.withheld_reason or loop.state if loop else "nothing"
        except Refusal as refusal:
            said = refusal.code
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
