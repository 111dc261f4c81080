"""When something fails on our side, programs still get a problem document with a code, and people a page."""

import json
import socket

import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import RequestFactory
from django.urls import get_resolver

from config.failing import failed

pytestmark = pytest.mark.django_db


def database_that_is_away():
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    elsewhere = DatabaseWrapper({**connection.settings_dict, "HOST": "127.0.0.1", "PORT": port, "OPTIONS": {}}, "away")
    elsewhere.ensure_connection()


def answer_to(path, what_happens):
    try:
        what_happens()
    except (ArithmeticError, OperationalError, RuntimeError):
        return failed(RequestFactory().get(path))
    raise AssertionError("nothing failed")


def wrapped():
    try:
        database_that_is_away()
    except OperationalError as away:
        raise RuntimeError("the session could not be read") from away


@pytest.mark.parametrize("path", ["/api/v1/me/readings", "/fhir/Patient/1", "/cds-services"])
@pytest.mark.parametrize("what_happens", [database_that_is_away, wrapped])
def test_a_database_that_is_away_is_told_to_programs_with_a_code_and_when_to_come_back(path, what_happens):
    answer = answer_to(path, what_happens)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert (json.loads(answer.content)["code"], answer["Retry-After"]) == ("database_away", "5")


def test_a_bug_is_told_to_programs_with_a_code():
    answer = answer_to("/api/v1/me", lambda: 1 / 0)
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    said = json.loads(answer.content)
    assert said["code"] == "failed"
    assert "division" not in answer.content.decode()


def test_people_get_a_page():
    away, bug = answer_to("/worklist/", database_that_is_away), answer_to("/worklist/", lambda: 1 / 0)
    assert (away.status_code, away["Retry-After"], bug.status_code) == (503, "5", 500)
    assert "Something failed on our side" in away.content.decode()


def test_this_is_what_the_server_asks():
    assert get_resolver().resolve_error_handler(500) is failed
