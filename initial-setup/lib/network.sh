# shellcheck shell=bash
# Changes the address, with a timed way back that does not depend on whoever asked for it.
#
# While $STATE/unconfirmed is there, the change waits for a yes. A timer of systemd takes it back, and so does a unit
# at the next boot, before the network starts: neither needs this script to be alive, nor the stick that it came on.

readonly PROGRAM=$STATE/program
readonly UNCONFIRMED=$STATE/unconfirmed
readonly OUTCOME=$STATE/outcome
readonly UNIT=pipecatapp-setup-rollback
UNIT_FILE=/etc/systemd/system/$UNIT.service
declare -A CHANGE=()

stage_network() { # from CONF, MANAGER and NETWORK_FILE
  local card=${CONF[INTERFACE]} path text servers
  mapfile -t servers < <(name_servers)
  local wanted=("$card" "${CONF[STATIC_IP]}" "$PREFIX" "${CONF[GATEWAY]}" "${servers[@]}")
  case $MANAGER in
    ifupdown)
      path=$NETWORK_FILE
      text=$(ifupdown_with_address "${wanted[@]}" <"$NETWORK_FILE") ;;
    networkd)
      path=/etc/systemd/network/00-pipecatapp-$card.network
      text=$(networkd_settings_now "$NETWORK_FILE" "$card" | networkd_with_address "${wanted[@]}") ;;
    NetworkManager)
      path=/etc/NetworkManager/system-connections/pipecatapp-$card.nmconnection
      text=$(nm_with_address "pipecatapp-$card" "$(uuid_of "$card")" "${wanted[@]}" <"$NETWORK_FILE") ;;
  esac
  if [[ -z $text ]]; then
    ERRORS+=("$NETWORK_FILE could not be read. See 'What manages the card?' in docs/operations/prepare-a-pc.md")
    report_errors
  fi
  if same_as_now "$path" <<<"$text" && holds_now "${CONF[STATIC_IP]}" "$card"; then return; fi
  printf '%s\t%s\t%s\n' "$MANAGER" "$card" "$NM_BEFORE" >"$RUN/network"
  case $MANAGER in
    NetworkManager) stage network "$path" 0600 <<<"$text" ;;
    *) stage network "$path" 0644 <<<"$text" ;;
  esac
}

holds_now() { # ADDRESS INTERFACE
  ip -4 -o addr show dev "$2" | grep -qF " $1/"
}

# Prepares the way back. From here on a kill at any instant ends with the old settings.
arm() { # RUN SECONDS
  local new=$STATE/program.new ipv6=no reached=no
  rm -rf "$new"
  mkdir -p "$new"
  # shellcheck disable=SC2153  # setup.sh sets HERE
  cp -r -- "$HERE/setup.sh" "$HERE/lib" "$new"
  rm -rf "$PROGRAM"
  mv "$new" "$PROGRAM"
  ! has_global_ipv6 "${CONF[INTERFACE]}" || ipv6=yes
  if [[ -n ${CONF[CONTROL_NODE_IP]:-} && ${CONF[CONTROL_NODE_IP]} != "${CONF[STATIC_IP]:-}" ]] &&
    answers_at_all "${CONF[CONTROL_NODE_IP]}"; then reached=${CONF[CONTROL_NODE_IP]}; fi
  cat >"$UNIT_FILE" <<END
[Unit]
Description=Takes an unconfirmed change of the address back
DefaultDependencies=no
ConditionPathExists=$UNCONFIRMED
After=local-fs.target
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
# The DHCP client that ifup starts outlives it.
KillMode=process
ExecStart=/bin/bash $PROGRAM/setup.sh --rollback

[Install]
WantedBy=multi-user.target
END
  systemctl daemon-reload
  systemctl --quiet enable "$UNIT"
  rm -f "$OUTCOME"
  cat >"$UNCONFIRMED.new" <<END
run=$1
boot=$(</proc/sys/kernel/random/boot_id)
manager=$MANAGER
card=${CONF[INTERFACE]}
address=${CONF[STATIC_IP]:-}
gateway=${CONF[GATEWAY]:-}
control=$reached
ipv6=$ipv6
nm_before=$NM_BEFORE
nm_after=$(uuid_of "${CONF[INTERFACE]}")
END
  put_file "$UNCONFIRMED.new" "$UNCONFIRMED"
  systemctl stop "$UNIT-deadline.timer" 2>/dev/null || true
  systemd-run --quiet --unit="$UNIT-deadline" --on-active="$2" --timer-property=AccuracySec=1s \
    systemctl start "$UNIT.service"
}

