"""What a feature is: the definition that training and serving share, and the digest by which a model names it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

_NAME = re.compile(r"[a-z][a-z0-9_]{2,59}")


class BadSpec(ValueError):
    """A definition that lacks something or contradicts itself."""


class Aggregate(StrEnum):
    """What is made of the values in the window."""

    COUNT = "count"
    MEAN = "mean"
    SD = "sd"  # of a sample: over count less one
    LEAST = "least"
    MOST = "most"
    LAST = "last"  # by when it happened; of two at once, the one named later in the order of ids
    HOURS_SINCE = "hours_since"  # since the last


class PersonalData(StrEnum):
    """What a value may give away about a person."""

    NONE = "none"
    PSEUDONYMOUS = "pseudonymous"  # about a person, who is named elsewhere
    HEALTH = "health"  # special category (GDPR article 9), protected health information
    IDENTIFYING = "identifying"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature. `least` and `most` bound each value of the signal, in `unit` (UCUM); `window` looks back.

    The window is open where it begins and closed where it is asked: a value exactly `window` old no longer counts.
    Raises `BadSpec` for a definition that nobody could read or compute.
    """

    name: str
    signal: str
    unit: str
    aggregate: Aggregate
    window: timedelta
    least: Decimal
    most: Decimal
    version: int
    personal_data: PersonalData
    owner: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.signal):
            raise BadSpec(f"{self.name!r} of {self.signal!r}: a name is lower-case words joined by underscores")
        if not self.unit or not self.owner.strip():
            raise BadSpec(f"{self.name}: a feature has a unit and an owner")
        if self.window <= timedelta(0):
            raise BadSpec(f"{self.name}: the window is longer than nothing")
        if not (self.least.is_finite() and self.most.is_finite() and self.least < self.most):
            raise BadSpec(f"{self.name}: the range goes from less to more")
        if isinstance(self.version, bool) or self.version < 1:
            raise BadSpec(f"{self.name}: versions are counted from 1")

    @property
    def ref(self) -> str:
        """`name@version`: how people and models write it."""
        return f"{self.name}@{self.version}"

    def digest(self) -> str:
        """SHA-256 (hex) over every field: the same name and version with another digest is a changed definition."""
        said = {key: str(value) for key, value in asdict(self).items()}
        said["window"] = str(self.window // timedelta(microseconds=1))
        return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
