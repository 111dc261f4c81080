"""The addresses of /api/v1/ for patients and clinicians. What is not listed is a problem document, not a page."""

from __future__ import annotations

from django.urls import path

from .api import care, clinic, glass, me_proposals, me_record, me_reports, me_today
from .api.base import nothing_here
from .views.consents import my_consent_receipt, my_consents
from .views.invitations import invitation
from .views.me import me

urlpatterns = [
    path("me", me_today.Me.as_view(), name="api-me"),
    path("me/today", me_today.Today.as_view(), name="api-me-today"),
    path("me/history", me_today.History.as_view(), name="api-me-history"),
    path("me/recommendations", me_proposals.Recommendations.as_view(), name="api-me-recommendations"),
    path("me/recommendations/<uuid:loop_id>", me_proposals.Recommendation.as_view(), name="api-me-recommendation"),
    path("me/recommendations/<uuid:loop_id>/accept", me_proposals.Accept.as_view(), name="api-me-accept"),
    path("me/recommendations/<uuid:loop_id>/decline", me_proposals.Decline.as_view(), name="api-me-decline"),
    path("me/recommendations/<uuid:loop_id>/ask-person", me_proposals.AskPerson.as_view(), name="api-me-ask-person"),
    path("me/readings", me_reports.Readings.as_view(), name="api-me-readings"),
    path("me/symptoms", me_reports.Symptoms.as_view(), name="api-me-symptoms"),
    path("me/intakes", me_reports.Intakes.as_view(), name="api-me-intakes"),
    path("me/consents", me_record.Consents.as_view(), name="api-me-consents"),
    path("me/consents/<uuid:entry>/receipt", me_record.ConsentReceipt.as_view(), name="api-me-consent-receipt"),
    path("worklist", clinic.Worklist.as_view(), name="api-worklist"),
    path("recommendations/<uuid:loop_id>", clinic.Recommendation.as_view(), name="api-recommendation"),
    path("recommendations/<uuid:loop_id>/decision", clinic.Decide.as_view(), name="api-decide"),
    path("recommendations/<uuid:loop_id>/first-answer", clinic.FirstAnswer.as_view(), name="api-first-answer"),
    path("patients/<uuid:patient_id>/orders", clinic.Orders.as_view(), name="api-orders"),
    path("patients/<uuid:patient_id>/alert-limits", care.AlertLimits.as_view(), name="api-alert-limits"),
    path("patients/<uuid:patient_id>/visits", care.Visits.as_view(), name="api-visits"),
    path("alerts/<uuid:alert_id>/acknowledgement", clinic.Acknowledge.as_view(), name="api-acknowledge"),
    path("alerts/<uuid:alert_id>/disposition", clinic.Dispose.as_view(), name="api-dispose"),
    path("patients/<uuid:patient_id>/break-glass", glass.Open.as_view(), name="api-break-glass"),
    path("break-glass", glass.Openings.as_view(), name="api-break-glass-openings"),
    path("break-glass/<uuid:opening_id>/end", glass.End.as_view(), name="api-break-glass-end"),
    path("<path:rest>", nothing_here),
]

# The pages of people who come by invitation, and the patient's own page, which lives on the addresses above.
patient_pages = [
    path("invitations/<str:token>/", invitation, name="invitation"),
    path("me/", me, name="me"),
    path("me/consents/", my_consents, name="my-consents"),
    path("me/consents/<uuid:entry>/receipt/", my_consent_receipt, name="my-consent-receipt"),
]
