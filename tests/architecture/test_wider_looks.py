"""Where a request looks beyond its person's patients is a closed list, each place with its reason (SECURITY A6).

Row-level security holds everything else. A new place is added here, where whoever reviews it sees it.
"""

import ast

from governance.selectors.sight import Wider
from tests.architecture.source import Source, dotted, our_sources

SIGHT = "governance/selectors/sight.py"
LOOKERS = frozenset({"governance/middleware.py", "governance/api/bearer.py"})
PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "DEVICES": {
        "edge_wearables/services/batches.py": ("receive",),
        "edge_wearables/services/devices.py": ("assign_device", "unassign_device"),
    },
    "GLASS": {
        "care_loops/selectors/glass.py": ("overdue", "record_meant"),
        "care_loops/services/break_glass.py": ("break_glass", "end_break_glass", "close_review"),
        "care_loops/views/glass.py": ("glass_page", "glass_end", "glass_review"),
    },
    "HELD_BACK": {
        "care_loops/selectors/quarantine.py": ("held_back",),
        "edge_wearables/services/looking.py": ("look_at_refused",),
    },
    "OVERSIGHT": {
        "care_loops/selectors/affected.py": ("affected", "adverse_rates"),
        "care_loops/selectors/oversight.py": ("oversight", "own_figures"),
        "care_loops/selectors/reviews.py": ("rates",),
        "care_loops/services/autonomy.py": ("ask_level", "sign_level"),
        "care_loops/services/incident_exports.py": ("export_incident",),
        "care_loops/services/what_if.py": ("what_if",),
        "care_loops/views/autonomy.py": ("ladders",),
    },
    "QUOTA": {
        "care_loops/selectors/evidence.py": ("mode_in_force",),
    },
    "RECORD": {
        "care_loops/views/record.py": ("find_patient", "content", "exports", "export_file"),
    },
    "SOURCES": {
        "care_loops/services/clinical.py": ("_known",),
        "care_loops/services/intake.py": ("_known",),
        "care_loops/services/refused_parts.py": ("_held",),
        "care_loops/services/samples.py": ("_known",),
        "care_loops/services/take_in.py": ("_known",),
    },
    "TIES": {
        "care_loops/services/enrol.py": (
            "enrol_patient",
            "admit",
            "join_care_team",
            "leave_care_team",
            "hand_over_patients",
            "link_account",
            "link_carer",
            "unlink_carer",
            "merge_patients",
        ),
        "care_loops/services/joining.py": ("invite_to_record", "enrol_and_invite", "join_by_invitation", "hand_over"),
    },
}


def places(sources: list[Source]) -> dict[str, dict[str, list[str]]]:
    """Every function that looks wider, by reason and module."""
    found: dict[str, dict[str, list[str]]] = {}
    for source in sources:
        for node in ast.walk(source.tree):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and dotted(mark.func) == "looking_wider":
                    reason = dotted(mark.args[0]).removeprefix("Wider.")
                    found.setdefault(reason, {}).setdefault(source.path, []).append(node.name)  # type: ignore[attr-defined]
    return found


def strays(sources: list[Source]) -> list[str]:
    """Whoever sets what a connection sees past that decorator: by the selector's parts, or by SQL."""
    found = []
    for source in sources:
        if source.path == SIGHT:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("selectors.sight"):
                names = {alias.name for alias in node.names} - {"Wider", "looking_wider"}
                if names and source.path not in LOOKERS:
                    found.append(source.at(node, f"sets what is seen: {', '.join(sorted(names))}"))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "set_config" in node.value:
                found.append(source.at(node, "sets a setting of the database"))
            if isinstance(node, ast.Call) and dotted(node.func) == "looking_wider" and not node.args:
                found.append(source.at(node, "gives no reason"))
    return found


def test_every_place_that_looks_wider_is_on_the_list():
    found = places(our_sources())
    assert {reason: {path: tuple(names) for path, names in by.items()} for reason, by in found.items()} == PLACES
    assert found.keys() == {place.name for place in Wider}


def test_nobody_widens_in_another_way():
    assert strays(our_sources()) == []


def test_the_check_finds_what_it_is_for():
    text = """
from governance.selectors.sight import EVERYTHING, Wider, looking_wider, seeing
@looking_wider(Wider.QUOTA)
def counted(): ...
with seeing(EVERYTHING): ...
cursor.execute("SELECT set_config('clinaiops.sees', 'everything', false)")
"""
    source = Source("care_loops/selectors/worklist.py", text)
    assert places([source]) == {"QUOTA": {"care_loops/selectors/worklist.py": ["counted"]}}
    assert len(strays([source])) == 2
