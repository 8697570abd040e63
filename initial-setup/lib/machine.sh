# shellcheck shell=bash
# What this machine is: its cards, who manages them, and whether an address is free.

MANAGER=   # ifupdown, networkd or NetworkManager
NETWORK_FILE=  # what that reads its settings of the card from now
NM_BEFORE= # the connection of NetworkManager that is up now

check_machine() {
  local next
  if [[ ! -e /etc/debian_version ]]; then
    ERRORS+=("this is no Debian. Install Debian 12 or newer first")
  fi
  if [[ -n ${CONF[USERNAME]:-} ]] && id -u -- "${CONF[USERNAME]}" >/dev/null 2>&1 && [[ $(id -u -- "${CONF[USERNAME]}") -lt 1000 ]]; then
    wrong USERNAME "${CONF[USERNAME]} is an account of the system" "Use an account of a person, such as deploy"
  fi
  [[ -n ${CONF[STATIC_IP]:-} ]] || return 0
  if [[ ! -d /run/systemd/system ]]; then
    ERRORS+=("a change of the address needs systemd, for its timed way back. Leave STATIC_IP empty and set the address by hand")
    return
  fi
  if [[ -z ${CONF[INTERFACE]:-} ]]; then
    CONF[INTERFACE]=$(ip -4 route show default | sed -nE 's/.* dev ([^ ]+).*/\1/p' | head -n 1)
    if [[ -z ${CONF[INTERFACE]} ]]; then
      wrong INTERFACE "is empty, and there is no default route to take it from" "Write the card's name; 'ip link' shows it"
      return
    fi
  fi
  if [[ ! -e /sys/class/net/${CONF[INTERFACE]} || ${CONF[INTERFACE]} == lo ]]; then
    next=$(cd /sys/class/net && printf '%s ' *)
    wrong INTERFACE "${CONF[INTERFACE]} is not there" "This machine has: ${next//lo /}"
    return
  fi
  find_manager "${CONF[INTERFACE]}"
  if [[ -z $MANAGER ]]; then
    wrong INTERFACE "${CONF[INTERFACE]} is managed by none of ifupdown, systemd-networkd and NetworkManager" "See 'What manages the card?' in docs/operations/prepare-a-pc.md"
    return
  fi
  if taken_by_another "${CONF[STATIC_IP]}" "${CONF[INTERFACE]}"; then
    wrong STATIC_IP "${CONF[STATIC_IP]} belongs to another machine already (its card is $TAKEN_BY)" "Take a free one"
  fi
}

find_manager() { # INTERFACE
  local card=$1 state
  if systemctl --quiet is-active NetworkManager && command -v nmcli >/dev/null; then
    state=$(nmcli --get-values GENERAL.STATE device show "$card" 2>/dev/null || true)
    if [[ $state == 100* ]]; then
      MANAGER=NetworkManager
      NM_BEFORE=$(nmcli --get-values GENERAL.CON-UUID device show "$card")
      NETWORK_FILE=$(nmcli --terse --escape no --fields UUID,FILENAME connection show | sed -n "s/^$NM_BEFORE://p")
      return
    fi
  fi
  if systemctl --quiet is-active systemd-networkd; then
    state=$(networkd_says "$card" AdministrativeState)
    NETWORK_FILE=$(networkd_says "$card" NetworkFile)
    if [[ $state != unmanaged && -f $NETWORK_FILE ]]; then
      MANAGER=networkd
      return
    fi
  fi
  if command -v ifup >/dev/null; then
    NETWORK_FILE=$(stanza_file "$card")
    [[ -z $NETWORK_FILE ]] || MANAGER=ifupdown
  fi
}

networkd_says() { # INTERFACE FIELD: the field's text, or the texts of its list, one a line
  networkctl --json=short status "$1" 2>/dev/null | grep -oE "\"$2\":(\"[^\"]*\"|\[[^]]*\])" |
    head -n 1 | sed "s/^\"$2\"://" | grep -oE '"[^"]*"' | tr -d '"' || true
}

name_servers() { # what the file asks for, else those in use, else the router; one a line
  local listed=${CONF[DNS]:-} found
  if [[ -n $listed ]]; then
    tr ', ' '\n' <<<"$listed" | sed '/^$/d'
    return
  fi
  found=$({ cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null || true; } |
    awk '$1 == "nameserver" && $2 !~ /^(127\.|::1$|fe80:)/ && !seen[$2]++ {print $2}' | head -n 3)
  printf '%s\n' "${found:-${CONF[GATEWAY]}}"
}

# The kernel asks "who has this address?" for us: whoever answers stands in its list of neighbours afterwards.
answers_arp() { # IPV4 INTERFACE: sets TAKEN_BY
  local found
  ip -4 neigh flush to "$1" dev "$2" 2>/dev/null || true
  for _ in 1 2 3; do
    { printf x >"/dev/udp/$1/9"; } 2>/dev/null || true
    for _ in 1 2 3 4 5; do
      found=$(ip -4 neigh show to "$1" dev "$2")
      if [[ $found == *lladdr* && $found != *FAILED* ]]; then
        TAKEN_BY=${found##*lladdr }
        TAKEN_BY=${TAKEN_BY%% *}
        return 0
      fi
      sleep 0.2
    done
  done
  return 1
}

taken_by_another() { # IPV4 INTERFACE
  ! ip -4 -o addr show | grep -qF " $1/" || return 1
  # Only where the card is in that network now can anybody be asked.
  ip -4 route get "$1" 2>/dev/null | grep -qE "^$1 dev $2( |$)" || return 1
  answers_arp "$1" "$2"
}

answers_at_all() { # ADDRESS: a machine that refuses the connection is there, too
  local said
  said=$(LC_ALL=C timeout 3 bash -c "exec 3<>/dev/tcp/$1/22" 2>&1) && return 0
  [[ $said == *"Connection refused"* ]]
}

has_global_ipv6() { # INTERFACE
  [[ -n $(ip -6 -o addr show dev "$1" scope global -tentative 2>/dev/null) ]]
}
