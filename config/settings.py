"""Django's settings: one file, everything that differs between sites comes from the environment.

The rules
 * With nothing set, this is one machine on its own: embedded database and broker, a key made on first use.
 * With DATABASE_URL set this is a site, and what a site must decide (SECRET_KEY, ALLOWED_HOSTS) has no default.
 * Three database roles: `default`, the application, owns nothing; `owner` migrates; `sequencer` numbers the record.
 * DEBUG is off unless asked for. Cookies, headers and the content policy are strict in both cases.
"""

import os
from pathlib import Path
from typing import Any

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from config.addresses import read_address
from config.embedded import broker_url, database_urls, home
from config.embedded.postgres import binaries

# Lets `Field[...]` and `ModelAdmin[...]` be written with their types, which Django's classes do not allow at run time.
django_stubs_ext.monkeypatch()

ROOT = Path(__file__).resolve().parents[1]
HOME = home()


def _flag(name: str, *, otherwise: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    if text:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, it is {text!r}")
    return otherwise


def _words(name: str, *, otherwise: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, otherwise).split(",") if word.strip()]


def _required(name: str) -> str:
    if not os.environ.get(name):
        raise ImproperlyConfigured(f"{name} must be set when DATABASE_URL is set")
    return os.environ[name]


# -- one machine on its own, or a site ---------------------------------------------------------------------------------

EMBEDDED = not os.environ.get("DATABASE_URL")
DEBUG = _flag("DEBUG", otherwise=False)
SECRET_KEY = os.environ.get("SECRET_KEY") or (HOME.secrets()["django"] if EMBEDDED else _required("SECRET_KEY"))
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", otherwise="localhost,127.0.0.1,[::1]" if EMBEDDED else "")
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS", otherwise="")
HTTPS = _flag("HTTPS", otherwise=not EMBEDDED)

# -- the database, seen by three roles ---------------------------------------------------------------------------------

_urls = database_urls(HOME) if EMBEDDED else {"DATABASE_URL": os.environ["DATABASE_URL"]}
_urls |= {name: os.environ[name] for name in ("DATABASE_URL_OWNER", "DATABASE_URL_SEQUENCER") if os.environ.get(name)}
_persistent = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


def _database(variable: str) -> dict[str, Any]:
    named = variable if variable in _urls else "DATABASE_URL"
    return read_address(_urls[named], variable=named) | _persistent


DATABASES = {
    "default": _database("DATABASE_URL"),
    "owner": _database("DATABASE_URL_OWNER"),
    "sequencer": _database("DATABASE_URL_SEQUENCER"),
}
# One forgotten transaction of the application would hold up the sequencer, which waits for the oldest (SECURITY 3.7).
IDLE_IN_TRANSACTION = "-c idle_in_transaction_session_timeout=60s"
DATABASES["default"]["OPTIONS"].setdefault("options", IDLE_IN_TRANSACTION)
# Commands and workers act as the system and say so at their start; whoever says nothing, as the web server, begins by
# seeing no patient's row (governance.selectors.sight).
if os.environ.get("CLINAIOPS_SEES") == "everything":
    DATABASES["default"]["OPTIONS"]["options"] += " -c clinaiops.sees=everything"
# pg_dump and pg_restore: the embedded server's own; a site finds them on its PATH.
POSTGRES_BIN = os.environ.get("CLINAIOPS_PG_BIN") or (str(binaries()) if EMBEDDED else "")
# The names the migrations grant to.
DATABASE_ROLES = {alias: str(entry["USER"]) for alias, entry in DATABASES.items()}
# manage.py sets this for commands that change tables: the owner does that, never the application.
if os.environ.get("CLINAIOPS_AS_OWNER") == "1":
    DATABASES["default"] = dict(DATABASES["owner"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- what is installed -------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "audit",
    "governance",
    "models.registry",
    "care_loops",
    "edge_wearables",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.content_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "governance.middleware.signed_in",
    "django_htmx.middleware.HtmxMiddleware",
    "governance.middleware.RefusalPages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "care_loops.views.context.frame",
                "care_loops.views.evidence.evidence",
            ]
        },
    }
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

