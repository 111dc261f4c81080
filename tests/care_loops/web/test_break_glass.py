"""Break-glass as people and their tools meet it: form, banner, review, API, and the doors that stay shut."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from care_loops.domain.record import SymptomKind
from care_loops.models import BreakGlass, BreakGlassRead
from care_loops.services.break_glass import break_glass
from governance.domain import Amr, Presence, Role
from governance.models import SignedIn
from governance.services import acting_person
from governance.services.tokens import issue_staff_token, phone_client
from tests.care_loops.api.world import Phone
from tests.care_loops.web.ward import admit, felt
from tests.signing_in import signed_in as browser_of
from tests.signing_in import signing

pytestmark = pytest.mark.django_db

SENT = {"reason_code": "emergency_treatment", "text": "brought in unconscious"}


@pytest.fixture
def mary(ward):
    """A patient of the clinician; there is a compliance officer."""
    ward.join("officer", Role.COMPLIANCE_OFFICER, now=ward.now - timedelta(days=9))
    return admit(ward)


def sent(patient, **more) -> dict[str, str]:
    return SENT | {"record": str(patient.pk), "key": "g" * 12} | more


def opened(client, patient) -> str:
    answer = client.post(reverse("break-glass"), sent(patient))
    assert answer.status_code == 303, answer.content.decode()[:3000]
    assert answer["Location"] == reverse("patient", args=[patient.pk])
    return client.get(answer["Location"]).content.decode()


def test_a_clinician_opens_a_foreign_record_reads_it_and_sees_a_banner_on_every_page(mary, ward, signed_in):
    client, where = signed_in("other_clinician"), reverse("patient", args=[mary.pk])
    assert client.get(where).status_code == 404
    html = opened(client, mary)
    assert mary.shown_name in html
    for path in (where, reverse("worklist"), reverse("break-glass"), reverse("security")):
        page = client.get(path).content.decode()
        assert "Emergency access: the record of" in page
        assert "60 minutes left" in page or "59 minutes left" in page
        assert "style=" not in page
    assert BreakGlassRead.objects.filter(what="patient page").count() >= 2
    assert "Emergency access" not in signed_in("clinician").get(where).content.decode()


def test_the_page_of_an_opened_record_offers_nothing_to_do(mary, ward, signed_in):
    felt(mary, SymptomKind.COUGH, at=ward.now - timedelta(hours=2))
    html = opened(signed_in("other_clinician"), mary)
    main = html[html.index("<main") : html.index("</main")]
    assert "<form" not in main
    assert "Sign a target" not in main
    assert "<form" in signed_in("clinician").get(reverse("patient", args=[mary.pk])).content.decode()


@pytest.mark.parametrize(
    "name", ["patient-target", "patient-boundary", "patient-alert-limits", "patient-order", "patient-visit"]
)
def test_no_door_but_reading_opens(mary, ward, signed_in, name):
    client = signed_in("other_clinician")
    opened(client, mary)
    where = reverse(name, args=[mary.pk])
    assert client.get(where).status_code in (404, 405)
    assert client.post(where, {"key": "x" * 12}).status_code == 404


def test_it_is_ended_by_its_button_and_by_signing_out(mary, ward, signed_in):
    client, where = signed_in("other_clinician"), reverse("patient", args=[mary.pk])
    html = opened(client, mary)
    end = re.search(r'action="(/break-glass/[^"]+/end/)"', html)[1]
    assert signed_in("clinician").post(end).status_code == 404
    assert client.post(end).status_code == 302
    assert client.get(where).status_code == 404
    assert client.post(reverse("break-glass"), sent(mary, key="h" * 12)).status_code == 303
    assert client.get(where).status_code == 200
    client.post(reverse("account_logout"))
    again = browser_of(ward.people["other_clinician"])
    assert again.get(where).status_code == 404
    assert SignedIn.objects.filter(user=ward.people["other_clinician"], ended_at__isnull=False).exists()


def test_another_window_of_the_same_person_reads_nothing(mary, ward, signed_in):
    opened(signed_in("other_clinician"), mary)
    assert browser_of(ward.people["other_clinician"]).get(reverse("patient", args=[mary.pk])).status_code == 404


def test_what_is_missing_is_said_beside_its_field_and_nothing_is_opened(mary, signed_in):
    client = signed_in("other_clinician")
    answer = client.post(reverse("break-glass"), {"key": "k" * 12, "record": "", "reason_code": "", "text": ""})
    assert answer.status_code == 422
    assert client.post(reverse("break-glass"), sent(mary, record="no such number")).status_code == 404
    assert client.post(reverse("break-glass"), sent(mary, reason_code="curious")).status_code == 422
    assert not BreakGlass.objects.exists()


def test_a_record_is_found_by_the_number_at_its_source(mary, signed_in):
    client = signed_in("other_clinician")
    assert client.post(reverse("break-glass"), sent(mary, record=mary.source_id)).status_code == 303


def test_an_officer_is_told_of_it_reviews_it_and_the_opener_cannot(mary, ward, signed_in):
    opened(signed_in("other_clinician"), mary)
    opening = BreakGlass.objects.get()
    officer, where = signed_in("officer"), reverse("break-glass-review", args=[opening.pk])
    assert "brought in unconscious" in officer.get(where).content.decode()
    assert "still open" in officer.get(where).content.decode()
    assert mary.shown_name not in officer.get(where).content.decode()
    assert officer.get(reverse("patient", args=[mary.pk])).status_code == 403
    signed_in("other_clinician").post(reverse("break-glass-end", args=[opening.pk]))
    assert "patient page" in officer.get(where).content.decode()
    said = {"key": "r" * 12, "outcome": "justified", "text": "the ward confirms it"}
    assert signed_in("other_clinician").post(where, said).status_code == 403
    assert officer.post(where, said | {"outcome": ""}).status_code == 422
    assert officer.post(where, said).status_code == 303
    assert "the ward confirms it" in officer.get(where).content.decode()
    assert "Justified" in officer.get(reverse("break-glass")).content.decode()


def test_an_overdue_review_stands_on_every_page_of_an_officer(mary, ward, signed_in):
    then = timezone.now() - timedelta(days=4)
    presence = Presence(session="a session of then", amr=(Amr.PASSKEY.value,), since=then)
    by = signing(acting_person(ward.people["other_clinician"], now=then, presence=presence))
    break_glass(mary.pk, by=by, now=then, **SENT)
    assert "1 review of break-glass is overdue" in signed_in("officer").get(reverse("record")).content.decode()
    assert "is overdue" not in signed_in("clinician").get(reverse("worklist")).content.decode()


@pytest.mark.parametrize(
    ("name", "status"), [("pharmacist", 403), ("engineer", 403), ("admin", 403), ("clinician", 200)]
)
def test_who_may_not_open_or_review_does_not_see_the_page(mary, signed_in, name, status):
    client = signed_in(name)
    assert client.get(reverse("break-glass")).status_code == status
    assert (">Break-glass<" in client.get(reverse("security")).content.decode()) is (status == 200)


def test_a_tool_opens_reads_and_ends_under_its_own_token_and_no_other_reads(mary, ward, signed_in):
    doctor = ward.people["other_clinician"]
    client = phone_client(redirect_uris=("https://tool.example.org/back",))
    tool = Phone(issue_staff_token(doctor, client, timezone.now()), signer=doctor)
    assert tool.post(f"patients/{mary.pk}/break-glass", SENT).status_code == 400  # no key
    answer = tool.post(f"patients/{mary.pk}/break-glass", SENT, key="one")
    assert answer.status_code == 201, answer.content
    assert answer.json()["open"] is True
    assert "receipt" in answer.json()
    assert BreakGlass.objects.get().client == "clinaiops-phone"
    assert [one["id"] for one in tool.get("break-glass").json()["openings"]] == [answer.json()["id"]]
    assert browser_of(doctor).get(reverse("patient", args=[mary.pk])).status_code == 404
    other = Phone(issue_staff_token(doctor, client, timezone.now()), signer=doctor)
    assert other.post(f"break-glass/{answer.json()['id']}/end").json()["open"] is False
    for wrong in (SENT | {"reason_code": "curious"}, {"reason_code": "emergency_treatment"}, SENT | {"more": 1}):
        assert tool.post(f"patients/{mary.pk}/break-glass", wrong, key="two").status_code == 400
    nurse = Phone(issue_staff_token(ward.people["pharmacist"], client, timezone.now()))
    assert nurse.post(f"patients/{mary.pk}/break-glass", SENT, key="three").status_code == 403
