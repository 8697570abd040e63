# shellcheck shell=bash
# Is each value of setup.conf what it should be? Looks at the values alone; lib/machine.sh looks at the machine.

PREFIX=

check_values() {
  check_name
  check_account
  check_control_node
  if [[ -n ${CONF[STATIC_IP]:-} ]]; then
    check_address
  else
    local key
    for key in NETMASK GATEWAY DNS; do
      [[ -z ${CONF[$key]:-} ]] || wrong "$key" "is set, but STATIC_IP is empty" "Set STATIC_IP, or empty $key to leave the network as it is"
    done
  fi
  if [[ -n ${CONF[INTERFACE]:-} && ! ${CONF[INTERFACE]} =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$ ]]; then
    wrong INTERFACE "$(shown "${CONF[INTERFACE]}") is no name of a network card" "Take one that 'ip link' shows, such as enp1s0, or leave it empty"
    CONF[INTERFACE]=""
  fi
}

check_name() {
  local name=${CONF[HOSTNAME]:-} next="Use 1 to 63 small letters, digits and hyphens, such as node2"
  if [[ -z $name ]]; then
    wrong HOSTNAME "is empty" "$next"
  elif [[ ! $name =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ || $name =~ ^[0-9]+$ ]]; then
    wrong HOSTNAME "$(shown "$name") is no name for a machine" "$next"
  elif [[ $name == localhost ]]; then
    wrong HOSTNAME "localhost is every machine's own name for itself" "$next"
  fi
}

check_account() {
  local name=${CONF[USERNAME]:-} next="Use an account such as deploy: it is made where it is missing"
  if [[ -z $name ]]; then
    wrong USERNAME "is empty" "$next"
  elif [[ ! $name =~ ^[a-z_][a-z0-9_-]{0,31}$ ]]; then
    wrong USERNAME "$(shown "$name") is no account name (small letters, digits, - and _)" "$next"
  elif [[ $name == root ]]; then
    wrong USERNAME "is root, who should not log in over the network" "$next"
  fi
}

check_control_node() {
  local address=${CONF[CONTROL_NODE_IP]:-}
  [[ -n $address ]] || return 0
  if is_ipv4 "$address" && is_unicast "$address"; then return; fi
  if is_ipv6 "$address" && [[ $address != :: && $address != ::1 && ${address,,} != ff* ]]; then return; fi
  wrong CONTROL_NODE_IP "$(shown "$address") is no address of a machine" "Write the control node's address, such as 192.168.1.10, or leave it empty"
  CONF[CONTROL_NODE_IP]=""
}

check_address() {
  local address=${CONF[STATIC_IP]} gateway=${CONF[GATEWAY]:-} servers=${CONF[DNS]:-} good=yes server
  if ! is_ipv4 "$address" || ! is_unicast "$address"; then
    wrong STATIC_IP "$(shown "$address") is no address for a machine" "Write four numbers such as 192.168.1.20, outside of what your router gives away"
    good=""
  fi
  if ! PREFIX=$(prefix_of "${CONF[NETMASK]:-}"); then
    wrong NETMASK "$(shown "${CONF[NETMASK]:-}") is no netmask" "Write 255.255.255.0 or 24; 'ip addr' shows it after the address"
    good=""
  fi
  if ! is_ipv4 "$gateway"; then
    wrong GATEWAY "$(shown "$gateway") is no address" "Write your router's address; 'ip route' shows it after 'default via'"
    good=""
  fi
  for server in ${servers//,/ }; do
    is_ipv4 "$server" || is_ipv6 "$server" || wrong DNS "$(shown "$server") is no address" "Write addresses with commas between them, or leave it empty"
  done
  [[ -n $good ]] || { CONF[STATIC_IP]="" ; return; }
  if ! is_host_of_its_network "$address" "$PREFIX"; then
    wrong STATIC_IP "$address is the address of the whole network" "Take one in between, such as ${address%.*}.20"
  fi
  if [[ $gateway == "$address" ]]; then
    wrong GATEWAY "is STATIC_IP itself" "Write your router's address; 'ip route' shows it after 'default via'"
  elif ! same_network "$address" "$gateway" "$PREFIX"; then
    wrong GATEWAY "$gateway is not in the network of STATIC_IP $address/$PREFIX" "One of the three is wrong; 'ip route' and 'ip addr' show what holds now"
  elif ! is_host_of_its_network "$gateway" "$PREFIX"; then
    wrong GATEWAY "$gateway is the address of the whole network" "Write your router's address; 'ip route' shows it after 'default via'"
  fi
}
