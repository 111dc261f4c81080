"""What a patient reports: readings, symptoms, doses. Danger is answered in the same breath with what to do now.

Rules
 * What is sent is stored, a duplicate, or a conflict, and the answer says which. A conflict is answered 409 and still
   nothing is lost: a reading and a symptom are kept beside the first and have run the danger rules.
 * What is refused, for whatever reason but who may send it, is kept where it can be looked at. What can be read of a
   refused reading, and the kind of a refused symptom, is looked at for danger in the transaction that keeps it (N4).
 * A sender's names for things are the sender's own: two patients may use the same one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from governance.domain import NotAllowed, NotFound, Permission, Refusal

from ..domain.parts import PartsRead
from ..domain.readings import Flag, Implausible, Method, Position, Reading, Setting
from ..domain.record import SymptomKind
from ..domain.units import Bpm, MmHg
from ..models import Patient
from ..presenters import phone as show
from ..selectors import phone
from ..serializers.phone_in import IntakeIn, IntakesQuery, ReadingIn, ReadingsQuery, SymptomIn, WhoseRecord
from ..serializers.phone_out import IntakeListOut, IntakeOut, ReadingListOut, SymptomTakenOut, TakenOut
from ..serializers.phone_parts import parts_said, symptoms_said
from ..services.clinical import NewSymptom, record_symptom
from ..services.intake import NewIntake, log_intake
from ..services.refused import RefusedBody, keep_refused
from ..services.refused_parts import RefusedArrival, name_of, refuse_reading
from ..services.refused_symptoms import SymptomSaid, refuse_symptom
from ..services.take_in import Arrival, take_in
from .base import PhoneDoor
from .idempotency import KeyAtWork, once
from .reading import read
from .schema import KEY_OPTIONAL, REFUSALS

_STORED_PLACES = Decimal("0.0001")


class SourceConflict(Refusal):
    """The same name was used before for something else."""

    code = "conflicting_content"


class ReportDoor(PhoneDoor):
    """A door that takes reports: what it refuses is kept."""

    kind = ""
    permission = Permission.SEND_READING

    def handle_exception(self, exc: Exception) -> Any:
        """Keep what could not be taken, then answer as always, and with what to do now."""
        asked = self._keep(exc) if self._is_kept(exc) else []
        answer = super().handle_exception(exc)
        if asked and isinstance(answer, Response):
            answer.data["what_to_do_now"] = asked
        return answer

    def _is_kept(self, exc: Exception) -> bool:
        """Whether somebody who was let in sent something that is refused for what it is, and not for who sent it."""
        if not (hasattr(self, "asked") and self.sent):
            return False
        if isinstance(exc, APIException):
            return 400 <= exc.status_code < 500
        return isinstance(exc, Refusal) and not isinstance(exc, NotAllowed | NotFound | KeyAtWork)

    def _keep(self, exc: Exception) -> list[str]:
        patient = self._whose()
        refused = RefusedBody(
            source_system=system_of(patient.pk if patient else None),
            source_id=_said_id(self.sent),
            resource_type=self.kind,
            reason=exc.code if isinstance(exc, Refusal) else str(getattr(exc, "default_code", "refused")),
            detail=exc.detail if isinstance(exc, Refusal) else str(exc),
            body=self.sent,
        )
        if patient is not None and not isinstance(exc, SourceConflict) and self.look(refused, patient):
            return show.what_to_do_now(phone.open_alerts_of(patient))
        keep_refused(refused, patient_id=patient.pk if patient else None, by=self.acting, now=self.now)
        return []

    def _whose(self) -> Patient | None:
        """Whose record was meant: nobody's, where a record was named that cannot be read and there are several."""
        named = self.request.query_params.getlist("patient")
        try:
            if named and "patient" not in self.asked:
                self.asked = {"patient": phone.record_meant(self.acting, named, now=self.now)}
            return self.record(self.permission)
        except Refusal:
            return None

    def look(self, refused: RefusedBody, patient: Patient) -> bool:
        """Keep what was refused and look at it for danger; whether there was anything to look at."""
        return False


