"""What somebody is asked to sign, in words: for whom, by record; what stands now; what would stand; units (11.50).

Rules
 * Every line is drawn from the record that is signed; only what stands before it is read beside, and is said to be so.
 * A number stands with its unit; what was before stands beside what is signed; nothing is left to be understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from governance.services.signed_rows import ON_SIGNING

from ..danger import LimitName
from ..models import Patient
from ..pathways.hypertension.tables_therapy import formulary
from ..selectors.danger import limit_values
from . import times, words
from .changes import change_shown, milligrams
from .limits import site_words

Content = Mapping[str, Any]
Lines = list[tuple[str, str]]
NONE_BEFORE = "Nothing was signed before"


def _whom(content: Content, patient: Patient) -> Lines:
    return [("Patient", patient.shown_name), ("Record", str(content["patient"]))]


def _pressures(systolic: object, diastolic: object) -> str:
    return f"under {_number(systolic)}/{_number(diastolic)} mmHg at home"


def _number(value: object) -> str:
    return format(Decimal(str(value)).normalize(), "f")


def target_in_words(content: Content, patient: Patient) -> Lines:
    """A target: the pressure to stay under, and the one that holds now."""
    old = patient.targets.order_by("-signed_at", "-pk").first()
    return [
        *_whom(content, patient),
        ("Target now", _pressures(old.systolic_below, old.diastolic_below) if old else NONE_BEFORE),
        ("New target", _pressures(content["systolic_below"], content["diastolic_below"])),
        ("It means", "The home average is to stay under these numbers; an open recommendation is looked at again"),
    ]


def alert_limits_in_words(content: Content, patient: Patient) -> Lines:
    """Alert limits: every one of them, with the one before and the site's own."""
    row = patient.alert_limits.order_by("-version").first()
    old = limit_values(row) if row else {}
    lines = [*_whom(content, patient), ("Version", f"{content['version']}")]
    for name in LimitName:
        label, unit = words.limit(name)
        new, before = content["limits"].get(name.value), old.get(name)
        if new is None and before is None:
            continue
        said = f"{_number(new)} {unit}" if new is not None else f"the site's own ({site_words(name)} {unit})"
        was = f"{_number(before)} {unit}" if before is not None else f"the site's own, {site_words(name)} {unit}"
        lines.append((label, f"{said}; before: {was}"))
    return [*lines, ("It means", "This patient's alerts speak at these numbers, never later than the site's")]


def boundary_in_words(content: Content, patient: Patient) -> Lines:
    """A boundary: each drug up to which dose, how often, until when, and what stands now."""
    old = patient.boundaries.order_by("-version").first()
    lines = [*_whom(content, patient), ("Version", f"{content['version']}")]
    before = {drug.ingredient: drug.max_daily_dose_mg for drug in old.drugs.all()} if old else {}
    for drug in content["drugs"]:
        known = formulary().drug(drug["ingredient"])
        name, was = known.name if known else drug["ingredient"], milligrams(before.get(drug["ingredient"]))
        up = "up or down" if drug["allow_up"] else "down only"
        said = f"{up}, at most {milligrams(drug['max_daily_dose_mg'])} a day in all"
        lines.append((name, f"{said}; before: {f'at most {was} a day' if was else 'not covered'}"))
    if not content["drugs"]:
        lines.append(("Drugs", "None: nothing may change within it"))
    starts = "with your signature" if content["starts_at"] == ON_SIGNING else _clock(content["starts_at"], patient)
    steps = f"at most {content['max_steps']}, with {content['min_interval_days']} days or more between two"
    return [
        *lines,
        ("Steps", steps),
        ("From", starts),
        ("Until", _clock(content["expires_at"], patient)),
        ("Every step", "is seen by a clinician first" if content["review_everything"] else "goes to the patient"),
        ("It means", "You order these changes in advance, within these limits; each is recorded and can be recalled"),
    ]


def recall_in_words(content: Content, patient: Patient) -> Lines:
    """A recall: which change is taken back, and why."""
    change = change_shown(json.loads(content["prescribed"]))
    lines = [*_whom(content, patient), ("Recommendation", f"{content['recommendation']}, version {content['version']}")]
    if change is not None:
        lines.append(("Taken back", f"{change.sentence}."))
        if change.old:
            lines.append(("The patient stays on", f"{change.drug} {change.old} a day"))
    lines.append(("Reason", words.reason(content["reason"]).capitalize()))
    if content["free_text"]:
        lines.append(("In your words", content["free_text"]))
    return [*lines, ("It means", "The patient is told not to make this change")]


def model_in_words(content: Content, *, serving: str, release: bool) -> Lines:
    """An approval or a release of a version of a model."""
    lines = [
        ("Model", f"{words.model(content['name'])}, version {content['version']}"),
        ("Registered as", f"{content['name']}@{content['version']}"),
        ("Pathway", words.opened(content["pathway"]).capitalize()),
        ("Serves now", serving or "no model"),
    ]
    means = (
        "It proposes changes on this pathway from your signature on, in place of the one that serves now"
        if release
        else "You have read its card and would let it serve; two such approvals are needed before it is released"
    )
    return [
        *lines,
        ("What runs, SHA-256", content["digest"]),
        ("Card, SHA-256", content["card_sha256"]),
        ("It means", means),
    ]


def _clock(text: str, patient: Patient) -> str:
    return times.clock(datetime.fromisoformat(text), patient.zone)
