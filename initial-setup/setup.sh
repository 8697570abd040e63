#!/usr/bin/env bash
# Makes a bare Debian PC ready to become a node: name, fixed address, account, the control node's key.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
umask 022
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=lib/conf.sh
source "$HERE/lib/conf.sh"
# shellcheck source=lib/addresses.sh
source "$HERE/lib/addresses.sh"
# shellcheck source=lib/values.sh
source "$HERE/lib/values.sh"
# shellcheck source=lib/files.sh
source "$HERE/lib/files.sh"
# shellcheck source=lib/machine.sh
source "$HERE/lib/machine.sh"
# shellcheck source=lib/render.sh
source "$HERE/lib/render.sh"
# shellcheck source=lib/network.sh
source "$HERE/lib/network.sh"
# shellcheck source=lib/steps.sh
source "$HERE/lib/steps.sh"
# shellcheck source=lib/key.sh
source "$HERE/lib/key.sh"

CONFIG=$HERE/setup.conf ACTION=set_up YES="" PASSWORDLESS="" KEY_SOURCE="" FINGERPRINT="" SECONDS_TO_CONFIRM=180

usage() {
  cat <<END
Usage: sudo bash setup.sh [option]

  (none)               check setup.conf, show what would change, ask, and do it
  --dry-run            show it, with the differences in files; change nothing
  --config FILE        another file than setup.conf beside this script
  --key FILE           let this public key log in ('-': it comes on stdin); its fingerprint is shown and asked
  --key-from USER      the same, with the key fetched over ssh from USER at CONTROL_NODE_IP
  --fingerprint F      the key is right if it has this fingerprint: do not ask
  --passwordless-sudo  let USERNAME use sudo without a password
  --confirm-within N   seconds after which a change of the address that nobody confirmed is taken back (default 180)
  --yes                do not ask (a new key still needs --fingerprint)
  --confirm            keep a changed address: typed after logging in at the new one
  --rollback           do not keep it
  --undo               bring back the files that the last run changed; again: those of the run before
  -h, --help           this

Example: sudo bash setup.sh --dry-run
Twice is safe: what is as it should be stays. Backups: $STATE
END
}

say() { printf '%s\n' "$*"; }
stop() { # STEP REASON NEXT
  printf 'Failed: %s\n  Reason: %s\n  What to do: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

ask() { # QUESTION
  local answer="" from=/dev/stdin
  [[ $KEY_SOURCE != - ]] || from=/dev/tty
  read -r -p "$1 [y/N] " answer <"$from" || true
  [[ $answer == [yY] || $answer == [yY][eE][sS] ]]
}

parse_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      -h | --help) ACTION=usage ;;
      --dry-run) ACTION=dry_run ;;
      --confirm) ACTION=confirm ;;
      --rollback) ACTION=rollback ;;
      --undo) ACTION=undo ;;
      --apply-change) ACTION=apply ;; # by the unit that change_address starts
      --yes) YES=yes ;;
      --passwordless-sudo) PASSWORDLESS=yes ;;
      --config | --key | --key-from | --fingerprint | --confirm-within)
        [[ $# -gt 1 ]] || { usage >&2; exit 2; }
        case $1 in
          --config) CONFIG=$2 ;;
          --key) KEY_SOURCE=$2 ;;
          --key-from) KEY_SOURCE=ssh:$2 ;;
          --fingerprint) FINGERPRINT=$2 ;;
          --confirm-within) SECONDS_TO_CONFIRM=$2 ;;
        esac
        shift ;;
      *) printf 'There is no option %s.\n' "$(shown "$1")" >&2; usage >&2; exit 2 ;;
    esac
    shift
  done
  if [[ $KEY_SOURCE == ssh:* && ! $KEY_SOURCE =~ ^ssh:[a-z_][a-z0-9_-]{0,31}$ ]]; then
    ERRORS+=("--key-from needs the name of an account on the control node")
  fi
  if [[ ! $SECONDS_TO_CONFIRM =~ ^[1-9][0-9]{1,3}$ || $SECONDS_TO_CONFIRM -lt 30 || $SECONDS_TO_CONFIRM -gt 3600 ]]; then
    ERRORS+=("--confirm-within is a number of seconds from 30 to 3600")
  fi
}

need_root() {
  [[ $EUID -eq 0 ]] || stop "looking at this machine" "only root may" "run: sudo bash $HERE/setup.sh"
}

one_at_a_time() {
  install -d -m 0700 "$STATE"
  exec 9>"$STATE/running"
  flock -n 9 || stop "starting" "setup.sh runs here already" "wait for it"
  [[ ! -e $UNCONFIRMED ]] ||
    stop "starting" "the last change of the address waits for a yes" "keep it with --confirm or take it back with --rollback"
}

