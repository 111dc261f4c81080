"""The embedded services by hand: `python -m config.embedded start|stop|status`, or `run -- COMMAND`.

`run` brings both up for one command and stops after it what did not run before: nothing is left behind.
"""

import argparse
import os
import signal
import subprocess
import sys

from config.embedded.broker import ensure_broker, stop_broker
from config.embedded.home import CannotStart, home
from config.embedded.postgres import ensure_database, is_ready, stop_database


def main() -> int:
    """Do what was asked; exit 0 when it holds."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    parser.add_argument("act", choices=["start", "stop", "status", "run"])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    act, where = asked.act, home()
    try:
        if act == "run":
            return _run(asked.command[asked.command[:1] == ["--"] :])
        if act == "start":
            ensure_database(where)
            ensure_broker(where)
        elif act == "stop":
            stop_broker(where)
            stop_database(where)
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1
    running = is_ready(where)
    print(f"embedded database in {where.path}: {'running' if running else 'stopped'}")
    return 0 if running == (act != "stop") else 1


def _run(command: list[str]) -> int:
    """Run it with the services up, hand it the signals we get, and stop what we started."""
    where = home()
    database = not os.environ.get("DATABASE_URL") and ensure_database(where)
    broker = not os.environ.get("CELERY_BROKER_URL") and ensure_broker(where)
    try:
        child = subprocess.Popen(command, process_group=0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: os.killpg(child.pid, received))
        return child.wait()
    finally:
        if broker:
            stop_broker(where)
        if database:
            stop_database(where)


if __name__ == "__main__":
    sys.exit(main())
