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
  if [[ ${#names[@]} -gt 1 ]]; then
    # First what the others are held to, then these, a few at a time: each waits for the index most of the time.
    if [[ " ${names[*]} " == *" default "* ]]; then requirements/lock.sh default; fi
    printf '%s\n' "${names[@]}" | grep -vx default | xargs --max-args=1 --max-procs=4 requirements/lock.sh
    return
  fi
  name=${names[0]}
  case $name in
    default) lock default pyproject.toml ;;
    dev) lock dev pyproject.toml --group dev -c requirements/default.txt ;;
    # Tools with an environment of their own: the app is not in it.
    build | engine-tools | llama-cpp-build | provision | provision-min) lock "$name" --group "$name" ;;
    *) lock "$name" pyproject.toml --extra "$name" -c requirements/default.txt ;;
  esac
}
main "$@"
