"""What many tests build on, built once in each process by the legal road, and put down again as rows for each of them.

The rules
 * What is built is built by the services, as everywhere, and committed; its rows are taken as they then stand. Putting
   them down again is the owner's act, in the tests' database alone, with the guards held for that moment.
 * A test gets a copy of the objects, and rows that no test before it has touched: after a test that commits they are
   emptied and put down anew; after one that rolls back they are still as they were.
 * A test that does not ask for them finds the database empty.
 * What is built at the present time is built anew when it is older than `fresh_s` seconds.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connections

from tests.real_database import Cleaner

T = TypeVar("T")


@dataclass(slots=True)
class _Made:
    """One thing that was built: the objects, their rows, and when (seconds of the monotonic clock)."""

    thing: Any
    rows: dict[str, bytes]
    at: float


@dataclass
class Built:
    """What this process has built, and what of it stands in its database now."""

    cleaner: Cleaner
    made: dict[Callable[[], Any], _Made] = field(default_factory=dict)
    stands: Callable[[], Any] | None = None

    def once(self, build: Callable[[], T], *, fresh_s: float | None = None) -> T:
        """What `build` gives, with its rows in the database."""
        kept = self.made.get(build)
        if kept is None or (fresh_s is not None and time.monotonic() - kept.at > fresh_s):
            self.leave()
            kept = self.made[build] = _Made(_elsewhere(build), self.cleaner.take(), time.monotonic())
        elif self.stands is not build:
            self.leave()
            self.cleaner.put(kept.rows)
        self.stands = build
        thing: T = copy.deepcopy(kept.thing)
        return thing

    def leave(self) -> None:
        """Empty the database of what stands in it; nothing to do where nothing does."""
        if self.stands is not None:
            self.clean()

    def clean(self) -> None:
        """Empty the database, whatever is in it."""
        self.stands = None
        self.cleaner.clean()


def _elsewhere(build: Callable[[], T]) -> T:
    """Build on connections of its own, so that it is committed although the test that asks may never commit."""

    def alone() -> T:
        try:
            return build()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1) as aside:
        return aside.submit(alone).result()
