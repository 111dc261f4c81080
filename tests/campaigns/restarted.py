"""The database stopped at once under load, in a home of its own: `python -m tests.campaigns.restarted TIMES`.

Writers go on sending the same reading under the same id until it is acknowledged, as a device does. Prints one JSON
object: how often the server died, what was acknowledged, what of it is there exactly once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ.pop("DATABASE_URL", None)

import django

django.setup()

from django.db import Error, connection, connections  # noqa: E402

from audit.selectors import count_entries  # noqa: E402
from care_loops.models import BloodPressure  # noqa: E402
from care_loops.services import take_in  # noqa: E402
from config.embedded import ensure_database, home  # noqa: E402
from config.embedded.postgres import stop_database  # noqa: E402
from governance.services import acting_device  # noqa: E402
from tests.campaigns.ward import patient_of, the_site  # noqa: E402
from tests.factories import NOW, arrival_of  # noqa: E402

WRITERS = 3


def writer(number: int, patient: UUID, acknowledged: list[str], stop: threading.Event) -> None:
    """Store readings one after the other, each until it is acknowledged."""
    for n in count():
        name = f"w{number}-{n}"
        at = NOW - timedelta(minutes=n * WRITERS + number)
        while not stop.is_set():
            try:
                arrival = arrival_of(141, 88, at=at, source_id=name)
                take_in(patient, [arrival], by=acting_device("cuff-1"), now=NOW, received_at=NOW)
            except Error:
                connection.close()
                time.sleep(0.05)
            else:
                acknowledged.append(name)
                break
        if stop.is_set():
            connections.close_all()
            return


def main(times: int) -> None:
    """Stop the server so often, each time at another moment of the load."""
    ours = home()
    ensure_database(ours)
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
    patient = patient_of(the_site())
    before, stop = count_entries(), threading.Event()
    acknowledged: list[str] = []
    threads = [threading.Thread(target=writer, args=(n, patient.pk, acknowledged, stop)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for n in range(times):
        time.sleep(0.4 + 0.13 * n)
        pid = int(next(Path(ours.cluster).rglob("postmaster.pid")).read_text().split()[0])
        os.kill(pid, signal.SIGQUIT if n % 2 else signal.SIGKILL)
        ensure_database(ours)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    connection.close()
    stored = list(BloodPressure.objects.filter(patient=patient).values_list("source_id", flat=True))
    said = {
        "stopped": times,
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - set(stored)),
        "doubled": len(stored) - len(set(stored)),
        "half": len(stored) - (count_entries() - before),
    }
    connections.close_all()
    stop_database(ours)
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]))
