"""What was read becomes rows of the record: conditions, allergies, lines of the regimen, laboratory results.

Rules
 * A row's `source_id` is the resource's. The same resource with other content is another row, `<source_id>#<digest>`:
   evidence is never rewritten, and content that is known already makes no row.
 * A drug is recognised when every RxNorm code of it is in the formulary and all say the same ingredient. Anything else
   is an unknown code, and an active line of it makes the regimen not fully known.
 * An order that ended says nothing of another order of the same drug that still runs: its stop is never dated after the
   start of the running one. Two running orders of one drug that differ make both doubtful (`several_active_orders`).
 * An order that changed since it was imported counts as changed from `noticed` on, unless it says since when.
 * A condition counts as present unless its resource says otherwise. The end of a pregnancy is kept as its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from ...conditions import Told, recognise
from ...domain.record import ConditionKind, Pregnancy
from ...domain.units import Milligrams
from ...drugs import Formulary, Recognised, position
from ...fhir_r4.medications import daily_mg
from ...fhir_r4.reader import Index
from ...fhir_r4.resources import Codings, FhirAllergy, FhirCondition, FhirLab, FhirMedication, Taking
from ...models import Allergy, Condition, Lab, RegimenEntry
from ...pathways.hypertension.tables_therapy import coded_conditions
from ...selectors.regimen import NO_LONGER_SAID
from ...terminology import RXNORM
from ..clinical import NewRegimenEntry
from .ledger import A_MOMENT, Ledger, Signature, base_of
from .none_taken import in_force, none_taken, nothing_line


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from and to whom they belong. `received` is when they count as received, `None`: at their own
    time (in a replay)."""

    patient_id: UUID
    source_system: str
    received: datetime | None
    first: datetime  # for what has no time of its own in a replay


# Laboratory results


def lab_signature(row: Lab) -> Signature:
    """What makes a result the same result."""
    return (row.kind, f"{row.value:.4f}", row.taken_at.timestamp())


def lab_rows(labs: Iterable[FhirLab], origin: Origin, ledger: Ledger) -> Iterator[Lab | None]:
    """A row for each result; `None` for one that is held already."""
    for lab in labs:
        row = Lab(
            id=uuid4(),
            patient_id=origin.patient_id,
            source_system=origin.source_system,
            received_at=origin.received or lab.taken.at,
            kind=lab.kind.value,
            value=lab.value,
            sent_value=lab.sent_value,
            sent_unit=lab.sent_unit,
            taken_at=lab.taken.at,
        )
        place = ledger.place(lab.source_id, lab_signature(row))
        if place is None:
            yield None
            continue
        row.source_id = place
        yield row


# Conditions and allergies


def condition_signature(row: Condition) -> Signature:
    """What makes a condition the same condition."""
    return (row.kind, row.code_system, row.code, row.pregnancy, row.active, _stamp(row.onset_at), _stamp(row.abated_at))


def condition_rows(
    conditions: Iterable[FhirCondition], known: Index, origin: Origin, ledger: Ledger
) -> Iterator[Condition]:
    """Rows not held yet: one for each thing a condition tells the rules, or one that tells them nothing."""
    for condition in conditions:
        begun = condition.onset or condition.recorded
        onset = begun.at if begun else known.started(condition.encounter)
        for system, code, kind, pregnancy in _tellings(condition.codings):
            row = Condition(
                id=uuid4(),
                patient_id=origin.patient_id,
                source_system=origin.source_system,
                received_at=origin.received or onset or origin.first,
                kind=kind.value if kind else "",
                code_system=system,
                code=code,
                display=condition.display,
                pregnancy=pregnancy is not None,
                onset_at=onset,
                abated_at=condition.abated.at if condition.abated else None,
                active=condition.abated is None if condition.active is None else condition.active,
            )
            if pregnancy is not None:
                row.active = condition.active is True  # only what is called active outlasts its weeks
            if pregnancy is Pregnancy.POSTPARTUM:
                row.active, row.abated_at = False, row.abated_at or onset
            if (place := ledger.place(condition.source_id, condition_signature(row))) is not None:
                row.source_id = place
                yield row


