#!/usr/bin/env bash
# Makes a lab of Debian nodes: those of an inventory (testing/lab/inventories), or adds what a running one lacks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'END'
Usage: testing/lab/up.sh [INVENTORY]        LAB=NAME names the lab, where several run at once

Example: testing/lab/up.sh testing/lab/inventories/three_controllers.yaml
END
}

main() {
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  PYTHONPATH=src:. exec .venv/bin/python -m testing.lab --name "${LAB:-lab}" up "$@"
}
main "$@"
