"""Names as people type them, with marks apart from their letters, stop no export and stand in it in one spelling."""

import unicodedata

import pytest
from django.utils import timezone

from audit.bundles.selecting import Report
from audit.models import Entry
from audit.selectors import payload_of
from care_loops.domain.loops import LoopState
from care_loops.selectors.exports import ExportRequest
from care_loops.services.exports import make_export
from governance.domain import Role
from governance.models import User
from governance.services.accounts import NewAccount, _create
from tests.audit.builders import complete
from tests.factories import PASSWORD, Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
APART = unicodedata.normalize("NFD", "Renée Åström")


def test_an_account_is_kept_in_one_spelling():
    given, family = APART.split(" ")
    user = _create(NewAccount("renee", given_name=given, family_name=family, password=PASSWORD))
    kept = User.objects.get(pk=user.pk)
    assert (kept.first_name, kept.last_name) == ("Renée", "Åström")
    assert kept.printed_name == unicodedata.normalize("NFC", APART)


def test_a_recipient_typed_so_stops_no_export(tmp_path, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    hospital = Hospital()
    hospital.join("auditor", Role.AUDITOR, now=hospital.now)
    hospital.loop_at(LoopState.DELIVERED)
    complete()
    request = ExportRequest(Report.PERSON, person="clinician", recipient=APART)
    made = make_export(request, folder=tmp_path, by=hospital.acting("auditor"), now=timezone.now(), drawn=False)
    assert made.bundle.manifest.entries > 0
    complete()
    entry = Entry.objects.filter(type="export.made").order_by("-position").first()
    assert payload_of(entry.entry_id)["recipient"] == unicodedata.normalize("NFC", APART)
