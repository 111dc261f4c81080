"""Medication orders and statements: which code, whether it is taken, and how much a day. Nothing is read from names.

The rules
 * An order counts by its `intent`: a proposal or an option is nobody's order yet. A plan is (US Core writes so what a
   patient says to take). `doNotPerform` is an order to stop.
 * That none are taken is said by a statement with a code for it and no other code, or by a list of medicines that is
   empty because nothing is known of after asking (`emptyReason`). A list that is empty for another reason says nothing.
   A statement with a code of a drug beside it contradicts itself (`codes_disagree`).
 * Whether it is taken comes from `status`. On hold, unknown, intended: nobody can say; the regimen is not fully known.
 * The dose a day is read from `dosageInstruction` only when amount, unit and timing are all stated. A bare number
   without a unit may be tablets or milligrams, so it is `dose_unit_not_stated`. As needed, ranges and doses that change
   over time are named too.
"""

from __future__ import annotations

from decimal import Decimal

from ..terminology import NoMedicines, UnitOf
from .documents import Json
from .resources import Dose, FhirDrug, FhirMedication, Taking
from .values import (
    Context,
    Refused,
    When,
    child,
    children,
    codings,
    display_of,
    quantity_of,
    reference,
    text,
    when,
    when_or_none,
)

GTS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
NOT_AN_ORDER = frozenset({"proposal", "option"})
NOT_YET = frozenset({"draft"})
STOPPED = frozenset({"stopped", "completed", "cancelled", "not-taken"})
UNSURE = {"on-hold": "on_hold", "intended": "not_yet_taken"}
_DAYS = {"h": Decimal(1) / 24, "d": Decimal(1), "wk": Decimal(7)}
_MG_PLACES = Decimal("0.001")
_MOST_MG = Decimal(100_000)


