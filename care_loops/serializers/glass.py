"""What a tool sends to open a record in an emergency, and what it is answered."""

from __future__ import annotations

from rest_framework import serializers

from ..break_glass import glass_rules
from .clinic_in import SignatureIn
from .strict import StrictChoice, StrictSerializer, StrictText


class GlassIn(StrictSerializer):
    """Why: a code of the list, and words. The patient sees both."""

    reason_code = StrictChoice(tuple(code for code, _ in glass_rules().reasons))
    text = StrictText(max_length=2000)
    signature = SignatureIn(required=False)


class OpeningOut(serializers.Serializer[object]):
    """One opening."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField()
    reason_code = serializers.CharField()
    opened_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    open = serializers.BooleanField()
    ended_at = serializers.DateTimeField(allow_null=True)
    reviewed = serializers.BooleanField()
    receipt = serializers.CharField(required=False, help_text="our signed promise that the act stands in the record")


class OpeningListOut(serializers.Serializer[object]):
    """What this person opened, newest first."""

    openings = OpeningOut(many=True)
