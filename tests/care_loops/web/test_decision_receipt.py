"""A decision's page says how far its evidence is and offers the receipt; nobody else is offered it."""

import pytest
from django.urls import reverse

from audit import receipts
from audit.services import keys
from care_loops.domain.loops import DecisionKind
from care_loops.models import Decision
from care_loops.services import DecisionInput, decide
from tests.care_loops.web.ward import proposed, uncontrolled

pytestmark = pytest.mark.django_db


def test_the_page_of_a_decision_offers_its_receipt(ward, signed_in):
    loop = proposed(ward, uncontrolled(ward))
    client = signed_in("clinician")
    assert client.get(reverse("decision-receipt", args=[loop.pk])).status_code == 404
    chosen = DecisionInput(DecisionKind.REJECT, "side_effect", "", loop.version)
    decide(loop.pk, chosen, by=ward.acting("clinician"), now=ward.now)
    page = client.get(reverse("recommendation", args=[loop.pk])).content.decode()
    assert "Recorded, not yet witnessed" in page
    assert reverse("decision-receipt", args=[loop.pk]) in page
    answer = client.get(reverse("decision-receipt", args=[loop.pk]))
    assert answer["Content-Disposition"].startswith("attachment")
    promise = receipts.check(answer.content, keys=[keys.statement_vkey()], origin=keys.origin())
    assert promise.at <= promise.merge_by
    assert Decision.objects.get(loop=loop).entry
    assert signed_in("other_clinician").get(reverse("decision-receipt", args=[loop.pk])).status_code == 404
