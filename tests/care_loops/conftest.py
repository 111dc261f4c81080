"""Importing FHIR, as a test does it: through the command."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from tests.care_loops.fhir_cases import write


@pytest.fixture
def imported(tmp_path):
    """A function from documents to the counts of importing them, each in a file of its own."""
    numbers = iter(range(1000))

    def run(*items, name="f{n}.json", **options):
        paths = [str(write(tmp_path, name.format(n=next(numbers)), item)) for item in items]
        out = StringIO()
        call_command("import_fhir", *paths, json=True, stdout=out, **options)
        return json.loads(out.getvalue())

    return run