# -- who comes in ------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "governance.User"
AUDIT_BATCH_ROWS = "care_loops.selectors.batches.rows_of"
AUDIT_NAMES = "governance.selectors.staff_names"
# Where people reach this site, `https://host`: printed in reports as the place to verify them. Never asked by us.
PUBLIC_URL = os.environ.get("PUBLIC_URL", "")
# Who takes away what has expired, by class of audit/retention.json.
AUDIT_RETENTION = {
    "wearable_samples": "care_loops.services.retention.purge_samples",
    "refused_bodies": "edge_wearables.services.retention.purge_bodies",
    "idempotency_answers": "audit.services.retention.purge_idempotency_answers",
}
# The signer is a process of its own. With no socket named it is ours to run; so is one local witness on one machine.
AUDIT_SIGNER_OURS = not os.environ.get("AUDIT_SIGNER_SOCKET")
AUDIT_SIGNER_SOCKET = os.environ.get("AUDIT_SIGNER_SOCKET") or str(HOME.sockets("signer") / "signer.sock")
AUDIT_WITNESS_POLICY = os.environ.get("AUDIT_WITNESS_POLICY") or (str(HOME.path / "witness_policy") if EMBEDDED else "")
AUDIT_WITNESS_POLICY_OURS = not os.environ.get("AUDIT_WITNESS_POLICY")
EMBEDDED_WITNESS = EMBEDDED and AUDIT_WITNESS_POLICY_OURS
AUDIT_TIMESTAMP_URL = os.environ.get("AUDIT_TIMESTAMP_URL", "")
AUDIT_TIMESTAMP_ROOTS = os.environ.get("AUDIT_TIMESTAMP_ROOTS", "")
AUDIT_ARCHIVES_DIR = os.environ.get("AUDIT_ARCHIVES_DIR", "")  # else `archives` in the state folder
AUDIT_GUARDS = ROOT / "config" / "guards.json"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "governance.views.accounts.InvitedOnly"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
# A ward signs in from one address: attempts are limited by account, and by address only against a flood.
ACCOUNT_RATE_LIMITS = {"login": "300/m/ip", "login_failed": "60/m/ip,5/15m/key"}
# The library carries the steps of signing in. What is enrolled and recognised is ours (`governance.services`).
MFA_ADAPTER = "governance.views.accounts.OurFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TRUST_ENABLED = False
OAUTH2_PROVIDER = {
    "SCOPES": {
        "patient": "A patient's own record",
        "device": "Upload of readings",
        "staff": "Work as a member of staff",
    },
    "DEFAULT_SCOPES": ["patient"],
    "OAUTH2_VALIDATOR_CLASS": "governance.api.oauth.StrictValidator",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "PKCE_REQUIRED": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "clinaiops", *(["http"] if EMBEDDED else [])],
    # RFC 9700, each of its recommendations enforced rather than warned about; tokens are kept only as digests.
    **{
        f"COMPLIANT_BCP_RFC9700_{name}": True
        for name in (
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "PKCE_REQUIRED",
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
            "TOKEN_STORAGE",
            "REFRESH_TOKEN",
            "REDIRECT_URI_MATCHING",
        )
    },
}
# How long somebody stays signed in is a rule by role (`governance.policies`); the cookie only has to live as long.
SESSION_COOKIE_AGE = 7 * 24 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# -- headers -----------------------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = HTTPS and _flag("HTTPS_REDIRECT", otherwise=True)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("BEHIND_PROXY", otherwise=False) else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

# -- how people are reached (operations.md): unset is absent; one machine on its own writes into a file -------------

CHANNEL_EMAIL_URL = os.environ.get("CHANNEL_EMAIL_URL", "")  # smtp://user:password@host:587/?from=ward@site.example
CHANNEL_SMS_URL = os.environ.get("CHANNEL_SMS_URL", "")
CHANNEL_SMS_TOKEN = os.environ.get("CHANNEL_SMS_TOKEN", "")
CHANNEL_PUSH_HOSTS = _words("CHANNEL_PUSH_HOSTS", otherwise="")
CHANNEL_PUSH_CONTACT = os.environ.get("CHANNEL_PUSH_CONTACT", "")  # mailto: of who runs this site (RFC 8292)
_channels = bool(CHANNEL_EMAIL_URL or CHANNEL_SMS_URL or CHANNEL_PUSH_HOSTS)
CHANNEL_FILE = "" if _channels or not EMBEDDED else str(HOME.path / "messages.jsonl")

# -- language, time, files ---------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [ROOT / "static"]
# Only a site that serves its files elsewhere collects them; here whitenoise reads them where they lie.
STATIC_ROOT = os.environ.get("STATIC_ROOT")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# -- the API -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "governance.api.bearer.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "governance.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": True,
    "STRICT_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ClinAIOps",
    "DESCRIPTION": "Patients, clinicians, devices and engineers around one record.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# -- work behind the request (SECURITY: acknowledged late, identifiers only, nothing remembered by the broker) ---------

TASK_HARD_LIMIT = 90
VISIBILITY_TIMEOUT = 10 * TASK_HARD_LIMIT
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or broker_url(HOME)
_redis_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}
if CELERY_BROKER_URL.startswith(("redis", "valkey")):
    CELERY_BROKER_TRANSPORT_OPTIONS = _redis_options
    CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT
    CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": VISIBILITY_TIMEOUT}
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_WORKER_DETECT_QUORUM_QUEUES = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = TASK_HARD_LIMIT
CELERY_TASK_DEFAULT_QUEUE = "critical"
CELERY_TASK_QUEUES_NAMED = ("critical", "ingest", "ml", "report")
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.5}
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True

# -- logs: one line each, no bodies, no names of people ---------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
