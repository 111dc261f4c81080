"""Held-out families are drawn before training by others than the trainer, and open only for all of their custodians."""

from __future__ import annotations

import copy
import json
import secrets
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit.models import Pending
from care_loops.pathways.hypertension.cohort_simulator.families import families
from care_loops.pathways.hypertension.cohort_simulator.sealing import NotOpened, Sealed, seal, sheet_digest, unseal

SEALED = seal(3, secrets.token_bytes)
HELD_OUT = {name for name, one in families().items() if one.held_out}


def changed(path: tuple[str, ...], value: object) -> dict:
    box = copy.deepcopy(dict(SEALED.box))
    place = box
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return box


def test_all_custodians_together_open_what_was_committed_to():
    found = unseal(SEALED.box, SEALED.shares)
    assert set(found) == HELD_OUT
    for name, one in found.items():
        assert SEALED.box["sheet"]["commitments"][name] == one.commitment()
        changes = {change.parameter: change for change in families()[name].changes}
        assert set(changes) == {parameter for parameter, _ in one.numbers}
        assert all(changes[parameter].least <= value <= changes[parameter].most for parameter, value in one.numbers)
    assert len({one.seed for one in found.values()}) == len(HELD_OUT)


def test_two_draws_share_nothing():
    other = unseal(*_parts(seal(2, secrets.token_bytes)))
    for name, one in unseal(SEALED.box, SEALED.shares).items():
        assert one.seed != other[name].seed
        assert one.commitment() != other[name].commitment()


def _parts(sealed: Sealed) -> tuple[object, tuple[str, ...]]:
    return sealed.box, sealed.shares


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_without_one_custodian_it_stays_shut_and_the_missing_one_is_named(absent):
    some = [share for at, share in enumerate(SEALED.shares) if at != absent]
    with pytest.raises(NotOpened, match=rf"2 of 3 shares; missing: {absent + 1}"):
        unseal(SEALED.box, some)
    with pytest.raises(NotOpened, match="missing"):
        unseal(SEALED.box, [*some, some[0]])  # the same share twice is one


def test_what_is_shown_holds_neither_seed_nor_strengths():
    shown = json.dumps(SEALED.box)
    for one in unseal(SEALED.box, SEALED.shares).values():
        assert str(one.seed) not in shown
        assert one.nonce not in shown
        assert not [value for _, value in one.numbers if value and repr(value) in shown]


def test_a_share_of_another_box_or_one_that_was_changed_is_refused():
    other = seal(3, secrets.token_bytes)
    with pytest.raises(NotOpened, match="share 1 belongs to another box"):
        unseal(SEALED.box, [other.shares[0], *SEALED.shares[1:]])
    turned = SEALED.shares[0][:-1] + ("0" if SEALED.shares[0][-1] != "0" else "1")
    with pytest.raises(NotOpened, match="do not open this box"):
        unseal(SEALED.box, [turned, *SEALED.shares[1:]])
    with pytest.raises(NotOpened, match="not written as one"):
        unseal(SEALED.box, ["a share", *SEALED.shares[1:]])


LOCKED = str(SEALED.box["locked"])


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("locked",), LOCKED[:-2] + ("00" if LOCKED[-2:] != "00" else "01"), "do not open this box"),
        (("locked",), "", "do not open this box"),
        (("nonce",), "00" * 12, "do not open this box"),
        (("nonce",), "no hex", "no box"),
        (("sheet", "commitments", "no_effect"), "0" * 64, "another box"),
        (("sheet", "custodians"), 2, "another box"),
        (("sheet", "custodians"), "many", "no box"),
        (("sheet", "tables", "cohort_parameters"), "0" * 64, "other tables"),
        (("sheet",), [], "no box"),
    ],
    ids=["a byte", "empty", "nonce", "no hex", "commitment", "fewer custodians", "no number", "tables", "no sheet"],
)
def test_a_box_that_was_changed_does_not_open(path, value, said):
    with pytest.raises(NotOpened, match=said):
        unseal(changed(path, value), SEALED.shares)


@pytest.mark.parametrize("custodians", [-1, 0, 1, 17])
def test_one_custodian_is_none(custodians):
    with pytest.raises(NotOpened, match="between 2 and 16"):
        seal(custodians, secrets.token_bytes)


# ---- through the commands


def sealed_by_command(out: Path, **more: object) -> dict:
    said = StringIO()
    call_command("seal_families", out=out, as_json=True, stdout=said, **more)
    return json.loads(said.getvalue())


def entries() -> list[dict]:
    """What the record holds of sealing, not yet numbered."""
    leaves = [json.loads(bytes(row.leaf).splitlines()[-1]) for row in Pending.objects.order_by("id")]
    return [leaf for leaf in leaves if leaf["type"] == "families.sealed"]


def simulated(out: Path, **options: object) -> dict:
    said = StringIO()
    options = {"patients": 30, "windows": 3, "family": "no_effect", "out": out, "as_json": True} | options
    call_command("simulate_cohort", stdout=said, stderr=StringIO(), **options)
    return json.loads(said.getvalue())


@pytest.mark.django_db
def test_sealing_is_an_entry_and_its_cohorts_name_the_commitment_and_no_more(tmp_path):
    said = sealed_by_command(tmp_path / "sealed", custodians=2)
    box = json.loads((tmp_path / "sealed/box.json").read_text())
    (entry,) = entries()
    assert entry["object"]["id"] == said["digest"] == sheet_digest(box["sheet"])
    shares = [tmp_path / f"sealed/share-{number}.txt" for number in (1, 2)]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in shares)
    one = simulated(tmp_path / "one", sealed=tmp_path / "sealed/box.json", share=shares)
    two = simulated(tmp_path / "two", sealed=tmp_path / "sealed/box.json", share=shares)
    assert one == two
    assert one["sealed"] == box["sheet"]["commitments"]["no_effect"]
    assert not {"seed", "changes"} & set(one)
    with pytest.raises(CommandError, match="not-opened: 1 of 2 shares; missing: 2"):
        simulated(tmp_path / "three", sealed=tmp_path / "sealed/box.json", share=shares[:1])
    with pytest.raises(CommandError, match="published: not in this box"):
        simulated(tmp_path / "three", sealed=tmp_path / "sealed/box.json", share=shares, family="published")
    assert not (tmp_path / "three").exists()


@pytest.mark.django_db
def test_what_cannot_be_written_was_not_sealed_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt", tmp_path / "mine.txt" / "under"):
        with pytest.raises(CommandError, match="bad-cohort"):
            sealed_by_command(out)
    with pytest.raises(CommandError, match="not-sealed"):
        sealed_by_command(tmp_path / "alone", custodians=1)
    assert entries() == []
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "seed"),
        ({"seed": 1, "sealed": Path("box.json")}, "seed"),
        ({"sealed": Path("nobody.json")}, "cannot be read"),
    ],
    ids=["neither", "both", "no such box"],
)
def test_a_seed_or_a_box_and_not_both(tmp_path, options, said):
    with pytest.raises(CommandError, match=said):
        simulated(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
