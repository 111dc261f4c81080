"""The cases of the decision table notice every mutant of the code that reads and applies it (mutation score 100 %)."""

from __future__ import annotations

import inspect

import pytest

from governance import quorum_rules, tier_policy, tiers
from tests.governance import quorum_spec
from tests.governance.mutants import unnoticed
from tests.governance.tier_spec import disagreements, disagreements_of_reader

CHECKED = {
    "tiers": (tiers, disagreements),
    "tier_policy": (tier_policy, disagreements_of_reader),
    "quorum_rules": (quorum_rules, quorum_spec.disagreements_of_reader),
}


@pytest.mark.parametrize("name", CHECKED)
def test_the_code_as_it_is_agrees(name):
    module, check = CHECKED[name]
    assert check(module) == []


@pytest.mark.parametrize("name", CHECKED)
def test_every_mutant_of_the_code_is_noticed(name):
    module, check = CHECKED[name]
    tried, missed = unnoticed(inspect.getsource(module), module, check)
    print(f"{name}: {tried} mutants, {len(missed)} not noticed")
    assert tried > 25
    assert missed == []
