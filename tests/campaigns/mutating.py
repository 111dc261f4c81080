"""Every mutant of the code that says who may, under which tier and by which quorum: does a test notice? (`mutants`)"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import product

import pytest

from governance import permissions, quorum_rules, tier_policy, tiers
from governance.domain import Permission, Relation, Role
from tests.campaigns.figure import Figure
from tests.governance import quorum_spec
from tests.governance.mutants import loaded, mutants
from tests.governance.test_permission_mutants import cell_noticed, noticed
from tests.governance.test_quorum import mutants as quorum_mutants
from tests.governance.tier_spec import disagreements, disagreements_of_reader


def every_mutant(n: int, *, seed: int) -> Figure:
    """At most `n` of them, the first ones; the seeded defect is a mutant that changes nothing, which must go by."""
    tried: dict[str, int] = {}
    missed: list[str] = []
    for of, what, seen in _all():
        if sum(tried.values()) == n:
            break
        tried[of] = tried.get(of, 0) + 1
        if not seen:
            missed.append(f"{of} {what}")
    unchanged = loaded(inspect.getsource(tiers), tiers)
    detail = ", ".join(f"{of} {number}" for of, number in tried.items())
    detail += "; missed: " + "; ".join(missed) if missed else ""
    goes_by = not disagreements(unchanged)
    return Figure(n=sum(tried.values()), failed=len(missed), seed=seed, defect_caught=goes_by, detail=detail)


def _all() -> Iterator[tuple[str, str, bool]]:
    with pytest.MonkeyPatch.context() as swapped:
        for what, changed in mutants(inspect.getsource(permissions)):
            made = loaded(changed, permissions)
            yield "permissions", what, noticed(swapped, made.TABLE, made.allows, made.check)
        for permission, role in product(Permission, Role):
            for other in (frozenset(), *(frozenset({relation}) for relation in Relation)):
                if permissions.TABLE.get((permission, role), frozenset()) == other:
                    continue
                table = {**permissions.TABLE, (permission, role): other}
                if not other:
                    del table[permission, role]
                yield "cells of the table", f"{permission} {role} {sorted(other)}", cell_noticed(swapped, table)
    for of, module, check in (
        ("tiers", tiers, disagreements),
        ("the tier table's reader", tier_policy, disagreements_of_reader),
        ("the quorum rules' reader", quorum_rules, quorum_spec.disagreements_of_reader),
    ):
        for what, changed in mutants(inspect.getsource(module)):
            yield of, what, _seen(lambda changed=changed, module=module, check=check: check(loaded(changed, module)))
    for what, made in quorum_mutants():
        yield "quorum", what, _seen(lambda made=made: quorum_spec.disagreements(made))


def _seen(check: object) -> bool:
    try:
        return check() != []
    except Exception:  # noqa: BLE001  (whatever it is, it was noticed)
        return True