def _tellings(codings: Codings) -> Iterator[tuple[str, str, ConditionKind | None, Pregnancy | None]]:
    told = [(system, code, said) for system, code in codings if (said := _told(system, code)) is not None]
    seen: set[object] = set()
    for system, code, said in told:
        for what in (*said.conditions, *((said.pregnancy,) if said.pregnancy else ())):
            if what not in seen:
                seen.add(what)
                is_kind = isinstance(what, ConditionKind)
                yield system, code, what if is_kind else None, None if is_kind else said.pregnancy
    if not told and codings:
        yield *codings[0], None, None


_TOLD: dict[tuple[str, str], Told | None] = {}


def _told(system: str, code: str) -> Told | None:
    """What a code tells; remembered, because records repeat their codes."""
    if (system, code) not in _TOLD:
        _TOLD[system, code] = recognise(system, code, coded_conditions())
    return _TOLD[system, code]


def allergy_signature(row: Allergy) -> Signature:
    """What makes an allergy the same allergy."""
    return (row.ingredient, row.code_system, row.code, row.active)


def allergy_rows(
    allergies: Iterable[FhirAllergy], formulary: Formulary, origin: Origin, ledger: Ledger
) -> Iterator[Allergy]:
    """Rows not held yet. The ingredient is the one an RxNorm code stands for, where the formulary knows it."""
    for allergy in allergies:
        known = next((k for s, c in allergy.codings if s == RXNORM and (k := formulary.recognise(c))), None)
        system, code = allergy.codings[0]
        row = Allergy(
            id=uuid4(),
            patient_id=origin.patient_id,
            source_system=origin.source_system,
            received_at=origin.received or (allergy.recorded.at if allergy.recorded else origin.first),
            ingredient=known.ingredient if known else "",
            code_system=system,
            code=code,
            display=allergy.display,
            active=allergy.active,
        )
        if (place := ledger.place(allergy.source_id, allergy_signature(row))) is not None:
            row.source_id = place
            yield row


