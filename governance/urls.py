"""Every address of authority. Of the library's own doors only signing in and out are open: each way in is listed here.

Absent on purpose: sign-up, password reset by mail, codes by mail, remembering a browser, the library's own pages for
second factors, the admin's own sign-in. `tests/governance/test_ways_in.py` walks all of them.
"""

from __future__ import annotations

from allauth.account import views as library
from django.urls import path
from django.views.decorators.http import require_http_methods, require_safe

from .views import channels, cover, oversight, people, policies, record, second_factor, security, signing

FORM = ["GET", "HEAD", "POST"]

urlpatterns = [
    path("accounts/login/", require_http_methods(FORM)(library.login), name="account_login"),
    path("accounts/logout/", require_http_methods(FORM)(library.logout), name="account_logout"),
    path("accounts/inactive/", require_safe(library.account_inactive), name="account_inactive"),
    path("accounts/second-step/", second_factor.second_step, name="mfa_authenticate"),
    path("accounts/passkey/options/", second_factor.passkey_options, name="passkey-options"),
    path("accounts/passkey/", second_factor.passkey_sign_in, name="passkey-sign-in"),
    path("accounts/help/", second_factor.no_reset, name="sign-in-help"),
    path("accounts/back/<str:token>/", security.way_back, name="way-back"),
    path("security/", security.security, name="security"),
    path("security/passkeys/options/", security.passkey_options, name="security-passkey-options"),
    path("security/passkeys/", security.passkey, name="security-passkey"),
    path("security/code/", security.code, name="security-code"),
    path("security/recovery-codes/", security.recovery_codes, name="security-recovery-codes"),
    path("security/credentials/<uuid:credential_id>/remove/", security.remove, name="security-remove"),
    path("security/sessions/<uuid:session_id>/end/", security.end_session, name="security-end-session"),
    path("security/sessions/end-others/", security.end_others, name="security-end-others"),
    path("people/", people.people, name="people"),
    path("people/invite/", people.invite_page, name="people-invite"),
    path("people/waiting/", people.waiting, name="people-waiting"),
    path("people/waiting/credentials/<uuid:credential_id>/", people.confirm_credential, name="people-confirm"),
    path("people/waiting/roles/<uuid:asked_id>/", people.answer_role_asked, name="people-answer-role"),
    path("people/<uuid:user_id>/", people.person_page, name="person"),
    path("people/<uuid:user_id>/roles/", people.role_page, name="person-roles"),
    path("people/<uuid:user_id>/sessions/end/", people.end_all_sessions, name="person-end-sessions"),
    path("people/<uuid:user_id>/way-back/", people.way_back_page, name="person-way-back"),
    path("signing/<uuid:challenge_id>/options/", signing.options, name="signing-options"),
    path("security/password/", security.password, name="security-password"),
    path("policies/", policies.policies, name="policies"),
    path("policies/motions/<uuid:motion_id>/", policies.motion, name="policy-motion"),
    path("policies/motions/<uuid:motion_id>/approve/", policies.approve_motion, name="policy-approve"),
    path("policies/motions/<uuid:motion_id>/end/", policies.end_motion, name="policy-end"),
    path("policies/<slug:kind>/", policies.policy, name="policy"),
    path("policies/<slug:kind>/put/", policies.put_policy, name="policy-put"),
    path("cover/", cover.cover, name="cover"),
    path("cover/shifts/", cover.add, name="cover-add"),
    path("cover/shifts/<uuid:shift_id>/off/", cover.off, name="cover-off"),
    path("cover/shifts/<uuid:shift_id>/stand-in/", cover.take, name="cover-stand-in"),
    path("cover/test/", cover.test, name="cover-test"),
    path("channels/sms/receipts/", channels.sms_receipt, name="sms-receipt"),
    path("reach/", cover.reach, name="reach"),
    path("reach/add/", cover.reach_add, name="reach-add"),
    path("reach/<uuid:contact_id>/confirm/", cover.reach_confirm, name="reach-confirm"),
    path("reach/<uuid:contact_id>/end/", cover.reach_end, name="reach-end"),
    path("oversight/", oversight.stopped, name="oversight"),
    path("oversight/suspensions/<uuid:suspension_id>/end/", oversight.ends, name="suspension-end"),
    path("findings/", oversight.findings, name="findings"),
    path("findings/new/", oversight.new_finding, name="finding-new"),
    path("findings/<uuid:finding_id>/", oversight.finding, name="finding"),
    *(
        path(f"findings/<uuid:finding_id>/{act}/", oversight.finding_act, {"act": act}, name=f"finding-{act}")
        for act in oversight.TITLES
    ),
    path("audit/", record.state, name="record"),
    path("audit/search/", record.search, name="record-search"),
    path("audit/entries/<uuid:entry_id>/", record.entry, name="record-entry"),
    path("audit/entries/<uuid:entry_id>/proof/", record.proof, name="record-proof"),
    path("audit/verify/", record.verify, name="record-verify"),
]
