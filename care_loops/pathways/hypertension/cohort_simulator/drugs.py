"""What each drug does to pressure, by dose: class averages, what differs from them, and what one person's answer adds.

Rules (EFFECTS 1 and 7)
 * The fall at m reference doses is `most x m / (m + half_at)` of the class, or the drug's own points; read off a grid
   of multiples, linear in their logarithm between grid points, linear to nothing below the lowest.
 * Drugs work in order: each meets the pressure the earlier ones left, and later ones count `addition` of their effect,
   a second blocker of the renin system `addition_second_ras`. Figures stated as home and added are taken as they are.
 * A person's own part is on two axes (renin system; volume and calcium) and per drug, scaled with the dose. It is never
   clipped at nothing: some people rise.
 * Doses and ladders are those of the formulary. A drug of the formulary without effect data is a bad table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ....domain.record import DrugClass
from ..table_files import BadTable, Row, Rows, decimal_of, read_table
from ..tables_drugs import formulary
from .parameters import Parameters, check_found

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NONE = -1  # a slot without a drug
MULTIPLES = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0])  # of the reference dose
SYSTOLIC, DIASTOLIC = 0, 1
THIAZIDES = (DrugClass.THIAZIDE, DrugClass.THIAZIDE_LIKE)
RAS_BLOCKERS = (DrugClass.ACE_INHIBITOR, DrugClass.ARB)
RENIN_AXIS = (*RAS_BLOCKERS, DrugClass.BETA_BLOCKER)
_CURVE_OF = {DrugClass.THIAZIDE_LIKE: DrugClass.THIAZIDE}


@dataclass(frozen=True, slots=True)
class Pharmacy:
    """All drugs as arrays; the first axis of each is the drug, in the order of `ingredients`."""

    ingredients: tuple[str, ...]
    names: tuple[str, ...]
    classes: tuple[DrugClass, ...]
    grid: Floats  # (drugs, 6, 2) mmHg at MULTIPLES, systolic and diastolic, on the scale of `added`
    fourth: Floats  # (drugs, 6, 2) the same where the drug joins several others
    added: Flags  # (drugs,) figures are home, as an added drug
    fourth_added: Flags  # (drugs,) the same of `fourth`
    half_life_days: Floats  # (drugs,) of the effect, after a missed dose
    ladder: Floats  # (drugs, rungs) reference doses, NaN past the top
    rungs: Ints  # (drugs,)
    start: Ints  # (drugs,) position of the usual first dose

    def of(self, ingredient: str) -> int:
        """Index of a drug by RxNorm ingredient. Raises `BadTable` for one that is not simulated."""
        try:
            return self.ingredients.index(ingredient)
        except ValueError:
            raise BadTable(f"{ingredient}: not simulated") from None

    def named(self, name: str) -> int:
        """Index of a drug by its name."""
        return self.names.index(name)

    def is_any(self, classes: Sequence[DrugClass]) -> Flags:
        """(drugs,) whether each is of one of these classes."""
        return np.array([one in classes for one in self.classes])

    def group(self) -> Ints:
        """(drugs,) drugs with the same number count as the same class for "not two of a kind"."""
        alike = {DrugClass.ARB: DrugClass.ACE_INHIBITOR, DrugClass.THIAZIDE_LIKE: DrugClass.THIAZIDE}
        order = list(DrugClass)
        return np.array([order.index(alike.get(one, one)) for one in self.classes])


def curve(pharmacy_grid: Floats, drug: Ints, multiple: Floats) -> Floats:
    """Fall (…, 2) in mmHg of each drug at its multiple, from a grid (drugs, 6, 2). Slots without a drug give 0."""
    safe = np.maximum(multiple, 1e-9)
    place = np.clip(np.log2(safe / MULTIPLES[1]), 0.0, len(MULTIPLES) - 2)
    low = np.minimum(place.astype(np.int64), len(MULTIPLES) - 3)
    share = (place - low)[..., None]
    which = np.maximum(drug, 0)
    value = pharmacy_grid[which, low + 1] * (1 - share) + pharmacy_grid[which, low + 2] * share
    value = value * np.minimum(multiple / MULTIPLES[1], 1.0)[..., None]
    return np.where((drug == NONE)[..., None], 0.0, value)


def build_pharmacy(rows: Rows) -> Pharmacy:
    """The arrays from rows of `cohort_drugs` and the formulary. Raises `BadTable`."""
    for row in rows:
        check_found(row)
    curves = {DrugClass(str(row["drug_class"])): row for row in rows if row["about"] == "class"}
    said = {str(row["ingredient"]): row for row in rows if row["about"] == "drug"}
    fourth = {str(row["ingredient"]): row for row in rows if row["about"] == "fourth"}
    drugs = formulary().titrated
    missing = sorted(drug.name for drug in drugs if drug.ingredient not in said)
    if missing or len(said) != len(drugs):
        raise BadTable(f"cohort_drugs: no effect data for {missing}, or data for a drug that is not titrated")
    deepest = max(len(drug.steps) for drug in drugs)
    ladder = np.full((len(drugs), deepest), np.nan)
    for at, drug in enumerate(drugs):
        reference = float(decimal_of(said[drug.ingredient], "reference_mg"))
        ladder[at, : len(drug.steps)] = [float(step.daily_dose.value) / reference for step in drug.steps]
    chosen = [said[drug.ingredient] for drug in drugs]
    added_later = [fourth.get(drug.ingredient, said[drug.ingredient]) for drug in drugs]
    shapes = [curves.get(_CURVE_OF.get(drug.drug_class, drug.drug_class)) for drug in drugs]
    return Pharmacy(
        ingredients=tuple(drug.ingredient for drug in drugs),
        names=tuple(drug.name for drug in drugs),
        classes=tuple(drug.drug_class for drug in drugs),
        grid=np.array([_grid(row, shape) for row, shape in zip(chosen, shapes, strict=True)]),
        fourth=np.array([_grid(row, shape) for row, shape in zip(added_later, shapes, strict=True)]),
        added=np.array([row["scale"] == "home_added" for row in chosen]),
        fourth_added=np.array([row["scale"] == "home_added" for row in added_later]),
        half_life_days=np.array([float(decimal_of(row, "effect_half_life_h")) / 24 for row in chosen]),
        ladder=ladder,
        rungs=np.array([len(drug.steps) for drug in drugs]),
        start=np.array([[step.daily_dose for step in drug.steps].index(drug.start) for drug in drugs]),
    )


def _grid(row: Row, shape: Row | None) -> Floats:
    points = row["points"]
    if isinstance(points, list) and points:
        at = {float(decimal_of(p, "multiple")): _pair(p, "systolic", "diastolic") for p in points}
        return np.array([(0.0, 0.0), at[0.5] / 2, at[0.5], at[1.0], at[2.0], at[2.0]])
    if shape is None:
        raise BadTable(f"{row['name']}: neither points nor a class curve")
    most, half_at = (
        _pair(shape, "systolic_most", "diastolic_most"),
        _pair(shape, "systolic_half_at", "diastolic_half_at"),
    )
    return np.array([most * m / (m + half_at) for m in MULTIPLES])


def _pair(row: Row, systolic: str, diastolic: str) -> Floats:
    return np.array([float(decimal_of(row, systolic)), float(decimal_of(row, diastolic))])


@cache
def pharmacy() -> Pharmacy:
    """The pharmacy as it is kept."""
    return build_pharmacy(read_table("cohort_drugs").rows)


@dataclass(frozen=True, slots=True)
class Answering:
    """How each person answers to drugs, beyond the average; mmHg on the daytime scale at the reference dose."""

    axes: Floats  # (people, 2): renin system, volume and calcium
    residual: Floats  # (people, drugs)
    diastolic: Floats  # (people, drugs)


def steady_fall(untreated: Floats, answering: Answering, taken: tuple[Ints, Floats], p: Parameters) -> Floats:
    """Fall (people, slots, 2), office scale at trough, of drugs taken every day for long.

    `untreated`: (people, 2) office pressure without any of them, mmHg. `taken`: drug index (people, slots), `NONE`
    where the slot is empty, and multiples of the reference dose (people, slots); slots act in order.
    """
    shop, (drug, multiple) = pharmacy(), taken
    multiple = multiple * p["dose_scale"]
    active = (drug != NONE) & (multiple > 0)
    resistant = active.sum(axis=1) > p["resistant_from_drugs"]
    fall = np.zeros((*drug.shape, 2))
    left, seen = untreated.copy(), np.zeros((len(drug), 2), dtype=bool)  # any drug, any RAS blocker
    ras = shop.is_any(RAS_BLOCKERS)
    for slot in range(drug.shape[1]):
        which, on = drug[:, slot], active[:, slot]
        again = np.where(ras[which] & seen[:, 1], p["addition_second_ras"], p["addition"])
        weight = np.where(seen[:, 0], again, 1.0)
        mean = _mean_fall(which, multiple[:, slot], (left, weight, resistant), p)
        own = _own_part(which, multiple[:, slot], answering, p)
        fall[:, slot] = np.where(on[:, None], (mean + own) * p["effect_scale"], 0.0)
        left -= fall[:, slot]
        seen |= np.stack([on, on & ras[which]], axis=1)
    return fall


def _mean_fall(which: Ints, multiple: Floats, met: tuple[Floats, Floats, Flags], p: Parameters) -> Floats:
    """The average person's fall at the pressure that the drug meets."""
    shop, (left, weight, resistant) = pharmacy(), met
    plain, late = curve(shop.grid, which, multiple), curve(shop.fourth, which, multiple)
    fall = np.where(resistant[:, None], late, plain)
    standard = np.maximum(curve(shop.grid, which, np.ones_like(multiple)), 0.1)
    slope = np.array([p["baseline_slope_systolic"], p["baseline_slope_diastolic"]])
    reference = np.array([p["reference_office_systolic"], p["reference_office_diastolic"]])
    factor = np.maximum(1 + slope * (left - reference) / standard, p["baseline_factor_floor"])
    as_stated = np.where(resistant, shop.fourth_added[which], shop.added[which])[:, None]
    unselected = np.where(resistant, 1.0, p["unselected_mra"])[:, None]
    return np.where(as_stated, fall * unselected / p["scale_home"], fall * factor * weight[:, None])


def _own_part(which: Ints, multiple: Floats, answering: Answering, p: Parameters) -> Floats:
    shop = pharmacy()
    rows = np.arange(len(which))
    axis = np.where(shop.is_any(RENIN_AXIS)[which], 0, 1)
    standard = np.maximum(curve(shop.grid, which, np.ones_like(multiple))[:, SYSTOLIC], 0.1)
    dose = curve(shop.grid, which, multiple)[:, SYSTOLIC] / standard
    systolic = answering.axes[rows, axis] + answering.residual[rows, which]
    diastolic = p["diastolic_share_of_response"] * systolic + answering.diastolic[rows, which]
    return np.stack([systolic, diastolic], axis=1) * dose[:, None] / p["scale_day"]
