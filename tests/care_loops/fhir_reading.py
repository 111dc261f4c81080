"""Reading one FHIR resource or one file, as a test does it."""

import json
from decimal import Decimal
from io import BytesIO

from care_loops.fhir_r4.documents import Found, documents
from care_loops.fhir_r4.reader import evidence
from care_loops.fhir_r4.values import Context
from care_loops.pathways.hypertension.tables_interchange import codebook

CONTEXT = Context(codebook())


def read(resource, context=CONTEXT):
    return evidence(Found("here", json.loads(json.dumps(resource), parse_float=Decimal), ""), context)


def read_file(name, data):
    return list(documents(name, BytesIO(data)))
