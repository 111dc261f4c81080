"""Every page of staff. Programs are under /api/v1/ (`api_urls`)."""

from __future__ import annotations

from django.urls import path

from .views import acts, glass, limits, lists, patients, people, predictors, recommendations, record, reviews, what_if

urlpatterns = [
    path("", lists.start, name="start"),
    path("worklist/", lists.worklist_page, name="worklist"),
    path("alerts/", lists.alerts_page, name="alerts"),
    path("quarantine/", lists.quarantine_page, name="quarantine"),
    path("patients/enrol/", people.enrol, name="enrol-patient"),
    path("patients/invite/", people.invite_to_a_record, name="invite-to-record"),
    path("people/<uuid:user_id>/leaves/", people.leaves, name="person-leaves"),
    path("patients/<uuid:patient_id>/", patients.patient_page, name="patient"),
    path("patients/<uuid:patient_id>/trend.svg", patients.trend_drawing, name="patient-trend"),
    path("patients/<uuid:patient_id>/target/", limits.target_page, name="patient-target"),
    path("patients/<uuid:patient_id>/boundary/", limits.boundary_page, name="patient-boundary"),
    path("patients/<uuid:patient_id>/alert-limits/", limits.alert_limits_page, name="patient-alert-limits"),
    path("patients/<uuid:patient_id>/order/", limits.order_page, name="patient-order"),
    path("patients/<uuid:patient_id>/visit/", acts.visit, name="patient-visit"),
    path("patients/<uuid:patient_id>/visit/outcome/", acts.visit_outcome, name="patient-visit-outcome"),
    path("recommendations/<uuid:loop_id>/", recommendations.recommendation_page, name="recommendation"),
    path("recommendations/<uuid:loop_id>/receipt/", recommendations.decision_receipt, name="decision-receipt"),
    path("recommendations/<uuid:loop_id>/recall/", recommendations.recall_page, name="recommendation-recall"),
    path("alerts/<uuid:alert_id>/acknowledge/", acts.acknowledge, name="alert-acknowledge"),
    path("alerts/<uuid:alert_id>/dispose/", acts.dispose, name="alert-dispose"),
    path("symptoms/<uuid:symptom_id>/review/", acts.symptom_review, name="symptom-review"),
    path("models/", predictors.models_page, name="models"),
    path("models/<uuid:version_id>/", predictors.model_page, name="model"),
    path("models/<uuid:version_id>/approve/", predictors.approve_page, name="model-approve"),
    path("models/<uuid:version_id>/release/", predictors.release_page, name="model-release"),
    path("second-reviews/", reviews.second_reviews, name="second-reviews"),
    path("second-reviews/<uuid:review_id>/", reviews.second_review, name="second-review"),
    path("second-reviews/<uuid:review_id>/verdict/", reviews.second_verdict, name="second-review-verdict"),
    path("break-glass/", glass.glass_page, name="break-glass"),
    path("break-glass/<uuid:opening_id>/end/", glass.glass_end, name="break-glass-end"),
    path("break-glass/<uuid:opening_id>/review/", glass.glass_review, name="break-glass-review"),
    path("policies/motions/<uuid:motion_id>/what-if/", what_if.what_if_page, name="policy-what-if"),
    path("audit/patients/", record.find_patient, name="record-patients"),
    path("audit/entries/<uuid:entry_id>/content/", record.content, name="record-content"),
    path("audit/exports/", record.exports, name="record-exports"),
    path("audit/exports/<uuid:export_id>/file/", record.export_file, name="record-export-file"),
    path("readings/<uuid:reading_id>/correct/", acts.correct, name="reading-correct"),
]
