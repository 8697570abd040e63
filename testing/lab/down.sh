#!/usr/bin/env bash
# Removes the lab, also what a killed one left behind.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
# shellcheck source=command.sh
source "$(dirname "${BASH_SOURCE[0]}")/command.sh"

usage() {
  cat <<'END'
Usage: testing/lab/down.sh        LAB=NAME names the lab, where several run at once

Example: testing/lab/down.sh
END
}

lab down "$@"
