# shellcheck shell=bash
# What up.sh, check.sh and down.sh beside it source: each is one command of `python -m testing.lab`.
set -euo pipefail

lab() { # COMMAND ARGUMENTS...; `usage` is the script's own
  case ${2:-} in
    -h | --help) usage; return ;;
  esac
  cd "$(dirname "${BASH_SOURCE[0]}")/../.."
  PYTHONPATH=src:. exec .venv/bin/python -m testing.lab --name "${LAB:-lab}" "$@"
}
