#!/usr/bin/env bash
# Removes the lab, also what a killed one left behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'END'
Usage: testing/lab/down.sh        LAB=NAME names the lab, where several run at once

Example: testing/lab/down.sh
END
}

main() {
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  PYTHONPATH=src:. exec .venv/bin/python -m testing.lab --name "${LAB:-lab}" down "$@"
}
main "$@"
