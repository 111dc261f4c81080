"""`check --deploy` refuses each unsafe setting of a site by its name, and a safe site passes."""

import pytest
from django.core import checks

from governance.checks import UNSAFE, unsafe_for_a_site

SAFE = {
    "DEBUG": False,
    "SECRET_KEY": "k7Qw9-zT4mX1vB8nR2pL6sD3fG5hJ0aYcEuIoWqZxCvBnMlKjH",
    "ALLOWED_HOSTS": ["clinaiops.example"],
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SECURE_HSTS_SECONDS": 31_536_000,
    "SECURE_SSL_REDIRECT": True,
    "SECURE_PROXY_SSL_HEADER": None,
    "EMBEDDED": False,
}
BAD = [
    ("DEBUG", {"DEBUG": True}),
    ("SECRET_KEY", {"SECRET_KEY": "short"}),
    ("SECRET_KEY", {"SECRET_KEY": "a" * 60}),
    ("SECRET_KEY", {"SECRET_KEY": "django-insecure-" + SAFE["SECRET_KEY"]}),
    ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": []}),
    ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["*"]}),
    ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["a.example", ".example"]}),
    ("SESSION_COOKIE_SECURE", {"SESSION_COOKIE_SECURE": False}),
    ("CSRF_COOKIE_SECURE", {"CSRF_COOKIE_SECURE": False}),
    ("SESSION_COOKIE_HTTPONLY", {"SESSION_COOKIE_HTTPONLY": False}),
    ("SECURE_HSTS_SECONDS", {"SECURE_HSTS_SECONDS": 3600}),
    ("SECURE_SSL_REDIRECT", {"SECURE_SSL_REDIRECT": False}),
    ("EMBEDDED", {"EMBEDDED": True}),
    ("MIDDLEWARE", {"MIDDLEWARE": ["config.middleware.content_policy"]}),
    ("CONTENT_POLICY", {"MIDDLEWARE": []}),
    ("SECOND_FACTOR", {"MFA_TRUST_ENABLED": True}),
    ("SECOND_FACTOR", {"ACCOUNT_SESSION_REMEMBER": True}),
    ("SECOND_FACTOR", {"MFA_TOTP_INSECURE_BYPASS_CODE": "123456"}),
]


@pytest.fixture
def site(settings):
    """A site as it should be."""
    for name, value in SAFE.items():
        setattr(settings, name, value)
    return settings


def test_a_safe_site_passes(site):
    assert unsafe_for_a_site() == []


@pytest.mark.parametrize(("name", "changes"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_each_unsafe_setting_is_refused_by_its_name(site, name, changes):
    for setting, value in changes.items():
        setattr(site, setting, value)
    found = {error.msg.split(":")[0]: error for error in unsafe_for_a_site()}
    assert name in found
    assert found[name].level == checks.ERROR


def test_every_rule_has_its_bad_setting():
    assert {name for name, _ in BAD} == {name for name, _, _ in UNSAFE}


def test_the_rules_run_with_check_deploy(site):
    site.DEBUG = True
    assert any(found.id == "governance.E001" for found in checks.run_checks(include_deployment_checks=True))
    assert not any(found.id == "governance.E001" for found in checks.run_checks())
