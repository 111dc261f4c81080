"""What the clinician's API answers, as its description says it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .phone_out import ProblemOut

_text = serializers.CharField
_Out = serializers.Serializer


class PatientLineOut(_Out[Any]):
    """Whose item."""

    id = serializers.UUIDField()
    name = _text()


class SignatureNeededOut(ProblemOut):
    """What has to be signed, and the challenge: send the command again with the member `signature`."""

    signing = serializers.UUIDField(required=False, help_text="the challenge")
    signer = _text(required=False, help_text="the printed name")
    meaning = _text(required=False)
    record = serializers.DictField(required=False, help_text="the record as shown, which is what is signed")
    record_sha256 = _text(required=False)
    good_until = serializers.DateTimeField(required=False)
    methods = serializers.ListField(child=_text(), required=False, help_text="webauthn, password_totp")
    options = serializers.DictField(required=False, help_text="for `navigator.credentials.get`")


class WorkItemOut(_Out[Any]):
    """One thing that waits. `id` is of the alert, recommendation or symptom that `kind` says."""

    kind = _text()
    id = serializers.UUIDField()
    risk = _text()
    patient = PatientLineOut()
    at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    words = _text(allow_blank=True)


class WorklistOut(_Out[Any]):
    """What waits for this person, the most urgent first."""

    items = WorkItemOut(many=True)


class RuleOut(_Out[Any]):
    """A rule that spoke."""

    code = _text()
    severity = _text()
    words = _text()
    citation = _text(allow_blank=True)


class CandidateOut(_Out[Any]):
    """A change that was considered."""

    key = _text()
    sentence = _text()
    barred = serializers.BooleanField()
    cautioned = serializers.BooleanField()
    rules = RuleOut(many=True)


class RecommendationOut(_Out[Any]):
    """One recommendation as a clinician decides it; `version` goes back as `seen_version`."""

    id = serializers.UUIDField()
    patient = PatientLineOut()
    state = _text()
    version = serializers.IntegerField()
    tier = _text()
    heading = _text()
    decide_first = serializers.BooleanField(help_text="say first what you would do; then the proposal is shown")
    withheld = _text(allow_blank=True)
    candidates = CandidateOut(many=True)
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    evidence_digest = _text()
    decision_evidence = serializers.ChoiceField(choices=["witnessed", "signed", "not_yet"], allow_null=True)


class FirstAnswerOut(_Out[Any]):
    """An answer that is recorded; the proposal is shown from now on."""

    id = serializers.UUIDField()
    recommendation = serializers.UUIDField()
    answer = _text()
    said_at = serializers.DateTimeField()


class DecidedOut(_Out[Any]):
    """A signed decision."""

    id = serializers.UUIDField()
    recommendation = serializers.UUIDField()
    kind = _text()
    decided_by = _text()
    decided_at = serializers.DateTimeField()
    signature = serializers.UUIDField()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class OrderedOut(_Out[Any]):
    """A change a clinician wrote."""

    recommendation = serializers.UUIDField()
    state = _text()
    version = serializers.IntegerField()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class AlertLimitsOut(_Out[Any]):
    """A signed version of a patient's alert limits."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    limits = serializers.DictField(child=_text())
    signed_by = _text()
    signed_at = serializers.DateTimeField()
    signature = serializers.UUIDField()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class RecordedVisitOut(_Out[Any]):
    """What became of a visit."""

    id = serializers.UUIDField()
    outcome = _text()
    on_day = serializers.DateField()
    recorded_at = serializers.DateTimeField()
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")


class AlertStateOut(_Out[Any]):
    """Where an alert stands."""

    id = serializers.UUIDField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    disposed_at = serializers.DateTimeField(allow_null=True)
    receipt = _text(required=False, help_text="Signed promise that the act stands in the record; keep it.")
