#!/bin/sh
# A browser for the browser tests, where this machine lets us install one: Debian or Ubuntu, as root. Never an error.
set -u
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || exit 0
echo "Installing Chromium for the browser tests ..."
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if apt-get install -y --no-install-recommends chromium </dev/null >"$log" 2>&1 ||
    { apt-get update </dev/null >"$log" 2>&1 && apt-get install -y --no-install-recommends chromium </dev/null >"$log" 2>&1; }; then
    rm -f "$log"
else
    echo "Chromium could not be installed; the browser tests will say so by name. Last line: $(tail -n 1 "$log")"
    rm -f "$log"
fi
exit 0
