"""`manage.py check --deploy`: unsafe settings of a site, each refused by its name.

Rules (SECURITY 2.7 Q6)
 * What a site must not be served with is an error, not a warning: `check --deploy` exits 1.
 * Django's own deployment checks run beside these; what they only warn of and a record of patients cannot bear is
   repeated here as an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core import checks

SECRET_LENGTH, YEAR = 50, 31_536_000
LIBRARY_DOORS = ("MFA_TRUST_ENABLED", "MFA_TOTP_INSECURE_BYPASS_CODE", "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN")


def _value(name: str) -> Any:
    return getattr(settings, name, None)


def _bypassed() -> bool:
    return any(_value(name) for name in LIBRARY_DOORS) or bool(_value("ACCOUNT_SESSION_REMEMBER"))


def _weak_secret() -> bool:
    secret = str(_value("SECRET_KEY") or "")
    return len(secret) < SECRET_LENGTH or len(set(secret)) < 10 or secret.startswith("django-insecure")


def _any_host() -> bool:
    hosts = _value("ALLOWED_HOSTS") or []
    return not hosts or any(host.startswith(("*", ".")) for host in hosts)


def _not_gated() -> bool:
    order = list(_value("MIDDLEWARE") or [])
    gate, users = "governance.middleware.signed_in", "django.contrib.auth.middleware.AuthenticationMiddleware"
    return gate not in order or users not in order or order.index(gate) < order.index(users)


def _open_policy() -> bool:
    return "config.middleware.content_policy" not in (_value("MIDDLEWARE") or [])


UNSAFE: tuple[tuple[str, Callable[[], bool], str], ...] = (
    ("DEBUG", lambda: bool(_value("DEBUG")), "DEBUG is on: pages of errors tell what no stranger may know."),
    ("SECRET_KEY", _weak_secret, f"SECRET_KEY is shorter than {SECRET_LENGTH} characters, or made of a few."),
    ("ALLOWED_HOSTS", _any_host, "ALLOWED_HOSTS is empty or matches any name."),
    (
        "SESSION_COOKIE_SECURE",
        lambda: not _value("SESSION_COOKIE_SECURE"),
        "the session's cookie goes over plain http.",
    ),
    ("CSRF_COOKIE_SECURE", lambda: not _value("CSRF_COOKIE_SECURE"), "the forgery cookie goes over plain http."),
    (
        "SESSION_COOKIE_HTTPONLY",
        lambda: not _value("SESSION_COOKIE_HTTPONLY"),
        "scripts may read the session's cookie.",
    ),
    (
        "SECURE_HSTS_SECONDS",
        lambda: int(_value("SECURE_HSTS_SECONDS") or 0) < YEAR,
        "strict transport is off or short.",
    ),
    ("SECURE_SSL_REDIRECT", lambda: not _redirected(), "plain http is answered, and no proxy says that it redirects."),
    ("EMBEDDED", lambda: bool(_value("EMBEDDED")), "the database is the embedded one: a site sets DATABASE_URL."),
    ("MIDDLEWARE", _not_gated, "sessions are not held to two factors: governance.middleware.signed_in is missing."),
    ("CONTENT_POLICY", _open_policy, "no content policy: config.middleware.content_policy is missing."),
    ("SECOND_FACTOR", _bypassed, "a way round the second factor is switched on."),
)


def _redirected() -> bool:
    return bool(_value("SECURE_SSL_REDIRECT") or _value("SECURE_PROXY_SSL_HEADER"))


@checks.register(checks.Tags.security, deploy=True)
def unsafe_for_a_site(**_: Any) -> list[checks.CheckMessage]:
    """Every unsafe setting, by its name."""
    found: list[checks.CheckMessage] = []
    for number, (name, is_unsafe, why) in enumerate(UNSAFE, start=1):
        if is_unsafe():
            found.append(checks.Error(f"{name}: {why}", id=f"governance.E{number:03d}"))
    return found
