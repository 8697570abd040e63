#!/usr/bin/env bash
# Says whether every node of the lab runs and whether ssh and Ansible reach it; 1 if one does not.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
# shellcheck source=command.sh
source "$(dirname "${BASH_SOURCE[0]}")/command.sh"

usage() {
  cat <<'END'
Usage: testing/lab/check.sh        LAB=NAME names the lab, where several run at once

Example: testing/lab/check.sh
END
}

lab check "$@"
