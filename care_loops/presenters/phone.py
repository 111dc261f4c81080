"""What a patient reads: plain words, no code, no jargon, and always how to reach a person.

Rules
 * A change says old and new total daily dose and what to stop; it says who decided and why (CLI-13, HTN-04).
 * A danger says what to do now, first, in the words of the rule's own asks (CLINICAL 1.3). An ask with no words for
   patients is a clinician's and is not shown.
 * A day's mean is called that. The average that treatment rests on is another one, made by its own rule.
 * Numbers leave as text with the unit beside them, so that no reader rounds them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ..consent_texts import text_now
from ..domain.alerts import AlertSeverity, Ask
from ..domain.loops import LoopState
from ..domain.record import Regimen
from ..domain.units import MmHg
from ..models import Alert, Consent, IntakeLog, Loop, RegimenEntry, Symptom
from ..selectors.phone import Day, Holds
from ..selectors.summary import ReadingSeen
from ..selectors.suspended import less_was_signed
from . import words
from .changes import ChangeShown, change_shown, milligrams

EMERGENCY = "Call your local emergency number now. Do not wait, and do not drive yourself."
DO_NOW: Mapping[Ask, str] = {
    Ask.CALL_EMERGENCY: EMERGENCY,
    Ask.REPEAT_NOW: "Sit down, rest five minutes, and measure again now.",
    Ask.MEASURE_NOW: "Measure your blood pressure now.",
    Ask.CUFF_READING: "Measure with your upper-arm cuff: a reading without a cuff is not enough.",
    Ask.SYMPTOM_QUESTIONNAIRE: (
        "Do you have chest pain, trouble breathing, back pain, numbness, weakness, a change of vision or trouble"
        " speaking? If you do, call your local emergency number now. Otherwise report how you feel here."
    ),
    Ask.CONTACT_CARE_TEAM: "Call your care team today.",
    Ask.STANDING_PRESSURE: "Stand up slowly. Measure again after one minute of standing.",
}
PERSON = (
    "Press “Ask a person instead” and your care team decides with you. You can also call them."
    " If you feel very unwell, call your local emergency number."
)
UNATTENDED = (
    "Nobody watches what you send at every hour. If you feel very unwell, do not wait for an answer here:"
    " call your local emergency number."
)
CONSENTS: Mapping[str, str] = {
    "care": "Your care team may use your record to treat you.",
    "automated_advice": "The system may propose changes of your medicines within limits your clinician signed.",
    "research": "Your record may be used for research.",
    "raw_upload": "Your devices may send everything they measure.",
    "human_only_care": "Only people decide about your medicines; the system proposes nothing.",
}
_OUTCOMES: Mapping[LoopState, str] = {
    LoopState.WITH_PATIENT: "This waits for you.",
    LoopState.DELIVERED: "This waits for you.",
    LoopState.ACCEPTED: "You accepted. It counts once you log the first dose.",
    LoopState.DECLINED: "You declined. Nothing changes.",
    LoopState.RECALLED: "Your clinician has taken this back. Do not follow it.",
    LoopState.DONE: "Done. Your medicine has been changed.",
}
WAITING = frozenset({LoopState.WITH_PATIENT, LoopState.DELIVERED})
FOLLOWED = frozenset({LoopState.ACCEPTED, LoopState.DONE})

HELD = "Your care team looks at what you reported first. Do not change anything yet."
LAPSED = "This no longer stands. Ask a person before you change anything."
STOPPED = "Your care team has stopped this for now. Do not change anything yet."


def proposal(loop: Loop, holds: Holds, now: datetime) -> dict[str, Any]:
    """One recommendation as the patient reads it. What a danger or a side effect holds waits for no answer, and what
    is not to be followed now carries no instruction to follow."""
    state, frozen = LoopState(loop.state), final_change(loop)
    change = change_shown(frozen)
    stopped = state in WAITING and holds.suspends(loop)
    held = stopped or (state in WAITING | {LoopState.ACCEPTED} and holds.against(loop, frozen))
    lapsed = not held and state in WAITING and loop.pk in holds.lapsed
    waits = state in WAITING and not held and not lapsed and (now < loop.expires_at or less_was_signed(loop))
    stands = waits or (state in FOLLOWED and not held)
    decided_by, why = _who_and_why(loop)
    return {
        "id": str(loop.pk),
        "state": state.value,
        "in_words": STOPPED if stopped else HELD if held else LAPSED if lapsed else _OUTCOMES[state],
        "waits_for_you": waits,
        "change": _change(change, stands=stands),
        "message": _newest_message(loop, stands=stands),
        "decided_by": decided_by,
        "why": why,
        "how_to_get_a_person": PERSON,
        "made_at": loop.opened_at.isoformat(),
        "answer_before": loop.expires_at.isoformat(),
    }


def _newest_message(loop: Loop, *, stands: bool) -> str:
    """The newest message; of a change that does not stand, only the one that takes it back."""
    said = (message for message in loop.messages.all() if stands or message.kind == "recalled")
    sent = sorted(said, key=lambda message: message.sent_at)
    return sent[-1].text if sent else ""


def final_change(loop: Loop) -> dict[str, Any]:
    """The change that stands: the clinician's, or within a boundary the one proposed."""
    decision = getattr(loop, "decision", None)
    if decision is not None:
        return dict(json.loads(decision.final_change))
    frozen: dict[str, Any] = json.loads(loop.outcome)["change"]
    return frozen


