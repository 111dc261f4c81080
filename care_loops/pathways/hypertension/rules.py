"""The tables of the hypertension pathway in force, loaded once, and which bytes they were."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from importlib.resources import files

from governance.policy_kinds import PolicyKind
from governance.tier_policy import narrowed, shipped

from ...domain.evidence import ChosenPolicy
from ...domain.provenance import TableRef
from ...recommend import PathwayAges, Rules
from .table_files import read_table
from .tables_danger import danger_table
from .tables_readings import averaging_rule
from .tables_therapy import contraindications, limits, protocols, rulebook, table_refs

AVERAGING = "home_7_day"
_CODE = {
    "care_loops": (
        *("recommend", "averaging", "danger", "domain"),
        *("candidates.py", "contraindications.py", "drugs.py", "guardrails.py", "lab_rules.py", "plausibility.py"),
        "protocol.py",
    ),
    "governance": ("tiers.py", "tier_policy.py", "autonomy.py"),
}
_READING_TABLES = ("averaging_rules", "plausibility", "sentinels", "danger", "danger_windows")


@cache
def rules() -> Rules:
    """Every table a recommendation reads."""
    rows = {row.row_id: row for row in contraindications().rows}
    return Rules(
        averaging=averaging_rule(AVERAGING),
        rulebook=rulebook(),
        limits=limits(),
        danger=danger_table(),
        protocol=protocols(),
        ages=PathwayAges(
            from_years=int(rows["all-age-under-18"].bound()),
            below_years=int(rows["all-age-from-100"].bound()),
            childbearing_to=int(rows["acei-childbearing"].bound()),
        ),
        tiers=shipped(),
    )


def rules_under(policies: tuple[ChosenPolicy, ...]) -> Rules:
    """The tables with what the site's policies chose of them, each only stricter than shipped."""
    found = rules()
    for policy in policies:
        if policy.stands and policy.values:
            if policy.kind == PolicyKind.TIER_POLICY:
                found = replace(found, tiers=narrowed(found.tiers, dict(policy.values)))
            elif policy.kind == PolicyKind.GUARDRAIL_TABLES:
                found = replace(found, limits=found.limits.narrowed(dict(policy.values)))
    return found


@cache
def tables() -> tuple[TableRef, ...]:
    """Name, version and digest of every table, for the frozen evidence; that of the tiers as shipped among them."""
    tiers = shipped()
    of_readings = (read_table(name).ref for name in _READING_TABLES)
    return (*table_refs(), *of_readings, TableRef(tiers.name, tiers.version, tiers.digest), code())


@cache
def code() -> TableRef:
    """The rules themselves as a version: SHA-256 over the source of everything a recommendation runs through."""
    found = hashlib.sha256()
    for package, names in _CODE.items():
        for name in names:
            place = files(package) / name
            sources = [place] if place.is_file() else sorted(place.iterdir(), key=lambda one: one.name)
            for source in sources:
                if source.name.endswith(".py"):
                    found.update(source.name.encode() + b"\x00" + source.read_bytes())
    return TableRef("rules_code", "source", found.hexdigest())
