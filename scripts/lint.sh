#!/usr/bin/env bash
# Runs linters by name, all of them by default, as many at a time as there are processors, and says which failed. Changes
# nothing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# Those that take long come first.
LINTERS=(ruff ansible mypy shellcheck imports markdown biome tsc yaml)

usage() {
  cat <<'EOF'
Usage: scripts/lint.sh [NAME...]      (default: all, as `npm run lint` does through scripts/check)

  ruff        Python: style, common bugs, formatting
  mypy        Python: types, strict
  imports     the layers of docs/ARCHITECTURE.md (import-linter)
  shellcheck  every shell script
  markdown    README and docs (markdownlint)
  biome       the page: JavaScript, CSS, JSON
  tsc         the page: types in JSDoc comments
  yaml        playbooks, roles and variables (yamllint)
  ansible     playbooks and roles (ansible-lint, production profile)

Example: scripts/lint.sh ruff mypy
EOF
}

# Files of the work tree that match, new ones too, ignored and deleted ones not.
files() {
  local file
  git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
    if [[ -f $file ]]; then printf '%s\n' "$file"; fi
  done
}

shell_scripts() {
  local file
  files | while IFS= read -r file; do
    # Ansible's templates are no shell before they are filled in.
    if [[ $file == *.j2 ]]; then continue; fi
    if [[ $file == *.sh ]] || head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh$'; then printf '%s\n' "$file"; fi
  done
}

lint_ruff() { .venv/bin/ruff check --quiet && .venv/bin/ruff format --check --quiet; }
lint_mypy() { .venv/bin/mypy --no-error-summary; }
lint_imports() { .venv/bin/lint-imports --no-logo; }
lint_shellcheck() { shell_scripts | xargs -r -d '\n' shellcheck --external-sources; }
lint_markdown() { files '*.md' | xargs -r -d '\n' node_modules/.bin/markdownlint-cli2; }
lint_biome() { node_modules/.bin/biome ci --colors=off --log-level=warn --error-on-warnings; }
lint_tsc() { node_modules/.bin/tsc --project tsconfig.json; }
lint_yaml() { files '*.yaml' '*.yml' | xargs -r -d '\n' .cache/provision/bin/yamllint --strict; }
lint_ansible() {
  if [[ ! -f playbook.yaml ]]; then return 0; fi
  PATH="$PWD/.cache/provision/bin:$PATH" ansible-lint --offline -q --nocolor
}

# lint NAME FOLDER: run one, say how it went; a file in the folder says that it failed.
lint() {
  local name=$1 folder=$2 output start=$SECONDS verdict=ok
  if ! output=$("lint_$name" 2>&1); then
    verdict=FAIL
    : >"$folder/$name"
  fi
  # One at a time: what they say does not mix.
  {
    flock 9
    if [[ $verdict == FAIL ]]; then printf '%s\n' "$output"; fi
    printf '%-5s %-10s %3d s\n' "$verdict" "$name" $((SECONDS - start))
  } 9>>"$folder/.lock"
}

main() {
  local names=("$@") name folder failed most
  case ${1:-} in
    -h | --help) usage; return ;;
  esac
  [[ ${#names[@]} -gt 0 ]] || names=("${LINTERS[@]}")
  for name in "${names[@]}"; do
    if [[ " ${LINTERS[*]} " != *" $name "* ]]; then
      echo "unknown linter '$name'; choose from: ${LINTERS[*]}" >&2
      return 2
    fi
  done
  folder=$(mktemp -d)
  most=$(nproc)
  for name in "${names[@]}"; do
    while [[ $(jobs -rp | wc -l) -ge $most ]]; do wait -n; done
    lint "$name" "$folder" &
  done
  wait
  failed=$(ls "$folder")
  rm -r "$folder"
  if [[ -n $failed ]]; then
    echo "failed: ${failed//$'\n'/ }; scripts/fmt mends what a machine can mend"
    return 1
  fi
}
main "$@"
