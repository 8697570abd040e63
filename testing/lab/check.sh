#!/usr/bin/env bash
# Says whether every node of the lab runs and whether ssh and Ansible reach it; 1 if one does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'END'
Usage: testing/lab/check.sh        LAB=NAME names the lab, where several run at once

Example: testing/lab/check.sh
END
}

main() {
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  PYTHONPATH=src:. exec .venv/bin/python -m testing.lab --name "${LAB:-lab}" check "$@"
}
main "$@"
