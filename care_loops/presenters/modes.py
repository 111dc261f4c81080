"""The operating mode of the site in words. What is not known to be for care is shown as not for care (N12)."""

from __future__ import annotations

from dataclasses import dataclass

from governance.tiers import OperatingMode

SIMULATION = "Simulation — not for patient care"
_BANNERS = {
    OperatingMode.SIMULATION.value: SIMULATION,
    OperatingMode.RESEARCH.value: "Research under protocol — not routine care",
    OperatingMode.OFF.value: "Switched off — not for patient care",
}


@dataclass(frozen=True, slots=True)
class SiteShown:
    """What the frame of every page says about the mode."""

    banner: str
    short: str
    not_for_care: bool
    mode_words: str


def site_shown(mode: str | None) -> SiteShown:
    """`mode` is None when it could not be read."""
    if mode == OperatingMode.LIVE.value:
        return SiteShown(banner="", short="", not_for_care=False, mode_words=mode)
    banner = _BANNERS.get(mode or "", "Mode not known — not for patient care")
    return SiteShown(
        banner=banner,
        short="Simulation" if mode == "simulation" else "not for patient care",
        not_for_care=True,
        mode_words=mode or "not known",
    )
