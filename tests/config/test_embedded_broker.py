"""The embedded broker keeps what it was given across a stop and a kill, and speaks on its socket only."""

import os
import signal

import pytest
import redis

from config.embedded import Home, broker_url, ensure_broker, stop_broker


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    assert ensure_broker(home)
    yield home
    stop_broker(home)


def line(home: Home) -> redis.Redis:
    return redis.Redis(unix_socket_path=broker_url(home).removeprefix("redis+socket://"), retry=None)


def test_a_second_start_finds_the_first(home):
    assert not ensure_broker(home)
    assert line(home).config_get("port") == {"port": "0"}
    assert line(home).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_was_queued_is_there_after_a_stop(home):
    line(home).rpush("critical", "task")
    stop_broker(home)
    assert ensure_broker(home)
    assert line(home).lrange("critical", 0, -1) == [b"task"]


def test_a_killed_broker_is_started_again(home):
    os.kill(int((home.broker / "server.pid").read_text()), signal.SIGKILL)
    while True:
        try:
            line(home).ping()
        except redis.ConnectionError:
            break
    assert ensure_broker(home)
    assert line(home).ping()
