"""What the patient's API answers, as its description says it. The presenters make it; a test holds the two together."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ..models import Consent, Reminder

_text = serializers.CharField
_Out = serializers.Serializer


def _nullable(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(allow_null=True, **kwargs)


class ChangeOut(_Out[Any]):
    """A change of medicine in words; doses are totals a day."""

    sentence = _text()
    drug = _text(allow_blank=True)
    old_total_daily_dose = _nullable()
    new_total_daily_dose = _nullable()
    what_to_stop = _text(allow_blank=True)
    on_the_way = _text(allow_blank=True)
    note = _text(allow_blank=True)


class ProposalOut(_Out[Any]):
    """One recommendation as the patient reads it."""

    id = serializers.UUIDField()
    state = _text()
    in_words = _text()
    waits_for_you = serializers.BooleanField()
    change = ChangeOut(allow_null=True)
    message = _text(allow_blank=True)
    decided_by = _text(allow_blank=True)
    why = _text()
    how_to_get_a_person = _text()
    made_at = serializers.DateTimeField()
    answer_before = serializers.DateTimeField()


class ProposalListOut(_Out[Any]):
    """The newest recommendations."""

    recommendations = ProposalOut(many=True)


class AnsweredOut(_Out[Any]):
    """What an answer did."""

    id = serializers.UUIDField()
    answer = _text()
    in_words = _text()
    answered_at = serializers.DateTimeField()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class ReadingOut(_Out[Any]):
    """One reading; numbers as text, pressures in mmHg."""

    id = serializers.UUIDField()
    taken_at = serializers.DateTimeField()
    zone = _text()
    systolic = _nullable()
    diastolic = _nullable()
    unit = _text()
    pulse = _nullable()
    method = _text()
    held_back = _text(allow_blank=True)


class ReadingListOut(_Out[Any]):
    """A page of readings."""

    readings = ReadingOut(many=True)
    next_before = serializers.DateTimeField(allow_null=True)


class TakenOut(_Out[Any]):
    """What became of a reading."""

    id = serializers.UUIDField()
    source_id = _text()
    outcome = serializers.ChoiceField(choices=["stored", "duplicate", "quarantined"])
    code = _text(allow_blank=True)
    what_to_do_now = serializers.ListField(child=_text())
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class SymptomTakenOut(_Out[Any]):
    """What became of a symptom, and for which drugs the system holds still until a clinician has looked."""

    id = serializers.UUIDField()
    source_id = _text()
    outcome = serializers.ChoiceField(choices=["stored", "duplicate"])
    paused_for = serializers.ListField(child=_text())
    what_to_do_now = serializers.ListField(child=_text())
    how_to_get_a_person = _text()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class SymptomOut(_Out[Any]):
    """A symptom as reported."""

    id = serializers.UUIDField()
    kind = _text()
    in_words = _text()
    felt_at = serializers.DateTimeField()
    suspected_ingredient = _nullable()
    text = _text(allow_blank=True)


class IntakeOut(_Out[Any]):
    """One line of the intake log."""

    id = serializers.UUIDField()
    ingredient = _text()
    due_on = serializers.DateField()
    taken = serializers.BooleanField()
    taken_at = serializers.DateTimeField(allow_null=True)
    daily_dose_mg = _nullable()


class IntakeListOut(_Out[Any]):
    """A page of the log."""

    intakes = IntakeOut(many=True)


class MeanOut(_Out[Any]):
    """The mean of one day's cuff readings. Not the average treatment rests on."""

    systolic = _text()
    diastolic = _text()
    unit = _text()
    readings_counted = serializers.IntegerField()


class DayOut(_Out[Any]):
    """The digest of one day."""

    date = serializers.DateField()
    has_data = serializers.BooleanField()
    in_words = _text()
    readings = ReadingOut(many=True)
    mean_of_the_day = MeanOut(allow_null=True)
    intakes = IntakeOut(many=True)
    symptoms = SymptomOut(many=True)


