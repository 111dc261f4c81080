"""The operating mode of the site in words. What is not known to be for care is shown as not for care (N12)."""

from __future__ import annotations

from dataclasses import dataclass

SIMULATION = "Simulation — not for patient care"
_BANNERS = {
    "simulation": SIMULATION,
    "research": "Research under protocol — every change is decided by a clinician",
}
FOR_CARE = frozenset({"clinical"})


@dataclass(frozen=True, slots=True)
class SiteShown:
    """What the frame of every page says about the mode."""

    banner: str
    short: str
    not_for_care: bool
    mode_words: str


def site_shown(mode: str | None) -> SiteShown:
    """`mode` is None when it could not be read."""
    if mode in FOR_CARE:
        return SiteShown(banner="", short="", not_for_care=False, mode_words=str(mode))
    unset = "Not set up — not for patient care"
    banner = _BANNERS.get(mode or "", unset)
    return SiteShown(
        banner=banner,
        short="Simulation" if mode == "simulation" else "not for patient care",
        not_for_care=True,
        mode_words=mode or "not known",
    )