def _change(shown: ChangeShown | None, *, stands: bool) -> dict[str, Any] | None:
    if shown is None:
        return None
    return {
        "sentence": shown.sentence + ".",
        "drug": shown.drug,
        "old_total_daily_dose": shown.old,
        "new_total_daily_dose": shown.new,
        "what_to_stop": shown.stop if stands else "",
        "on_the_way": shown.taper if stands else "",
        "note": shown.note,
    }


def _who_and_why(loop: Loop) -> tuple[str, str]:
    decision = getattr(loop, "decision", None)
    if decision is not None:
        who = decision.decided_by.printed_name
        said = decision.reason_code not in ("", "agrees_with_plan", "other")
        because = f" Reason: {words.opened(decision.reason_code)}." if said else ""
        if loop.origin == "order":
            return who, f"{who} wrote this change for you.{because}"
        return who, f"{who} looked at your readings and {words.decision(decision.kind)} this.{because}"
    signer = loop.boundary.signed_by.printed_name if loop.boundary else ""
    return signer, (
        f"Your readings are not where your target is. {signer} has signed that a small step like this may come to you"
        " directly."
    )


def day_digest(day: Day) -> dict[str, Any]:
    """One day: what was measured, taken and felt."""
    return {
        "date": day.day.isoformat(),
        "has_data": day.has_data,
        "in_words": _day_words(day),
        "readings": [reading(one) for one in day.readings],
        "mean_of_the_day": _mean(day),
        "intakes": [intake(one) for one in day.intakes],
        "symptoms": [symptom(one) for one in day.symptoms],
    }


def _mean(day: Day) -> dict[str, Any] | None:
    if day.mean_systolic is None or day.mean_diastolic is None:
        return None
    return {
        "systolic": _rounded(day.mean_systolic),
        "diastolic": _rounded(day.mean_diastolic),
        "unit": "mmHg",
        "readings_counted": day.counted,
    }


def _rounded(pressure: MmHg) -> str:
    return str(pressure.rounded())


def _day_words(day: Day) -> str:
    if not day.has_data:
        return "Nothing was measured or logged on this day."
    parts = []
    if day.readings:
        parts.append(f"{len(day.readings)} reading{'s' if len(day.readings) > 1 else ''}")
    if day.mean_systolic is not None and day.mean_diastolic is not None:
        parts.append(f"mean of the day {_rounded(day.mean_systolic)}/{_rounded(day.mean_diastolic)} mmHg")
    if day.intakes:
        taken = sum(one.taken for one in day.intakes)
        parts.append(f"doses logged: {taken} taken, {len(day.intakes) - taken} not taken")
    if day.symptoms:
        parts.append(f"{len(day.symptoms)} symptom{'s' if len(day.symptoms) > 1 else ''} reported")
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:] + "."


def reading(seen: ReadingSeen) -> dict[str, Any]:
    """One reading, and whether something is wrong with it."""
    return {
        "id": seen.reading_id,
        "taken_at": seen.taken_at.isoformat(),
        "zone": seen.zone,
        "systolic": _plain(seen.systolic),
        "diastolic": _plain(seen.diastolic),
        "unit": "mmHg",
        "pulse": _plain(seen.pulse),
        "method": seen.method.value,
        "held_back": words.implausible(seen.quarantined) if seen.quarantined else words.opened(seen.corrected),
    }


