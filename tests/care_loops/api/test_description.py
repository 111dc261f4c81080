"""The description of the API is what the API does: answers fit it, every operation is in it, and it is served whole."""

import json
from urllib.parse import quote

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from tests.care_loops.api.test_reports import at, reading
from tests.care_loops.api.world import AMLODIPINE


@pytest.fixture(scope="module")
def description() -> dict:
    answer = Client().get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return json.loads(answer.content)


def ours(description: dict) -> dict:
    return {
        where: item
        for where, item in description["paths"].items()
        if where.startswith("/api/v1/") and "devices" not in where
    }


def answers_to(description: dict, where: str, method: str, status: int) -> dict:
    said = description["paths"][f"/api/v1/{where}"][method]["responses"][str(status)]["content"]
    [schema] = [content["schema"] for content in said.values()]
    return {"$ref": schema["$ref"], "components": description["components"]}


def assert_fits(answer, description: dict, where: str, method: str = "get") -> None:
    schema = answers_to(description, where, method, answer.status_code)
    problems = [error.message for error in Draft202012Validator(schema).iter_errors(answer.json())]
    assert not problems, problems


def test_the_description_is_openapi_3_1_and_names_every_refusal(description):
    assert description["openapi"].startswith("3.1")
    operations = [op for item in ours(description).values() for name, op in item.items() if name in ("get", "post")]
    assert len(operations) == 28
    for operation in operations:
        assert {"400", "401", "403", "404", "409"} <= set(operation["responses"])
        assert "application/problem+json" in operation["responses"]["404"]["content"]


def test_the_description_says_how_a_token_is_got_and_which_scope_opens_which_door(description):
    flow = description["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]
    assert flow["tokenUrl"] == "/o/token/"
    paths = description["paths"]
    assert {"oauth2": ["patient"]} in paths["/api/v1/me/today"]["get"]["security"]
    assert {"oauth2": ["staff"]} in paths["/api/v1/worklist"]["get"]["security"]


def test_the_description_says_the_bounds_of_numbers(description):
    reading_in = description["components"]["schemas"]["ReadingIn"]["properties"]
    assert reading_in["systolic"]["type"] == "number"
    assert reading_in["systolic"]["maximum"] == 10_000
    assert reading_in["taken_at"]["format"] == "date-time"


def test_the_pages_of_the_description_use_our_own_files_only():
    page = Client().get("/api/docs/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "https://" not in text.replace("https://spec.openapis.org", "")
    assert "<style" not in text
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert not [part for part in text.split("<script")[1:] if not part.split(">")[1].startswith("</script")]


def test_answers_fit_the_description(world, description):
    loop = world.proposed(direct=True)
    phone = world.marys
    assert_fits(phone.post("me/readings", reading(pulse=70)), description, "me/readings", "post")
    assert_fits(
        phone.post("me/symptoms", {"source_id": "s", "kind": "cough", "felt_at": at(minutes=2), "text": "x"}),
        description,
        "me/symptoms",
        "post",
    )
    dose = {"source_id": "d", "ingredient": AMLODIPINE, "due_on": at()[:10], "taken": True, "taken_at": at(minutes=2)}
    assert_fits(phone.post("me/intakes", dose), description, "me/intakes", "post")
    for where in ("me", "me/today", "me/history", "me/recommendations", "me/readings", "me/intakes", "me/consents"):
        assert_fits(phone.get(where), description, where)
    assert_fits(phone.get(f"me/recommendations/{loop.pk}"), description, "me/recommendations/{loop_id}")
    answered = phone.post(f"me/recommendations/{loop.pk}/decline", key="k")
    assert_fits(answered, description, "me/recommendations/{loop_id}/decline", "post")
    assert_fits(phone.post("me/consents", {"scope": "research", "given": True}), description, "me/consents", "post")
    assert_fits(phone.post("me/consents", {}), description, "me/consents", "post")
    assert_fits(world.tool(world.clinician).get("worklist"), description, "worklist")
    tool = world.tool(world.clinician)
    assert_fits(tool.get(f"recommendations/{loop.pk}"), description, "recommendations/{loop_id}")
    assert_fits(phone.get(f"me/today?date={quote('not a day')}"), description, "me/today")
