"""What the outbox carries for this app, topic by topic: acted on after commit, once.

A handler runs inside the relay's transaction together with the mark that it was taken (exactly-once effect). The clock
of the act is the clock of its delivery; a simulated hospital hands its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from audit.services import Message
from governance.channels import NoticeKind
from governance.services import Acting
from governance.services.notices import plan

from .again import TOPIC as LOOK_AGAIN
from .break_glass import TOPIC as GLASS
from .paging import page
from .reminders import TOPIC as REMIND
from .respond import deliver, tell_proposed, tell_recalled
from .windows import reevaluate_open

Handler = Callable[[Message], None]
OPENED = "a record was opened"


def handlers(*, by: Acting, clock: Callable[[], datetime]) -> Mapping[str, Handler]:
    """The handlers of this app's topics, acting as the job `by`."""

    def on_deliver(message: Message) -> None:
        deliver(UUID(message.payload["loop"]), by=by, now=clock())

    def on_tell(message: Message) -> None:
        loop_id = UUID(message.payload["loop"])
        if message.payload["kind"] == "recalled":
            tell_recalled(loop_id, by=by, now=clock())
        else:
            tell_proposed(loop_id, by=by, now=clock())

    def on_look_again(message: Message) -> None:
        reevaluate_open(UUID(message.payload["patient"]), by=by, now=clock())

    def on_page(message: Message) -> None:
        page(UUID(message.payload["alert"]), message.payload["level"], by=by, now=clock())

    def on_alarm(message: Message) -> None:
        said, to = message.payload, [UUID(message.payload["to"])]
        plan(NoticeKind.ALARM, f"opening/{said['opening']}", to, grave=OPENED, by=by, now=clock())

    return {
        "loop.deliver": on_deliver,
        "patient.tell": on_tell,
        LOOK_AGAIN: on_look_again,
        "alert.page": on_page,
        REMIND: _stands_on_a_page,
        GLASS: on_alarm,
    }


def _stands_on_a_page(_message: Message) -> None:
    """A reminder stands on the patient's phone, which the patient opens."""