read_change() { # false where nothing waits
  local line
  CHANGE=()
  [[ -f $UNCONFIRMED ]] || return 1
  while IFS= read -r line; do CHANGE[${line%%=*}]=${line#*=}; done <"$UNCONFIRMED"
}

# Runs as a unit of its own: the connection over which it was asked for may end with it.
# What the card's manager starts (a DHCP client) must not inherit the lock, or it would never be free again.
apply_change() {
  local reason
  exec 8>"$STATE/lock" && flock 8
  read_change || return 0
  release_card 8>&-
  put_all "${CHANGE[run]}" network new
  activate_card 8>&- || true
  if reason=$(what_is_wrong); then
    take_back "$reason"
    return 1
  fi
  say_outcome applied
}

what_is_wrong() { # a sentence where the network does not work; false where it does
  local deadline=$((SECONDS + 25)) reason
  while :; do
    reason=$(not_yet) || return 1
    [[ $SECONDS -lt $deadline ]] || break
    sleep 0.5
  done
  printf '%s' "$reason"
}

not_yet() {
  local card=${CHANGE[card]}
  if [[ -n ${CHANGE[address]} ]] && ! holds_now "${CHANGE[address]}" "$card"; then
    printf '%s did not get the address %s' "$card" "${CHANGE[address]}"
  elif [[ -z $(ip -4 -o addr show dev "$card" scope global) ]]; then
    printf '%s did not get an address' "$card"
  elif [[ -n ${CHANGE[gateway]} ]] && ! answers_arp "${CHANGE[gateway]}" "$card"; then
    printf 'the gateway %s does not answer' "${CHANGE[gateway]}"
  elif [[ -n ${CHANGE[gateway]} ]] && ! ip -4 route show default | grep -qE "via ${CHANGE[gateway]//./\\.} dev $card( |$)"; then
    printf 'there is no default route by %s' "${CHANGE[gateway]}"
  elif [[ ${CHANGE[control]} != no ]] && ! answers_at_all "${CHANGE[control]}"; then
    printf 'the control node %s, which answered before, does not any more' "${CHANGE[control]}"
  elif [[ ${CHANGE[ipv6]} == yes ]] && ! has_global_ipv6 "$card"; then
    printf '%s lost its IPv6 address' "$card"
  else
    return 1
  fi
}

take_back() { # REASON: the old files, and the card set up by them
  local here=no
  [[ ${CHANGE[boot]} != "$(</proc/sys/kernel/random/boot_id)" ]] || here=yes
  [[ $here == no ]] || release_card 8>&-
  put_all "${CHANGE[run]}" network old
  # At a boot the network starts after this, by the old files.
  [[ $here == no ]] || activate_card 8>&- || true
  # With the network it has nothing left that could be undone.
  if ! grep -qv '^network' "${CHANGE[run]}/list" && [[ ! -e ${CHANGE[run]}/key ]]; then : >"${CHANGE[run]}/undone"; fi
  say_outcome "taken back: $1"
  disarm
}

disarm() {
  rm -f "$UNCONFIRMED"
  sync -- "$STATE"
  systemctl stop "$UNIT-deadline.timer" 2>/dev/null || true
  systemctl --quiet disable "$UNIT" 2>/dev/null || true
  rm -f "$UNIT_FILE"
  systemctl daemon-reload
}

say_outcome() {
  printf '%s\n' "$1" >"$OUTCOME.new"
  put_file "$OUTCOME.new" "$OUTCOME"
}

# ifupdown must end what the old settings began (a DHCP client) while they are still there.
release_card() {
  if [[ ${CHANGE[manager]} == ifupdown ]]; then
    ifdown --force "${CHANGE[card]}" || true
    ip -4 addr flush dev "${CHANGE[card]}" scope global || true
  fi
}

activate_card() {
  local card=${CHANGE[card]}
  case ${CHANGE[manager]} in
    ifupdown) ifup --force "$card" ;;
    networkd) networkctl reload && networkctl reconfigure "$card" ;;
    NetworkManager)
      nmcli connection reload
      if [[ -e /etc/NetworkManager/system-connections/pipecatapp-$card.nmconnection ]]; then
        nmcli --wait 20 connection up uuid "${CHANGE[nm_after]}" ifname "$card"
      else
        nmcli --wait 20 connection up uuid "${CHANGE[nm_before]}" ifname "$card" || nmcli --wait 20 device connect "$card"
      fi ;;
  esac
}

confirm_change() {
  exec 8>"$STATE/lock" && flock 8
  if ! read_change; then
    printf 'Nothing waits for a yes. The last change: %s\n' "$(cat "$OUTCOME" 2>/dev/null || echo none)"
    [[ $(cat "$OUTCOME" 2>/dev/null) != "taken back"* ]]
    return
  fi
  finish_run "${CHANGE[run]}"
  say_outcome kept
  disarm
  printf 'Kept: %s has %s.\n' "${CHANGE[card]}" "${CHANGE[address]:-its address}"
}

roll_back() { # REASON
  exec 8>"$STATE/lock" && flock 8
  if ! read_change; then
    printf 'Nothing waits for a yes, so there is nothing to take back.\n'
    return
  fi
  take_back "$1"
  printf 'The old network settings are back.\n'
}
