#!/usr/bin/env bash
# Makes a lab of Debian nodes: those of an inventory (testing/lab/inventories), or adds what a running one lacks.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
# shellcheck source=command.sh
source "$(dirname "${BASH_SOURCE[0]}")/command.sh"

usage() {
  cat <<'END'
Usage: testing/lab/up.sh [--suite bookworm] [INVENTORY]        LAB=NAME names the lab, where several run at once

Example: testing/lab/up.sh testing/lab/inventories/three_controllers.yaml
END
}

lab up "$@"
