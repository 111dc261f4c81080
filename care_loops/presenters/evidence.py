"""The words for how far the record's evidence is: for the banner, and for one act."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from audit.selectors import Coverage, WitnessStanding, coverage
from audit.witness_policy import PolicyInvalid

UNKNOWN = (
    "Whether the record is witnessed cannot be told at the moment. Care goes on; the administrator has to look at it."
)
BANNERS: Mapping[WitnessStanding, str] = {
    WitnessStanding.CURRENT: "",
    WitnessStanding.NONE: "No outside witness is set up: nobody outside this system can vouch for its record.",
    WitnessStanding.BEHIND: (
        "The outside witnesses have not confirmed the newest entries of the record yet. Care goes on as usual."
    ),
    WitnessStanding.STALE: (
        "The outside witnesses have not confirmed the record for more than 15 minutes. Care goes on and what is decided"
        " is marked as not yet witnessed; no model is released until they have. The administrator has to look at it."
    ),
}
COVERAGE: Mapping[Coverage, str] = {
    Coverage.WITNESSED: "Witnessed: confirmed by outside witnesses",
    Coverage.SIGNED: "Signed, not yet witnessed",
    Coverage.NUMBERED: "Recorded, not yet witnessed",
    Coverage.PENDING: "Recorded, not yet witnessed",
}
IN_A_WORD: Mapping[Coverage, str] = {
    Coverage.WITNESSED: "witnessed",
    Coverage.SIGNED: "signed",
    Coverage.NUMBERED: "not_yet",
    Coverage.PENDING: "not_yet",
}


def banner(standing: WitnessStanding | None) -> str:
    """The sentence over every staff page; empty while all is well."""
    return UNKNOWN if standing is None else BANNERS[standing]


def covered(coverage: Coverage) -> str:
    """How far one act's evidence is, for people."""
    return COVERAGE[coverage]


def coverage_of(entry: UUID) -> Coverage:
    """How far the evidence of one act is; without a readable policy nothing counts as witnessed."""
    try:
        return coverage([entry])[entry]
    except (OSError, PolicyInvalid):
        return Coverage.SIGNED


def in_a_word(coverage: Coverage) -> str:
    """The same for machines: witnessed, signed or not_yet."""
    return IN_A_WORD[coverage]