# The regimen


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the regimen to be, and whether its code was recognised. `new` is false for one that is held already."""

    entry: NewRegimenEntry
    recognised: bool
    new: bool


def regimen_signature(row: RegimenEntry | NewRegimenEntry) -> Signature:
    """What makes an order the same order; its date may have been moved by its neighbours, so it is not looked at."""
    stopped = row.stopped if isinstance(row, NewRegimenEntry) else row.status == RegimenEntry.STOPPED
    if not row.ingredient and row.unknown_reason == NO_LONGER_SAID:
        return (NO_LONGER_SAID,)
    nothing = row.nothing and not row.unknown_reason if isinstance(row, NewRegimenEntry) else row.status == "nothing"
    dose = None if row.daily_dose_mg is None else f"{row.daily_dose_mg:.3f}"
    of_no_drug = "" if row.ingredient else row.unknown_reason  # of a drug, what stands beside it moves this
    return (row.code_system, row.code, row.name, row.ingredient, row.product, dose, stopped, nothing, of_no_drug)


def regimen_lines(
    orders: Iterable[FhirMedication],
    known: Index,
    formulary: Formulary,
    ledger: Ledger,
    *,
    source_system: str,
    stored: list[RegimenEntry],
    noticed: datetime,
    taken_back: Iterable[str] = (),
) -> list[Line]:
    """Lines for all orders, dated so that none hides another. `stored` are the lines of the record, `taken_back` the
    identifiers that came and say nothing."""
    before = {base_of(row.source_id): row.starts_at for row in in_force(stored, noticed)}
    said = none_taken(orders, set(taken_back), stored, source_system=source_system, noticed=noticed)
    lines = []
    for order in said.orders:
        entry, recognised = _entry(order, known, formulary, source_system)
        place = ledger.place(order.source_id, regimen_signature(entry))
        since = before.get(order.source_id)
        if place is not None and since is not None and entry.starts_at <= since:
            entry = replace(entry, starts_at=max(noticed, since + A_MOMENT))
        lines.append(Line(replace(entry, source_id=place or order.source_id), recognised, new=place is not None))
    lines += [Line(entry, recognised=True, new=True) for entry in said.no_longer]
    return _side_by_side(lines, _running(stored))


def _running(stored: list[RegimenEntry]) -> list[RegimenEntry]:
    ended = {base_of(row.source_id) for row in stored if row.status == RegimenEntry.STOPPED}
    return [row for row in stored if base_of(row.source_id) not in ended]


def _entry(
    order: FhirMedication, known: Index, formulary: Formulary, source_system: str
) -> tuple[NewRegimenEntry, bool]:
    referred = known.drug_of(order.medication) if order.medication else None
    codings = order.codings or (referred.codings if referred else ())
    drug = _recognised(codings, formulary)
    strength = drug.strength.value if drug and drug.strength else None
    dose = daily_mg(order.doses, strength) if drug else None
    titrated = formulary.drug(drug.ingredient) if drug else None
    system, code = next((c for c in codings if c[0] == RXNORM), codings[0] if codings else ("", ""))
    stopped = order.taking is Taking.STOPPED
    if order.nothing:
        return nothing_line(order, source_system), True
    entry = NewRegimenEntry(
        source_system=source_system,
        source_id=order.source_id,
        ingredient=drug.ingredient if drug else "",
        name=drug.name if drug else order.name or (referred.name if referred else "") or code or "(not named)",
        drug_class=drug.drug_class if drug else None,
        product=(drug.product or "") if drug else "",
        daily_dose_mg=dose,
        step_index=position(titrated, Milligrams(dose)) if titrated and dose is not None else None,
        stopped=stopped,
        starts_at=order.at.at,
        unknown_reason=_unknown(order, codings, drug, dose is not None, stopped=stopped),
        code_system=system,
        code=code,
    )
    return entry, drug is not None


def _recognised(codings: Codings, formulary: Formulary) -> Recognised | None:
    """The one drug that all RxNorm codes of an order stand for; `None` when one is unknown or two disagree."""
    found = [formulary.recognise(code) for system, code in codings if system == RXNORM]
    sure = [each for each in found if each is not None]
    if not sure or len(sure) != len(found) or len({each.ingredient for each in sure}) != 1:
        return None
    return next((each for each in sure if each.strength is not None), sure[0])


def _unknown(order: FhirMedication, codings: Codings, drug: Recognised | None, dosed: bool, *, stopped: bool) -> str:
    if drug is None:
        return "unknown_code" if codings else "no_code"
    if order.unsure:
        return order.unsure
    return "" if dosed or stopped else order.dose_problem or "strength_not_known"


def _drug_key(row: RegimenEntry | NewRegimenEntry) -> str:
    return row.ingredient or f"{row.code_system}|{row.code}|{row.name}"


def _side_by_side(lines: list[Line], running: list[RegimenEntry]) -> list[Line]:
    """See the fourth rule of this module."""
    active: dict[str, list[RegimenEntry | NewRegimenEntry]] = defaultdict(list)
    again = {base_of(line.entry.source_id) for line in lines}
    for row in running:
        if base_of(row.source_id) not in again:
            active[_drug_key(row)].append(row)
    for line in lines:
        if not line.entry.stopped:
            active[_drug_key(line.entry)].append(line.entry)
    return [replace(line, entry=_beside(line.entry, active[_drug_key(line.entry)])) for line in lines]


def _beside(entry: NewRegimenEntry, active: list[RegimenEntry | NewRegimenEntry]) -> NewRegimenEntry:
    if not active or entry.unknown_reason == NO_LONGER_SAID:
        return entry
    if entry.stopped:
        return replace(entry, starts_at=min(entry.starts_at, min(a.starts_at for a in active) - A_MOMENT))
    if len({(a.product, a.daily_dose_mg) for a in active}) > 1 and not entry.unknown_reason:
        newest = max(a.starts_at for a in active)
        return replace(entry, starts_at=newest + A_MOMENT, unknown_reason="several_active_orders")
    return entry


def _stamp(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
