"""What a site must decide has no default; what one machine needs has one; the wiring is strict in both."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.addresses import BadAddress, read_address

ROOT = Path(__file__).resolve().parents[2]


def load_settings(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "CLINAIOPS_HOME", "HOME"}}
    asked = "from config import settings as s; print(s.HTTPS, s.DATABASES['default']['USER'], s.ALLOWED_HOSTS)"
    return subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )


def test_a_site_without_a_key_does_not_start():
    told = load_settings(DATABASE_URL="postgresql://app:x@db/clinaiops")
    assert told.returncode != 0
    assert "SECRET_KEY must be set" in told.stderr


def test_a_site_is_served_over_https_to_the_hosts_it_names():
    told = load_settings(DATABASE_URL="postgresql://app:x@db/clinaiops", SECRET_KEY="k" * 60, ALLOWED_HOSTS="a.example")
    assert told.stdout.strip() == "True app ['a.example']"


def test_one_machine_on_its_own_needs_nothing(tmp_path):
    told = load_settings(CLINAIOPS_HOME=str(tmp_path))
    assert told.stdout.startswith("False clinaiops_app ['localhost'"), told.stderr
    assert not (tmp_path / "postgres").exists(), "reading the settings starts nothing"


def test_a_misspelt_switch_is_an_error_and_not_off(tmp_path):
    told = load_settings(CLINAIOPS_HOME=str(tmp_path), DEBUG="ture")
    assert "DEBUG must be 1 or 0" in told.stderr


def test_an_address_is_read_whole():
    entry = read_address("postgresql://us%40er:p%2Fw@db.example:6432/na%20me?sslmode=require", variable="DATABASE_URL")
    assert (entry["USER"], entry["PASSWORD"], entry["HOST"], entry["PORT"]) == ("us@er", "p/w", "db.example", "6432")
    assert (entry["NAME"], entry["OPTIONS"]) == ("na me", {"sslmode": "require"})


@pytest.mark.parametrize("text", ["mysql://a:secret@b/c", "postgresql://a:secret@b", "clinaiops"])
def test_a_wrong_address_is_refused_without_repeating_its_password(text):
    with pytest.raises(BadAddress, match="DATABASE_URL") as refusal:
        read_address(text, variable="DATABASE_URL")
    assert "secret" not in str(refusal.value)


@pytest.mark.django_db
def test_every_page_forbids_foreign_and_inline_script(client):
    policy = client.get("/accounts/login/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