class Readings(ReportDoor):
    """Blood pressure as the patient measured it."""

    kind = "reading"
    query = ReadingsQuery

    @extend_schema(operation_id="me_readings", parameters=[ReadingsQuery], responses={200: ReadingListOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """The newest first, page by page."""
        patient = self.read_record("readings")
        before = self.asked.get("before") or self.now
        found = phone.recent_readings(patient, before=before, limit=self.asked.get("limit", 50))
        following = found[-1].taken_at.isoformat() if found else None
        return Response({"readings": [show.reading(one) for one in found], "next_before": following})

    @extend_schema(
        operation_id="me_send_reading",
        request=ReadingIn,
        parameters=[KEY_OPTIONAL, WhoseRecord],
        responses={201: TakenOut, **REFUSALS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Take one reading in. The answer says what became of it and what to do now."""
        patient = self.record(self.permission)
        sent = read(ReadingIn, request.data, now=self.now)
        arrival = Arrival(system_of(patient.pk), sent["source_id"], _reading(sent, patient))

        def work() -> dict[str, Any]:
            taken = take_in(patient.pk, [arrival], by=self.acting, now=self.now, received_at=self.now)
            result = taken.results[0]
            return {
                "id": str(result.reading_id),
                "source_id": result.source_id,
                "outcome": result.outcome.value,
                "code": result.code,
                "what_to_do_now": show.what_to_do_now(phone.open_alerts_of(patient)),
            }

        return self._unless_conflict(once(self, request, work, status=201, key_needed=False))

    def look(self, refused: RefusedBody, patient: Patient) -> bool:
        """What can be read of a refused reading is looked at for danger (N4)."""
        parts = parts_said(self.sent, now=self.now)
        if not any(one.measured for one in parts):
            return False
        why = Implausible.FUTURE if refused.reason == "in_future" else Implausible.PARTLY_READ
        arrivals = [_refused(one, refused, why) for one in parts]
        refuse_reading(refused, arrivals, patient_id=patient.pk, by=self.acting, now=self.now)
        return True

    @staticmethod
    def _unless_conflict(answer: HttpResponse) -> HttpResponse:
        said = json.loads(answer.content)
        if said["outcome"] == "conflict":
            del said["code"]  # the refusal has its own
            raise SourceConflict("This name was used before for another reading; both are kept.", **said)
        return answer


class Symptoms(ReportDoor):
    """What the patient feels."""

    kind = "symptom"
    permission = Permission.REPORT_SYMPTOM

    @extend_schema(
        operation_id="me_report_symptom",
        request=SymptomIn,
        parameters=[KEY_OPTIONAL, WhoseRecord],
        responses={201: SymptomTakenOut, **REFUSALS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Take one symptom in. One blamed on a drug pauses automation for that drug at once."""
        patient = self.record(self.permission)
        sent = read(SymptomIn, request.data, now=self.now)
        new = NewSymptom(
            source_system=system_of(patient.pk),
            source_id=sent["source_id"],
            kind=SymptomKind(sent["kind"]),
            suspected_ingredient=sent.get("suspected_ingredient") or "",
            text=sent.get("text", ""),
            felt_at=sent["felt_at"],
        )

        def work() -> dict[str, Any]:
            recorded = record_symptom(patient.pk, new, by=self.acting, now=self.now)
            beside = not recorded.new and phone.symptom_differs(recorded.row_id, _said(new))
            if beside:  # the same name for something else felt: it is kept too, and judged too
                recorded = record_symptom(
                    patient.pk, replace(new, source_id=_other_name(new)), by=self.acting, now=self.now
                )
            return {
                "id": str(recorded.row_id),
                "source_id": new.source_id,
                "outcome": "conflict" if beside else "stored" if recorded.new else "duplicate",
                "paused_for": [new.suspected_ingredient] if new.suspected_ingredient else [],
                "what_to_do_now": show.what_to_do_now(phone.open_alerts_of(patient)),
                "how_to_get_a_person": show.PERSON,
            }

        answer = once(self, request, work, status=201, key_needed=False)
        said = json.loads(answer.content)
        if said["outcome"] == "conflict":
            raise SourceConflict("This name was used before for another symptom; both are kept.", **said)
        return answer

    def look(self, refused: RefusedBody, patient: Patient) -> bool:
        """The kind of a refused symptom is looked at for danger (N4)."""
        said = [SymptomSaid(kind, felt_at) for kind, felt_at in symptoms_said(self.sent, now=self.now)]
        if said:
            refuse_symptom(refused, said, patient_id=patient.pk, by=self.acting, now=self.now)
        return bool(said)


class Intakes(ReportDoor):
    """Doses taken and not taken."""

    kind = "intake"
    permission = Permission.LOG_INTAKE
    query = IntakesQuery

    @extend_schema(operation_id="me_intakes", parameters=[IntakesQuery], responses={200: IntakeListOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """The log, newest day first."""
        patient = self.read_record("intakes")
        before = self.asked.get("before")
        found = phone.recent_intakes(patient, before=before, limit=self.asked.get("limit", 50))
        return Response({"intakes": [show.intake(one) for one in found]})

    @extend_schema(
        operation_id="me_log_intake",
        request=IntakeIn,
        parameters=[KEY_OPTIONAL, WhoseRecord],
        responses={201: IntakeOut, **REFUSALS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Log one dose. The first of an accepted change confirms it."""
        patient = self.record(self.permission)
        sent = read(IntakeIn, request.data, now=self.now)
        taken_at = sent.get("taken_at")
        new = NewIntake(
            source_system=system_of(patient.pk),
            source_id=sent["source_id"],
            ingredient=sent["ingredient"],
            due_on=sent["due_on"],
            taken=sent["taken"],
            # A phone's clock may run ahead by the minutes that are allowed; a dose is then taken now.
            taken_at=min(taken_at, self.now) if taken_at else None,
            daily_dose_mg=sent.get("daily_dose_mg"),
        )

        def work() -> dict[str, Any]:
            row = log_intake(patient.pk, new, by=self.acting, now=self.now)
            if phone.intake_differs(row, _dose(new)):
                raise SourceConflict("This name was used before for another dose.", source_id=new.source_id)
            return show.intake(row)

        return once(self, request, work, status=201, key_needed=False)


def system_of(patient_id: UUID | None) -> str:
    """The source system of what a patient's phone sends: each patient's names are their own."""
    return f"phone:{patient_id}" if patient_id else "phone"


def _reading(sent: Mapping[str, Any], patient: Patient) -> Reading:
    return Reading(
        reading_id=sent["source_id"],
        taken_at=sent["taken_at"],
        zone=sent.get("zone", patient.zone),
        systolic=_pressure(sent["systolic"], sent["unit"]),
        diastolic=_pressure(sent["diastolic"], sent["unit"]),
        pulse=Bpm(sent["pulse"]) if sent.get("pulse") is not None else None,
        method=Method(sent["method"]),
        setting=Setting(sent["setting"]),
        position=Position(sent["position"]),
        device_validated=sent["device_validated"],
        flags=tuple(dict.fromkeys(Flag(flag) for flag in sent.get("flags", ()))),
        device_id=sent.get("device") or None,
        session=sent.get("session") or None,
    )


def _refused(parts: PartsRead, refused: RefusedBody, why: Implausible) -> RefusedArrival:
    """The parts of a reading that is refused, under a name of their own: the reading itself may still come."""
    return RefusedArrival(
        source_system=refused.source_system,
        source_id=name_of(refused.source_id, refused.body + repr(parts).encode()),
        parts=parts,
        method=parts.method or Method.UNKNOWN,
        setting=Setting.HOME,
        why=why,
    )


def _pressure(value: Decimal, unit: str) -> MmHg:
    """In mmHg, with as many places as are stored, so that what is sent again is known again."""
    pressure = MmHg.from_kpa(value) if unit == "kPa" else MmHg(value)
    return MmHg(pressure.value.quantize(_STORED_PLACES, rounding=ROUND_HALF_UP))


def _said(new: NewSymptom) -> tuple[str, str, str, datetime]:
    return new.kind.value, new.suspected_ingredient, new.text, new.felt_at


def _dose(new: NewIntake) -> tuple[str, date, bool, datetime | None, Decimal | None]:
    return new.ingredient, new.due_on, new.taken, new.taken_at, new.daily_dose_mg


def _other_name(new: NewSymptom) -> str:
    content = f"{new.kind.value}|{new.suspected_ingredient}|{new.felt_at.isoformat()}|{new.text}"
    return f"{new.source_id}#{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _said_id(body: bytes) -> str:
    """The sender's name inside a refused body, when it can be made out."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    name = said.get("source_id", "") if isinstance(said, dict) else ""
    return name.replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(name, str) else ""
