#!/usr/bin/env bash
# Writes the hashed lock of every dependency group from pyproject.toml. Needs uv (in .venv by scripts/setup).
#   requirements/lock.sh            # all groups
#   requirements/lock.sh whisper    # one
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

usage() { sed -n '2,4s/^# //p' "$0"; }

lock() { # NAME, uv options...
  local name=$1
  shift
  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-annotate --quiet --custom-compile-command requirements/lock.sh "$@" -o "requirements/$name.txt"
  echo "wrote requirements/$name.txt"
}

main() {
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  local names=("$@") name
  [[ ${#names[@]} -gt 0 ]] ||
    names=(default whisper kokoro realtimestt llama-cpp browser vision sentence-transformers build engine-tools llama-cpp-build dev provision-min provision)
  for name in "${names[@]}"; do
    case $name in
      default) lock default pyproject.toml ;;
      dev) lock dev pyproject.toml --group dev -c requirements/default.txt ;;
      # Tools with an environment of their own: the app is not in it.
      build | engine-tools | llama-cpp-build | provision | provision-min) lock "$name" --group "$name" ;;
      *) lock "$name" pyproject.toml --extra "$name" -c requirements/default.txt ;;
    esac
  done
}
main "$@"
