#!/usr/bin/env bash
# Writes the hashed lock of every dependency group from pyproject.toml. Needs uv (`pip install uv`).
#   requirements/lock.sh            # all groups
#   requirements/lock.sh whisper    # one
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,4p' "$0"; }

lock() { # NAME, uv options...
  local name=$1
  shift
  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --quiet --custom-compile-command requirements/lock.sh \
    "$@" -o "requirements/$name.txt"
  echo "wrote requirements/$name.txt"
}

main() {
  case ${1:-all} in
    -h | --help) usage; return ;;
  esac
  local names=("$@") name
  [[ ${#names[@]} -gt 0 ]] || names=(default whisper piper kokoro local-audio dev provision)
  for name in "${names[@]}"; do
    case $name in
      default) lock default ;;
      dev | provision) lock "$name" --group "$name" -c requirements/default.txt ;;
      *) lock "$name" --extra "$name" -c requirements/default.txt ;;
    esac
  done
}
main "$@"
