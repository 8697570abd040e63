#!/usr/bin/env bash
# Turns this PC into a voice agent that you talk to in the browser. Thin: it gets Ansible, which does the work
# (playbook.yaml, ansible/roles).
set -euo pipefail
REPO=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
HOME_DIR=/opt/pipecatapp
LOG=/var/log/pipecatapp/bootstrap.log
# When this release was made: a clock that is before it is wrong. Seconds since 1970.
RELEASED=1795867200

usage() {
  cat <<END
Usage: ./bootstrap.sh [option]

  (none)           install or update the agent, start it, ask it a question, print the link to open
  --build-engine   the same, and compile an engine for this processor in the background
  --starter-only   the same, without downloading bigger models (later: pipecatapp models pull --for-this-pc)
  --dry-run        say what would change, change nothing
  --status         say what runs, and the link
  --stop, --start  stop the agent and its engine; start them again
  --uninstall      remove everything, settings and conversations too (asks; --yes does not)
                     --keep-state      keep /etc/pipecatapp and /var/lib/pipecatapp
                     --purge-packages  remove the Debian packages that came with the agent, too
  -v, --verbose    show the differences in files as well
  -h, --help       this

Ports other than 8000, 8443 and 8081: WEB_PORT=9000 WEB_TLS_PORT=9443 ENGINE_PORT=9081 ./bootstrap.sh
Behind a proxy: https_proxy=http://proxy:3128 ./bootstrap.sh   (later downloads use it, too; delete it from
                /etc/pipecatapp/pipecatapp.env to forget it). So does a package index of your own: PIP_INDEX_URL,
                PIP_TRUSTED_HOST, PIP_CERT. The engine's packages from a stick or another PC:
                ENGINE_PACKAGES=/media/stick ./bootstrap.sh
Interrupted? Run it again: it continues. Needs Debian 12 or newer and root or sudo. Log: $LOG
END
}