set_up() {
  read_config "$CONFIG"
  check_values
  [[ $EUID -eq 0 ]] || report_errors
  need_root
  check_machine
  get_key
  report_errors
  [[ $ACTION == dry_run ]] || one_at_a_time
  begin_run
  trap forget_empty_run EXIT
  plan_everything
  if [[ ${#PLAN[@]} -eq 0 ]]; then
    say "Nothing to do: this machine is as $CONFIG_NAME says."
    show_own_key
    return
  fi
  say "This machine ($(hostname)) would change:"
  printf '  - %s\n' "${PLAN[@]}"
  if [[ -z ${CONF[STATIC_IP]:-} ]]; then say "Its address stays as it is."; fi
  if [[ $ACTION == dry_run ]]; then
    differences "$RUN"
    return
  fi
  ask_about_key
  do_run "Do it?"
}

do_run() { # QUESTION
  local step
  [[ -n $YES ]] || ask "$1" || { say "Nothing was changed."; exit 1; }
  : >"$RUN/begun"
  if [[ -n $PASSWORDLESS && -e $RUN/new/etc/sudoers.d/pipecatapp-setup ]] && command -v visudo >/dev/null; then
    visudo -cqf "$RUN/new/etc/sudoers.d/pipecatapp-setup" || stop "allowing sudo" "visudo refuses the rule" "report this"
  fi
  finish_run "$RUN"
  put_all "$RUN" other new
  for step in "${TODO[@]}"; do [[ -z $step ]] || "$step"; done
  if grep -q '^network' "$RUN/list"; then change_address; fi
  say "Done. The files as they were: $RUN (back: sudo bash $HERE/setup.sh --undo)"
  show_own_key
}

# Who lets this machine join, compares this.
show_own_key() {
  local file=/etc/ssh/ssh_host_ed25519_key.pub type blob rest
  [[ -r $file ]] || return 0
  read -r type blob rest <"$file"
  say "This machine's own key of ssh has the fingerprint $(fingerprint "$type" "$blob")${rest:+ ($rest)}"
}

# A run that changed nothing leaves no folder.
forget_empty_run() { [[ -e $RUN/begun ]] || rm -rf -- "$RUN"; }

change_address() {
  local outcome="" deadline
  arm "$RUN" "$SECONDS_TO_CONFIRM"
  say ""
  say "The address of ${CONF[INTERFACE]} changes now${CONF[STATIC_IP]:+ to ${CONF[STATIC_IP]}}. This connection may end."
  if over_the_network; then
    say "Within $SECONDS_TO_CONFIRM seconds log in at the new address and run"
    say "  sudo bash $PROGRAM/setup.sh --confirm"
    say "or the old settings come back by themselves."
  fi
  # The DHCP client that ifup starts outlives the unit, which then keeps its name for itself.
  systemd-run --quiet --collect --unit="pipecatapp-setup-apply-$$" --property=KillMode=process --setenv=PIPECATAPP_SETUP_STATE="$STATE" \
    /bin/bash "$PROGRAM/setup.sh" --apply-change 9>&-
  deadline=$((SECONDS + SECONDS_TO_CONFIRM))
  until [[ -n $outcome || $SECONDS -ge $deadline ]]; do
    sleep 0.5
    outcome=$(cat "$OUTCOME" 2>/dev/null || true)
  done
  case $outcome in
    applied)
      say "It works${CONF[GATEWAY]:+: the gateway answers}."
      if over_the_network; then
        say "It is not kept yet: confirm it from a new connection, as said above."
      elif [[ -n $YES ]] || ask "Keep it?"; then
        confirm_change
      else
        roll_back "you said no"
        exit 1
      fi ;;
    kept) ;;
    *) stop "changing the address" "${outcome:-it took too long}" "correct setup.conf and run this again; the old settings hold" ;;
  esac
}

# Only a new connection proves that this machine can still be reached.
over_the_network() { [[ -n ${SSH_CONNECTION:-}${SUDO_SSH_CONNECTION:-} ]] || came_over_ssh $$; }

# sudo takes SSH_CONNECTION away; who started us is still known.
came_over_ssh() { # PID
  local pid=$1 name
  while [[ $pid -gt 1 ]]; do
    name=$(</proc/"$pid"/comm) || return 1
    if [[ $name == sshd* ]]; then return 0; fi
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/"$pid"/status) || return 1
  done
  return 1
}

undo() {
  local folder
  one_at_a_time
  begin_run
  trap forget_empty_run EXIT
  while folder=$(last_run) && [[ -n $folder ]]; do
    stage_old_files "$folder"
    [[ ! -s $RUN/list && ! -s $folder/key ]] || break
    : >"$folder/undone" # its files are as they were
  done
  if [[ -z $folder ]]; then
    say "Nothing to undo: there is no run of setup.sh whose files could come back."
    return
  fi
  say "The files of the run of $(<"$folder/done") come back as they were:"
  differences "$RUN"
  say "(An account and packages stay.)"
  : >"$RUN/undone"
  do_run "Bring them back?"
  take_key_away "$folder"
  [[ ! -e $RUN/old/etc/hostname ]] || hostname -- "$(</etc/hostname)"
  : >"$folder/undone"
}

stage_old_files() { # RUN
  local folder=$1 class path mode
  while IFS=$'\t' read -r class path; do
    if [[ -e $folder/old$path ]]; then
      ! same_as_now "$path" <"$folder/old$path" || continue
      mode=$(stat -c %a "$folder/old$path")
      stage "$class" "$path" "$mode" <"$folder/old$path"
    else
      [[ -e $path ]] || continue
      stage_absent "$class" "$path"
    fi
    if [[ $class == network ]]; then undo_network "$folder"; fi
  done <"$folder/list"
}

undo_network() { # RUN
  IFS=$'\t' read -r MANAGER "CONF[INTERFACE]" NM_BEFORE <"$1/network"
  cp "$1/network" "$RUN/network"
  CONF[STATIC_IP]="" CONF[GATEWAY]=""
}

main() {
  parse_options "$@"
  case $ACTION in
    usage) usage; return ;;
    set_up | dry_run) set_up; return ;;
  esac
  report_errors
  need_root
  case $ACTION in
    undo) undo ;;
    confirm) confirm_change ;;
    rollback) roll_back "asked for, or nobody confirmed in time" ;;
    apply) apply_change ;;
  esac
}
main "$@"