def _plain(quantity: Any) -> str | None:
    return None if quantity is None else format(quantity.value.normalize(), "f")


def intake(row: IntakeLog) -> dict[str, Any]:
    """One line of the intake log."""
    return {
        "id": str(row.pk),
        "ingredient": row.ingredient,
        "due_on": row.due_on.isoformat(),
        "taken": row.taken,
        "taken_at": row.taken_at.isoformat() if row.taken_at else None,
        "daily_dose_mg": format(row.daily_dose_mg.normalize(), "f") if row.daily_dose_mg is not None else None,
    }


def symptom(row: Symptom) -> dict[str, Any]:
    """One symptom as it was reported."""
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "in_words": words.symptom(row.kind),
        "felt_at": row.felt_at.isoformat(),
        "suspected_ingredient": row.suspected_ingredient or None,
        "text": row.text,
    }


def what_to_do_now(alerts: Iterable[Alert]) -> list[str]:
    """What the open alerts ask of the patient, the gravest first, each thing once."""
    graver_first = sorted(alerts, key=lambda alert: -AlertSeverity(alert.severity).rank)
    asked = [Ask(ask) for alert in graver_first for ask in alert.asks]
    emergency_first = sorted(asked, key=lambda ask: ask is not Ask.CALL_EMERGENCY)
    return list(dict.fromkeys(DO_NOW[ask] for ask in emergency_first if ask in DO_NOW))


def alert(row: Alert) -> dict[str, Any]:
    """One thing that needs attention."""
    return {
        "kind": row.kind,
        "in_words": words.alert_kind(row.kind),
        "severity": row.severity,
        "measured_at": row.measured_at.isoformat(),
        "seen_by_a_person": row.acknowledged_at is not None,
    }


def consents(found: Mapping[str, Consent]) -> list[dict[str, Any]]:
    """Every scope with what it means and where it stands; never agreed to is not agreed."""
    return [
        {
            "scope": scope,
            "meaning": CONSENTS[scope],
            "given": found[scope].given if scope in found else False,
            "since": found[scope].at.isoformat() if scope in found else None,
            "text": text_now(scope).text,
            "text_version": text_now(scope).version,
            "receipt": str(found[scope].entry) if scope in found else None,
        }
        for scope in Consent.SCOPES
    ]


_ANSWERED: Mapping[str, str] = {
    "accept": "Thank you. Log the first dose when you take it; only then the change counts.",
    "decline": "Nothing changes. Your care team can see that you declined.",
    "ask_person": "Your care team will decide with you. Go on as before until you hear from them.",
}


def answered(loop_id: object, answer: str, now: datetime) -> dict[str, Any]:
    """What the patient reads after an answer."""
    return {
        "id": str(loop_id),
        "answer": answer,
        "in_words": _ANSWERED[answer],
        "answered_at": now.isoformat(),
    }


def medicines(regimen: Regimen, awaited: Iterable[RegimenEntry] = ()) -> list[dict[str, Any]]:
    """What is taken now, and what was accepted and not begun; a line the record cannot read is shown as that."""
    begins = {line.ingredient: line for line in awaited}
    known = [
        {
            "ingredient": drug.ingredient,
            "name": drug.name,
            "total_daily_dose": milligrams(drug.daily_dose.value) if drug.daily_dose else None,
            "next": _next(begins.pop(drug.ingredient, None)),
        }
        for drug in regimen.drugs
    ]
    new = [
        {"ingredient": line.ingredient, "name": line.name, "total_daily_dose": None, "next": _next(line)}
        for line in begins.values()
        if line.status == RegimenEntry.ACTIVE
    ]
    unread = [
        {"ingredient": "", "name": f"Not fully known: {words.opened(line)}", "total_daily_dose": None, "next": ""}
        for line in regimen.unknown
    ]
    return known + new + unread


def _next(line: RegimenEntry | None) -> str:
    """What the patient accepted for this medicine and has not begun."""
    if line is None:
        return ""
    if line.status != RegimenEntry.ACTIVE:
        return "You accepted to stop it. Press “Not taken” once you have stopped."
    return f"From your next dose: {milligrams(line.daily_dose_mg)} a day in all. Press “Taken” once you took it."
