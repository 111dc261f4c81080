"""How the tests ask for exports, and about whom."""

from datetime import timedelta

from audit.bundles.selecting import Report
from care_loops.selectors.exports import ExportRequest
from care_loops.services.exports import make_export
from tests.factories import NOW

LATER = NOW + timedelta(hours=2)


def mary_of(site):
    """The account name of the patient."""
    return next(name for name, user in site.people.items() if user.pk == site.mary.account_id)


def made(site, who, request, tmp_path, **how):
    """The export, made at once, bundle only."""
    return make_export(request, folder=tmp_path, by=site.acting(who), now=LATER, drawn=False, **how).bundle


def history(patient):
    return ExportRequest(Report.DECISION_HISTORY, patient=patient.pk)


def all_requests(site):
    """One request of every report, about Mary where it is about somebody."""
    return {
        Report.EVERYTHING: ExportRequest(Report.EVERYTHING),
        Report.DECISION_HISTORY: history(site.mary),
        Report.ACCESS: ExportRequest(Report.ACCESS, patient=site.mary.pk),
        Report.DISCLOSURES: ExportRequest(Report.DISCLOSURES, patient=site.mary.pk),
        Report.MODEL: ExportRequest(Report.MODEL, model=f"{site.loop.model_name}@{site.loop.model_version}"),
        Report.PERSON: ExportRequest(Report.PERSON, person="clinician"),
        Report.PERIOD: ExportRequest(Report.PERIOD, since=NOW - timedelta(days=9000)),
        Report.DECISION: ExportRequest(Report.DECISION, decision=site.loop.pk),
    }
