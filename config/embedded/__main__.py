"""`python -m config.embedded start|stop|status`: the embedded services by hand."""

import argparse
import sys

from config.embedded.broker import ensure_broker, stop_broker
from config.embedded.home import CannotStart, home
from config.embedded.postgres import ensure_database, is_ready, stop_database


def main() -> int:
    """Do what was asked; exit 0 when it holds."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    parser.add_argument("act", choices=["start", "stop", "status"])
    act = parser.parse_args().act
    where = home()
    try:
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


if __name__ == "__main__":
    sys.exit(main())
