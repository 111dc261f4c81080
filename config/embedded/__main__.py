"""The embedded services by hand: `python -m config.embedded start|stop|status`, or `run -- COMMAND`.

`run` brings the database up for one command and stops it after, unless it ran before: nothing is left behind.
"""

import argparse
import os
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
    where = home()
    started = not os.environ.get("DATABASE_URL") and ensure_database(where)
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        if started:
            stop_database(where)


if __name__ == "__main__":
    sys.exit(main())
