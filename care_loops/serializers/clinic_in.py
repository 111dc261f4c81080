"""What a clinician's tool may send. Reasons are codes of a closed list; the service says which."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ..danger import LimitName
from ..domain.loops import DecisionKind
from ..models import Visit
from .strict import StrictChoice, StrictDate, StrictInteger, StrictNumber, StrictSerializer, StrictText


class SignatureIn(StrictSerializer):
    """A signature over what was asked: by a passkey (`credential`), or by password and code of the generator."""

    signing = serializers.UUIDField(help_text="the challenge it answers, as it was given")
    credential = serializers.DictField(
        required=False, help_text="the answer of `navigator.credentials.get`, as `PublicKeyCredential.toJSON` writes it"
    )
    password = StrictText(required=False, max_length=200, trim_whitespace=False)
    code = StrictText(required=False, max_length=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One way of signing, whole."""
        if attrs.keys() - {"signing"} not in ({"credential"}, {"password", "code"}):
            raise serializers.ValidationError(
                {
                    "credential": [
                        serializers.ErrorDetail("Sign by passkey, or by password and code.", code="signature_not_whole")
                    ]
                }
            )
        return attrs


class FirstAnswerIn(StrictSerializer):
    """What a clinician would do before they see the proposal: the key of a candidate, `stay`, or `other` in words."""

    answer = StrictText(max_length=120)
    free_text = StrictText(required=False, allow_blank=True, max_length=4000)
    seen_version = StrictInteger(min_value=1, max_value=1_000_000)


class DecisionIn(StrictSerializer):
    """Approve, modify or reject, of the version that was shown."""

    kind = StrictChoice(DecisionKind)
    reason_code = StrictText(required=False, allow_blank=True, max_length=60)
    free_text = StrictText(required=False, allow_blank=True, max_length=4000)
    seen_version = StrictInteger(min_value=1, max_value=1_000_000)
    candidate_key = StrictText(required=False, allow_null=True, max_length=120)
    signature = SignatureIn(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A candidate goes with modifying, and with nothing else."""
        modifies = attrs["kind"] == DecisionKind.MODIFY
        if modifies != (attrs.get("candidate_key") is not None):
            words = "Name the change you prescribe." if modifies else "Only a modification names another change."
            raise serializers.ValidationError(
                {"candidate_key": [serializers.ErrorDetail(words, code="candidate_mismatch")]}
            )
        return attrs


class OrderIn(StrictSerializer):
    """A change written without a proposal: one of the candidates of the patient's regimen, with its reason."""

    candidate_key = StrictText(max_length=120)
    reason_code = StrictText(max_length=60)
    free_text = StrictText(required=False, allow_blank=True, max_length=4000)
    override = serializers.ListField(
        child=StrictText(max_length=60), required=False, max_length=20, help_text="hard rules overridden, by name"
    )
    signature = SignatureIn(required=False)


class DispositionIn(StrictSerializer):
    """How an alert ended."""

    code = StrictText(max_length=60)
    text = StrictText(required=False, allow_blank=True, max_length=4000)


class AlertLimitsIn(StrictSerializer):
    """Where this patient's alerts speak earlier: pressures in mmHg, rates a minute. What is left out is the site's."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """One number for each limit there is, and the signature."""
        limits = {name.value: StrictNumber(least="1", most="300", places=1, required=False) for name in LimitName}
        return {**limits, "signature": SignatureIn(required=False)}


class VisitIn(StrictSerializer):
    """What became of a visit, and what was talked of. `on_day` is needed when it was held."""

    outcome = StrictChoice(Visit.OUTCOMES)
    on_day = StrictDate(required=False)
    diet = StrictText(required=False, allow_blank=True, max_length=2000)
    activity = StrictText(required=False, allow_blank=True, max_length=2000)
    sleep = StrictText(required=False, allow_blank=True, max_length=2000)
    stress = StrictText(required=False, allow_blank=True, max_length=2000)
    note = StrictText(required=False, allow_blank=True, max_length=2000)


class NothingIn(StrictSerializer):
    """An empty object."""
