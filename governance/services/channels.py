"""The channels themselves: e-mail over SMTP, an SMS gateway over HTTPS, Web Push; and a file on a machine of its own.

Rules
 * Nothing goes out that the site has not configured: an unset channel is absent, never a default (settings CHANNEL_*).
 * A message is sent under a key of its own; asked twice with one key, a provider knows one message.
 * Web Push carries no body (RFC 8030 with VAPID, RFC 8292): a phone that is woken asks for what waits, signed in.
 * What came of it is one of three: taken (with the provider's reference), `Unreachable` (again, later), or
   `AddressRefused` (never again).
"""

from __future__ import annotations

import base64
import json
import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from django.conf import settings

from audit.services.exchanging import ExchangeFailed, exchange
from audit.services.keys import pinned

from ..channels import Channel, channel_rules
from ..domain import Fault

SUBJECT = "ClinAIOps"
PUSH_TTL_S = 600
PUSH_TOKEN_LIVES = timedelta(hours=12)  # RFC 8292: at most 24 hours
MOST = 65_536
GONE = frozenset({404, 410})
TAKEN = frozenset({200, 201, 202})


class Unreachable(Fault):
    """The provider did not take it now; `code` says why. Try again."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class AddressRefused(Exception):
    """The provider will never take anything for this address; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def configured() -> frozenset[Channel]:
    """The channels that this site has."""
    if settings.CHANNEL_FILE:
        return frozenset(Channel)
    named = {
        Channel.EMAIL: settings.CHANNEL_EMAIL_URL,
        Channel.SMS: settings.CHANNEL_SMS_URL,
        Channel.PUSH: settings.CHANNEL_PUSH_HOSTS,
    }
    return frozenset(channel for channel, value in named.items() if value)


def send(channel: Channel, to: str, said: str, *, key: str, urgent: bool, now: datetime) -> str:
    """Hand one message to the provider. Returns its reference; raises Unreachable, AddressRefused."""
    if channel not in configured():
        raise Unreachable("not-configured")
    if settings.CHANNEL_FILE:
        return _write_down(channel, to, said, key)
    by_channel: dict[Channel, Callable[[], str]] = {
        Channel.EMAIL: lambda: _mail(to, said, key),
        Channel.SMS: lambda: _sms(to, said, key),
        Channel.PUSH: lambda: _push(to, key, urgent=urgent, now=now),
    }
    return by_channel[channel]()


def _write_down(channel: Channel, to: str, said: str, key: str) -> str:
    """One machine on its own reaches nobody: what would have gone out is a line of a file."""
    path = Path(settings.CHANNEL_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"channel": channel.value, "to": to, "said": said, "key": key}) + "\n")
    return f"file:{key}"


def _mail(to: str, said: str, key: str) -> str:
    """SMTP (RFC 5321), with STARTTLS unless the address says `smtps` or, on this machine only, `smtp+plain`."""
    where = urlsplit(settings.CHANNEL_EMAIL_URL)
    letter = EmailMessage()
    letter["Subject"], letter["To"] = SUBJECT, to
    letter["From"] = parse_qs(where.query)["from"][0]
    letter["Message-ID"] = f"<{key}@{letter['From'].rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    letter.set_content(said)
    try:
        with _post_office(where) as line:
            if where.username:
                line.login(unquote(where.username), unquote(where.password or ""))
            line.send_message(letter)
    except smtplib.SMTPRecipientsRefused as err:
        code = next(iter(err.recipients.values()))[0]
        raise (AddressRefused if code >= 500 else Unreachable)(f"smtp-{code}") from err
    except smtplib.SMTPResponseException as err:
        raise Unreachable(f"smtp-{err.smtp_code}") from err
    except (OSError, smtplib.SMTPException) as err:
        raise Unreachable("smtp-unreachable") from err
    return str(letter["Message-ID"])


def _post_office(where: SplitResult) -> smtplib.SMTP:
    limit = channel_rules().timeout_s
    if where.scheme == "smtps":
        return smtplib.SMTP_SSL(where.hostname or "", where.port or 465, timeout=limit)
    line = smtplib.SMTP(where.hostname or "", where.port or 587, timeout=limit)
    if where.scheme != "smtp+plain":
        line.starttls()
    return line


def _sms(to: str, said: str, key: str) -> str:
    """POST to the gateway: `{"to", "text", "key"}`, answered with `{"id"}`. The same key is one message."""
    body = json.dumps({"to": to, "text": said, "key": key}).encode()
    status, answer = _post(
        settings.CHANNEL_SMS_URL,
        body,
        {"Authorization": f"Bearer {settings.CHANNEL_SMS_TOKEN}", "Idempotency-Key": key},
        kind="application/json",
    )
    if status in TAKEN:
        try:
            return str(json.loads(answer)["id"])[:120]
        except (ValueError, KeyError, TypeError) as err:
            raise Unreachable("sms-answer") from err
    if status in {400, 404, 410, 422}:
        raise AddressRefused(f"sms-{status}")
    raise Unreachable(f"sms-{status}")


def _push(endpoint: str, key: str, *, urgent: bool, now: datetime) -> str:
    """Wake the phone (RFC 8030): no body. `Topic` lets a later try replace an earlier one that still waits."""
    headers = {
        "TTL": str(PUSH_TTL_S),
        "Urgency": "high" if urgent else "normal",
        "Topic": key.replace("-", "")[:32],
        "Authorization": _vapid(endpoint, now=now),
    }
    status, _ = _post(endpoint, b"", headers)
    if status in TAKEN:
        return f"push:{key}"
    if status in GONE:
        raise AddressRefused(f"push-{status}")
    raise Unreachable(f"push-{status}")


def _post(url: str, body: bytes, headers: dict[str, str], *, kind: str = "") -> tuple[int, bytes]:
    limit = float(channel_rules().timeout_s)
    try:
        answer = exchange(url, body=body, kind=kind, more=headers, limit_s=limit, most=MOST)
    except ExchangeFailed as err:
        raise Unreachable(err.code) from err
    return answer.status, answer.body


def _vapid(endpoint: str, *, now: datetime) -> str:
    """The proof of who sends (RFC 8292): a token of ES256 for the push service's own origin."""
    key = serialization.load_pem_private_key(pinned("vapid.key", _draw_vapid), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("vapid.key is not a key of P-256")
    where = urlsplit(endpoint)
    claims = {
        "aud": f"{where.scheme}://{where.netloc}",
        "exp": int((now + PUSH_TOKEN_LIVES).timestamp()),
        "sub": settings.CHANNEL_PUSH_CONTACT,
    }
    signed = f"{_b64(json.dumps({'typ': 'JWT', 'alg': 'ES256'}).encode())}.{_b64(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"vapid t={signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}, k={vapid_key()}"


def vapid_key() -> str:
    """The public key that a phone names when it asks its push service for an address (applicationServerKey)."""
    key = serialization.load_pem_private_key(pinned("vapid.key", _draw_vapid), None)
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return _b64(point)


def _draw_vapid() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
