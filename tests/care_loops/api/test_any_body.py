"""Whatever is sent to whichever door: an answer the description knows, never a fault of the server."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.care_loops.api.test_reports import at, reading
from tests.care_loops.api.world import AMLODIPINE

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["mmHg", "kPa", "cough", "care", "2026-01-01", "2026-01-01T00:00:00Z", "upper_arm_cuff", "home"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
SYMPTOM = {"source_id": "s", "kind": "cough", "suspected_ingredient": None, "text": ""}
DOSE = {"source_id": "d", "ingredient": AMLODIPINE, "taken": True, "daily_dose_mg": 5}
GOOD = {
    "me/readings": reading,
    "me/symptoms": lambda: SYMPTOM | {"felt_at": at(hours=1)},
    "me/intakes": lambda: DOSE | {"due_on": at()[:10], "taken_at": at(hours=1)},
    "me/consents": lambda: {"scope": "research", "given": True},
}


@pytest.mark.parametrize("where", sorted(GOOD))
def test_no_body_breaks_a_door(world, where):
    phone, answered = world.marys, set()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def send(data):
        body = GOOD[where]()
        for field in data.draw(st.sets(st.sampled_from(sorted(body)), max_size=2)):
            body[field] = data.draw(values)
        if data.draw(st.booleans()):
            body[data.draw(st.text(max_size=8))] = data.draw(values)
        raw = json.dumps(body).encode() if data.draw(st.integers(0, 9)) else data.draw(st.binary(max_size=60))
        answer = phone.post(where, raw=raw)
        answered.add(answer.status_code)
        assert answer.status_code < 500
        assert answer["Content-Type"] in ("application/json", "application/problem+json")
        assert json.loads(answer.content)

    send()
    assert answered & {200, 201}, "the generator reaches what is taken"
    assert 400 in answered, "and what is refused"


@pytest.mark.parametrize("header", ["Idempotency-Key", "Authorization", "Accept", "Content-Type", "X-Request-ID"])
def test_no_header_breaks_a_door(world, header):
    phone = world.marys
    for value in (
        "",
        "x" * 5000,
        "é",
        "\t",
        "{{7*7}}",
        "%00",
        "a, b; c=d",
        "application/json; charset=utf-16",
        "*/*;q=2",
    ):
        headers = {"Authorization": f"Bearer {phone.token}"} | {header: value}
        answer = phone.web.get("/api/v1/me/today", headers=headers)
        assert answer.status_code < 500
        sent = phone.web.generic(
            "POST", "/api/v1/me/consents", b'{"scope": "research", "given": true}', headers=headers
        )
        assert sent.status_code < 500