class HistoryOut(_Out[Any]):
    """Days with data, newest first."""

    days = DayOut(many=True)
    next_before = serializers.DateField(allow_null=True)


class RecordNameOut(_Out[Any]):
    """Whose record."""

    id = serializers.UUIDField()
    name = _text()
    own = serializers.BooleanField()
    zone = _text()


class MeOut(_Out[Any]):
    """Who is signed in."""

    name = _text()
    roles = serializers.ListField(child=_text())
    records = RecordNameOut(many=True)


class PatientNameOut(_Out[Any]):
    """Whose day."""

    id = serializers.UUIDField()
    name = _text()
    zone = _text()


class AlertOut(_Out[Any]):
    """Something that needs attention."""

    kind = _text()
    in_words = _text()
    severity = _text()
    measured_at = serializers.DateTimeField()
    seen_by_a_person = serializers.BooleanField()


class MedicineOut(_Out[Any]):
    """A medicine taken now, or accepted and not begun (`next` says which dose comes, and how to say that it has)."""

    ingredient = _text(allow_blank=True)
    name = _text()
    total_daily_dose = _nullable()
    next = _text(allow_blank=True)


class VisitOut(_Out[Any]):
    """The next visit."""

    due_on = serializers.DateField()
    in_words = _text()


class ReminderOut(_Out[Any]):
    """What the patient was reminded of: a visit to come, or days to measure."""

    kind = serializers.ChoiceField(choices=list(Reminder.KINDS))
    due_on = serializers.DateField()
    in_words = _text()
    sent_at = serializers.DateTimeField()


class TodayOut(_Out[Any]):
    """Today in one answer; what to do now stands first."""

    patient = PatientNameOut()
    what_to_do_now = serializers.ListField(child=_text())
    alerts = AlertOut(many=True)
    day = DayOut()
    medicines = MedicineOut(many=True)
    waiting_for_you = ProposalOut(many=True)
    next_visit = VisitOut(allow_null=True)
    reminders = ReminderOut(many=True)
    how_to_get_a_person = _text()
    unattended = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()


class ConsentOut(_Out[Any]):
    """One thing a patient can agree to."""

    scope = serializers.ChoiceField(choices=list(Consent.SCOPES))
    meaning = _text()
    given = serializers.BooleanField()
    since = serializers.DateTimeField(allow_null=True)
    text = _text()
    text_version = _text()
    receipt = serializers.UUIDField(allow_null=True)


class ConsentReceiptOut(_Out[Any]):
    """A receipt in the names of Kantara's Consent Receipt 1.1, with the words that were shown."""

    version = _text()
    consentReceiptID = serializers.UUIDField()  # noqa: N815  (Kantara's name)
    consentTimestamp = serializers.IntegerField()  # noqa: N815
    at = serializers.DateTimeField()
    collectionMethod = _text()  # noqa: N815
    language = _text(allow_blank=True)
    piiPrincipalId = _text()  # noqa: N815
    piiControllers = serializers.ListField(child=serializers.DictField())  # noqa: N815
    given = serializers.BooleanField()
    services = serializers.ListField(child=serializers.DictField())
    sensitive = serializers.BooleanField()
    spiCat = serializers.ListField(child=_text())  # noqa: N815
    text = _text(allow_blank=True)
    textVersion = _text(allow_blank=True)  # noqa: N815
    textSha256 = _text(allow_blank=True)  # noqa: N815


class ConsentListOut(_Out[Any]):
    """All of them."""

    consents = ConsentOut(many=True)


class FieldErrorOut(_Out[Any]):
    """What is wrong with one field."""

    field = _text(allow_blank=True)
    code = _text()
    detail = _text()


class ProblemOut(_Out[Any]):
    """A refusal, RFC 9457: `code` is stable and for programs, `detail` is for people."""

    type = _text()
    title = _text()
    status = serializers.IntegerField()
    code = _text()
    detail = _text()
    field = _text(required=False, allow_blank=True)
    errors = FieldErrorOut(many=True, required=False)  # type: ignore[assignment]  # the framework's own name
