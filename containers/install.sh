#!/bin/sh
# Installs the packages in /src into /opt/neuralizer, on Debian 12. Both containers run it. EXTRAS: [cuda], [serve], ...
set -eu
apt-get update
apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv
rm -rf /var/lib/apt/lists/*
python3 -m venv /opt/neuralizer
/opt/neuralizer/bin/pip install --no-cache-dir --disable-pip-version-check "/src${EXTRAS:-}"
rm -rf /src
# Compiled programs and alignments, of any user.
mkdir --mode 1777 /cache
