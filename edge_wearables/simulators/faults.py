"""A bad line and a device that crashes, by a seeded chance: what the runtime and the entrance are tried against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from ..runtime import Line, Offline, Reply


class Crashed(Exception):
    """The device stopped between two steps; only its disk is left."""


@dataclass(slots=True)
class BadLine:
    """A line that is sometimes down, sometimes sends twice, and sometimes loses the answer after it was given."""

    line: Line
    chance: Random
    offline_share: float = 0.0
    duplicate_share: float = 0.0
    lost_answer_share: float = 0.0
    counted: dict[str, int] = field(default_factory=lambda: {"offline": 0, "duplicate": 0, "lost_answer": 0})

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send bytes, perhaps never, perhaps twice, perhaps without hearing the answer. Raises `Offline`."""
        if self._happens("offline", self.offline_share):
            raise Offline("the line is down")
        reply = self.line.post(path, headers=headers, body=body)
        if self._happens("duplicate", self.duplicate_share):
            reply = self.line.post(path, headers=headers, body=body)
        if self._happens("lost_answer", self.lost_answer_share):
            raise Offline("the answer was lost")
        return reply

    def _happens(self, what: str, share: float) -> bool:
        happens = self.chance.random() < share
        self.counted[what] += happens
        return happens


@dataclass(slots=True)
class Crashing:
    """Raises `Crashed` at a step with a given chance; handed to the runtime as its `step`."""

    chance: Random
    share: float
    times: int = 0

    def __call__(self, name: str) -> None:
        """Perhaps crash here."""
        if self.chance.random() < self.share:
            self.times += 1
            raise Crashed(name)