class _NoDose(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def medication(resource: Json, source_id: str, context: Context) -> FhirMedication | None:
    """A MedicationRequest or MedicationStatement; `None` for what is nobody's order. Raises `Refused`."""
    status = text(resource, "status")
    if text(resource, "intent") in NOT_AN_ORDER or status in NOT_YET:
        return None
    if status == "entered-in-error":
        raise Refused("entered_in_error")
    stopped = status in STOPPED or resource.get("doNotPerform") is True
    concept, name = _drug(resource)
    doses, problem = _doses(resource, context)
    none = [context.book.says_no_medicines(NoMedicines.STATEMENT, (coding,)) for coding in concept]
    disagree = any(none) and not all(none)
    return FhirMedication(
        source_id=source_id,
        patient=reference(resource, "subject"),
        codings=concept,
        medication="" if concept else reference(resource, "medicationReference"),
        name=name,
        taking=Taking.STOPPED if stopped else Taking.ACTIVE,
        unsure="codes_disagree" if disagree else _unsure(resource, status, stopped=stopped),
        at=_at(resource, context, stopped=stopped),
        doses=doses,
        dose_problem=problem,
        nothing=any(none) and all(none),
        ends=_ended(resource, context),
    )


def empty_list(resource: Json, source_id: str, context: Context) -> FhirMedication | None:
    """A List of medicines that says none are taken; `None` for every other List. Raises `Refused`."""
    why = child(resource, "emptyReason")
    named = context.book.says_no_medicines(NoMedicines.LIST, codings(child(resource, "code")))
    nothing = context.book.says_no_medicines(NoMedicines.EMPTY_REASON, codings(why))
    if not named or not nothing or resource.get("entry") or text(resource, "status") != "current":
        return None
    if "date" not in resource:
        raise Refused("no_time")
    return FhirMedication(
        source_id=source_id,
        patient=reference(resource, "subject"),
        codings=codings(why),
        medication="",
        name=display_of(why) or "No medicines",
        taking=Taking.ACTIVE,
        unsure="modified_order" if "modifierExtension" in resource else "",
        at=when(resource["date"], context),
        doses=(),
        dose_problem="",
        nothing=True,
    )


def _unsure(resource: Json, status: str, *, stopped: bool) -> str:
    """Why nobody can say whether it is taken; a modifier extension may turn the meaning of the order round."""
    if stopped:
        return ""
    if "modifierExtension" in resource:
        return "modified_order"
    return "" if status == "active" else UNSURE.get(status, "status_unknown")


def drug(resource: Json, aliases: tuple[str, ...]) -> FhirDrug:
    """A Medication resource."""
    concept = child(resource, "code")
    names = (text(i, "value") for i in children(resource, "identifier") if text(i, "system").endswith("-name"))
    return FhirDrug(aliases=aliases, codings=codings(concept), name=display_of(concept) or next(names, ""))


def _drug(resource: Json) -> tuple[tuple[tuple[str, str], ...], str]:
    """Codings and name, of the concept or of a contained Medication."""
    concept = child(resource, "medicationCodeableConcept")
    written = text(child(resource, "medicationReference"), "reference")
    if written.startswith("#"):
        inside = (c for c in children(resource, "contained") if text(c, "id") == written[1:])
        concept = child(next(inside, {}), "code")
    return codings(concept), display_of(concept) or text(child(resource, "medicationReference"), "display")


def _at(resource: Json, context: Context, *, stopped: bool) -> When:
    """Since when it is so: an order from its writing; a stop from its stated end, else from the order it ends."""
    period, validity = _periods(resource)
    if stopped and (ended := _ended(resource, context)):
        return ended
    begins = (
        resource.get("authoredOn"),
        resource.get("effectiveDateTime"),
        period.get("start"),
        validity.get("start"),
        resource.get("dateAsserted"),
    )
    for said in begins:
        if said is not None:
            return when(said, context)
    raise Refused("no_time")


def _periods(resource: Json) -> tuple[Json, Json]:
    return child(resource, "effectivePeriod"), child(child(resource, "dispenseRequest"), "validityPeriod")


def _ended(resource: Json, context: Context) -> When | None:
    """The stated end, past or to come."""
    ends = (period.get("end") for period in _periods(resource))
    return next((at for end in ends if end is not None and (at := when_or_none(end, context))), None)


def _doses(resource: Json, context: Context) -> tuple[tuple[Dose, ...], str]:
    key = "dosage" if resource.get("resourceType") == "MedicationStatement" else "dosageInstruction"
    instructions = list(children(resource, key))
    if not instructions:
        return (), "dose_not_stated"
    if len({str(each.get("sequence", 1)) for each in instructions}) > 1:
        return (), "dose_changes_over_time"
    try:
        return tuple(_dose(each, context) for each in instructions), ""
    except _NoDose as err:
        return (), err.why


def _dose(instruction: Json, context: Context) -> Dose:
    if instruction.get("asNeededBoolean") is True or "asNeededCodeableConcept" in instruction:
        raise _NoDose("as_needed")
    rates = list(children(instruction, "doseAndRate"))
    if len(rates) != 1 or "doseQuantity" not in rates[0]:
        raise _NoDose("dose_is_a_range" if any("doseRange" in rate for rate in rates) else "dose_not_stated")
    amount, unit = _amount(child(rates[0], "doseQuantity"), context)
    return Dose(amount=amount, unit=unit, per_day=_per_day(child(instruction, "timing"), context))


def _amount(quantity: Json, context: Context) -> tuple[Decimal, UnitOf]:
    for unit in (UnitOf.DOSE_MG, UnitOf.DOSE_UNITS):
        read = quantity_of(quantity, of=unit, context=context)
        if read.value is not None and read.exact and read.value > 0:
            return read.value, unit
    raise _NoDose("dose_unit_not_stated" if read.unreadable == "no_unit" else "dose_not_readable")


def _per_day(timing: Json, context: Context) -> Decimal:
    repeat = child(timing, "repeat")
    if "frequency" not in repeat and "period" not in repeat:
        codes = (code for system, code in codings(child(timing, "code")) if system == GTS)
        known = context.book.per_day(next(codes, ""))
        if known is None:
            raise _NoDose("timing_not_stated")
        return known
    if any(key in repeat for key in ("frequencyMax", "periodMax", "dayOfWeek", "timeOfDay", "when", "count")):
        raise _NoDose("timing_not_readable")
    frequency, period = repeat.get("frequency", 1), repeat.get("period")
    days = _DAYS.get(text(repeat, "periodUnit"))
    if days is None or not _positive(frequency) or not _positive(period):
        raise _NoDose("timing_not_readable")
    return Decimal(frequency) / (Decimal(period) * days)  # type: ignore[arg-type]  # _positive has just said so


def _positive(number: object) -> bool:
    return isinstance(number, int | Decimal) and not isinstance(number, bool) and 0 < number < _MOST_MG


def daily_mg(doses: tuple[Dose, ...], strength_mg: Decimal | None) -> Decimal | None:
    """Milligrams a day over all doses of a day; `None` when one of them cannot be told in milligrams."""
    each = [dose.daily_mg(strength_mg) for dose in doses]
    known = [one for one in each if one is not None]
    if not each or len(known) != len(each):
        return None
    total = sum(known, Decimal(0)).quantize(_MG_PLACES)
    return total if 0 < total < _MOST_MG else None