say() { printf '%s\n' "$*"; }
die() { # STEP REASON NEXT
  printf 'Failed: %s\n  Reason: %s\n  What to do: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

become_root() {
  [[ $EUID -ne 0 ]] || return 0
  command -v sudo >/dev/null ||
    die "becoming root" "you are not root and there is no sudo here" "run: su -c '$REPO/bootstrap.sh $*'"
  local keep=WEB_PORT,WEB_TLS_PORT,ENGINE_PORT,ENGINE_PACKAGES,SSL_CERT_FILE,REQUESTS_CA_BUNDLE
  keep+=,http_proxy,https_proxy,no_proxy,all_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,ALL_PROXY
  keep+=,PIP_INDEX_URL,PIP_EXTRA_INDEX_URL,PIP_CERT,PIP_PROXY,PIP_TRUSTED_HOST,PIP_FIND_LINKS
  exec sudo --preserve-env="$keep" -- "$REPO/bootstrap.sh" "$@"
}

# `su -c` gives a PATH without the folders of the administrator's programs, which dpkg and its scripts want.
# apt and others read a proxy in lower case, some programs in upper case only. This PC is never behind one.
settle_environment() {
  local name upper
  export PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
  local all=${all_proxy:-${ALL_PROXY:-}}
  for name in http_proxy https_proxy no_proxy; do
    upper=${name^^}
    # apt knows no proxy for everything, and neither do the services.
    [[ $name == no_proxy || -n ${!name:-}${!upper:-} || $all != http* ]] || export "$name=$all"
    [[ -z ${!name:-} && -n ${!upper:-} ]] && export "$name=${!upper}"
    [[ -z ${!upper:-} && -n ${!name:-} ]] && export "$upper=${!name}"
  done
  if [[ -n ${http_proxy:-}${https_proxy:-}$all ]]; then
    export no_proxy="${no_proxy:+$no_proxy,}localhost,127.0.0.1,::1"
    export NO_PROXY=$no_proxy
  fi
}

run_playbook() { # PLAYBOOK OPTIONS...
  ANSIBLE_CONFIG=$REPO/ansible.cfg PIPECATAPP_BOOTSTRAP_LOG=$BOOTSTRAP_LOG ANSIBLE_NOCOWS=1 LC_ALL=C.UTF-8 \
    "${PLAYBOOK[@]}" --inventory "$REPO/local_inventory.ini" "$@"
}

links() {
  say ""
  pipecatapp link | sed '1s/^/Open  /; 2,$s/^/  or  /' || say "The link: sudo pipecatapp link"
}

install_agent() {
  mkdir -p "$HOME_DIR"
  # Root's, whoever had it before: only then nobody can put a link in the log's place.
  install -d -o root -g root -m 0755 "$(dirname "$LOG")"
  [[ -e $HOME_DIR/packages.before ]] ||
    dpkg-query --show --showformat '${Package}\n' | sort -u >"$HOME_DIR/packages.before"
  BOOTSTRAP_LOG=$LOG
  get_ansible
  run_playbook "$REPO/playbook.yaml" "$@" || failed
  dpkg-query --show --showformat '${Package}\n' | sort -u | comm -13 "$HOME_DIR/packages.before" - >"$HOME_DIR/packages.added"
  links
}

dry_run() {
  BOOTSTRAP_LOG=/dev/null
  get_ansible_for_a_moment
  run_playbook "$REPO/playbook.yaml" --check --diff "$@" || failed
}

failed() {
  local code=$?
  [[ $code -ne 130 && $code -ne 99 ]] || say "Interrupted. Run ./bootstrap.sh again: it continues where it stopped."
  [[ $BOOTSTRAP_LOG == /dev/null ]] || say "The whole log: $BOOTSTRAP_LOG"
  exit "$code"
}

control() { # start|stop|status
  [[ -x $HOME_DIR/bin/services ]] || die "$1" "the agent is not installed here" "run ./bootstrap.sh"
  # The lock stays here: the services outlive this script.
  "$HOME_DIR/bin/services" "$1" 9>&-
  if [[ $1 == stop ]]; then say "Stopped. Start again with: ./bootstrap.sh --start"; else links; fi
}

uninstall() {
  [[ -d $HOME_DIR ]] || { say "Nothing to remove: the agent is not installed here."; return; }
  local what="$HOME_DIR, the services, the user pipecatapp, /var/log/pipecatapp"
  [[ -n $KEEP_STATE ]] || what+=", /etc/pipecatapp and /var/lib/pipecatapp (settings, conversations, memory, models)"
  say "This removes $what."
  if [[ -z $YES ]]; then
    read -r -p "Remove it all? [y/N] " answer || true
    [[ ${answer:-} == [yY]* ]] || { say "Kept."; return 1; }
  fi
  BOOTSTRAP_LOG=/dev/null
  get_ansible
  run_playbook "$REPO/ansible/uninstall.yaml" --extra-vars "{\"keep_state\": ${KEEP_STATE:-false}}" || failed
  local packages=()
  [[ ! -s $HOME_DIR/packages.added ]] || mapfile -t packages <"$HOME_DIR/packages.added"
  rm -rf --one-file-system "$HOME_DIR"
  if [[ ${#packages[@]} -gt 0 && -n $PURGE ]]; then
    DEBIAN_FRONTEND=noninteractive apt-get -qq purge --yes "${packages[@]}" >/dev/null
  elif [[ ${#packages[@]} -gt 0 ]]; then
    say "These Debian packages came with the agent and stay: ${packages[*]}" "(--purge-packages would remove them)"
  fi
  say "Removed."
  [[ ! -d /etc/pipecatapp-cluster ]] ||
    say "The cluster's vault stays: /etc/pipecatapp-cluster. Remove it when no other machine is in the cluster."
}

main() {
  local action=install options=() original=("$@")
  KEEP_STATE='' YES='' PURGE=''
  while [[ $# -gt 0 ]]; do
    case $1 in
      --build-engine) options+=(--extra-vars engine_build=always) ;;
      --starter-only) options+=(--extra-vars '{"models_pull_arguments": ["all-minilm-l6-v2"]}') ;;
      --dry-run) action=dry-run ;;
      --status | --stop | --start | --uninstall) action=${1#--} ;;
      --keep-state) KEEP_STATE=true ;;
      --purge-packages) PURGE=true ;;
      --yes | -y) YES=true ;;
      -v | --verbose) options+=(--verbose) ;;
      -h | --help) usage; return ;;
      *) printf 'unknown option %s\n\n' "$1" >&2; usage >&2; return 2 ;;
    esac
    shift
  done
  become_root "${original[@]}"
  umask 022
  settle_environment
  # Python looks for modules where it is started, and that folder may be anybody's.
  cd /
  # shellcheck source=ansible/get_ansible.sh
  source "$REPO/ansible/get_ansible.sh"
  exec 9>/run/pipecatapp-bootstrap.lock
  flock --nonblock 9 || die "starting" "another bootstrap.sh is running" "wait for it, or end it"
  case $action in
    install) install_agent "${options[@]}" ;;
    dry-run) dry_run "${options[@]}" ;;
    uninstall) uninstall ;;
    *) control "$action" ;;
  esac
}
# A test may read the functions alone.
[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
