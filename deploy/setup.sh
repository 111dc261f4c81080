#!/bin/sh
# Makes .venv beside this folder, or finds it up to date. Every target of the Makefile comes through here.
# Needs nothing exported and no virtual environment; finds a Python of 3.11 to 3.13 with venv and ensurepip by itself.
set -eu
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
probe='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
for candidate in "${PYTHON:-python3}" "$here/../.venv/bin/python" python3.13 python3.12 python3.11 python; do
    if "$candidate" -c "$probe" >/dev/null 2>&1; then
        exec "$candidate" "$here/setup.py" "$@"
    fi
done
echo "ClinAIOps needs Python 3.11, 3.12 or 3.13 with venv and ensurepip (on Debian and Ubuntu: apt install python3 python3-venv); none was found." >&2
exit 1
