# shellcheck shell=bash
# Writes the settings of a card with a fixed IPv4 address: from the settings that hold now, of which everything stays
# that has nothing to do with IPv4 (IPv6, a wireless network's password, a metric).

ifupdown_with_address() { # INTERFACE ADDRESS LENGTH GATEWAY DNS...: the file on stdin
  local card=$1 address=$2 length=$3 gateway=$4
  shift 4
  awk -v card="$card" -v address="$address/$length" -v gateway="$gateway" -v dns="$*" '
    function said() {
      print "iface " card " inet static"
      print "    address " address
      print "    gateway " gateway
      print "    dns-nameservers " dns
    }
    /^[[:space:]]*#/ { print; next }
    $1 == "iface" || $1 == "auto" || $1 ~ /^allow-/ || $1 == "mapping" || $1 == "source" || $1 == "source-directory" || $1 == "rename" || $1 == "no-auto-down" || $1 == "no-scripts" || $1 == "template" {
      ours = ($1 == "iface" && $2 == card && $3 == "inet")
      if (ours) { if (!once++) said(); next }
      print; next
    }
    ours && $1 ~ /^(address|netmask|broadcast|network|gateway|dns-nameservers?|hostname|leasehours|leasetime|vendor|client|client-id|pointopoint|metric-dhcp)$/ { next }
    { print }
  '
}

stanza_file() { # INTERFACE: the file of ifupdown that has its IPv4 settings
  local file
  while IFS= read -r file; do
    if [[ -f $file ]] && grep -qE "^[[:space:]]*iface[[:space:]]+$1[[:space:]]+inet[[:space:]]" "$file"; then
      readlink -f -- "$file"
      return
    fi
  done < <(printf '%s\n' /etc/network/interfaces; find -L /etc/network/interfaces.d -maxdepth 1 -type f ! -name '.*' 2>/dev/null | sort)
}

networkd_with_address() { # INTERFACE ADDRESS LENGTH GATEWAY DNS...: the file with its drop-ins on stdin
  local card=$1 address=$2 length=$3 gateway=$4
  shift 4
  awk -v card="$card" -v address="$address/$length" -v gateway="$gateway" -v dns="$*" '
    function ipv4(text) { return text ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(\/[0-9]+)?$/ }
    # A section is held back until its end: whether it is about IPv4 is known only then.
    function flush_section(   i) {
      if (section == "[Match]") { }
      else if (section == "[Network]") for (i = 1; i <= n; i++) network[++kept] = lines[i]
      else if (!dropped && n) { rest = rest section "\n"; for (i = 1; i <= n; i++) rest = rest lines[i] "\n" }
      n = 0; dropped = 0
    }
    /^[[:space:]]*([#;].*)?$/ { next }
    /^\[/ { flush_section(); section = $0; next }
    {
      equal = index($0, "="); key = substr($0, 1, equal - 1); value = substr($0, equal + 1)
      gsub(/[[:space:]]/, "", key); gsub(/^[[:space:]]+|[[:space:]]+$/, "", value)
      if (section == "[Network]") {
        if (key == "DHCP") { dhcp = value; next }
        if ((key == "Address" || key == "Gateway") && ipv4(value)) next
        if (key == "DNS" || key == "LinkLocalAddressing" && value == "ipv4") next
      }
      if (section == "[Address]" && key == "Address" && ipv4(value)) dropped = 1
      if (section == "[Route]" && key == "Gateway" && (ipv4(value) || value == "_dhcp4")) dropped = 1
      if (section == "[DHCPv4]") dropped = 1
      lines[++n] = $0
    }
    END {
      flush_section()
      print "[Match]\nName=" card "\n\n[Network]"
      print "Address=" address "\nGateway=" gateway
      count = split(dns, server, " "); for (i = 1; i <= count; i++) print "DNS=" server[i]
      if (dhcp ~ /^(yes|true|1|on|both|ipv6)$/) print "DHCP=ipv6"
      for (i = 1; i <= kept; i++) print network[i]
      if (rest != "") printf "\n%s", rest
    }
  '
}

networkd_settings_now() { # FILE INTERFACE: the file and its drop-ins, in the order in which they count
  local part
  cat -- "$1"
  networkd_says "$2" NetworkFileDropins | while IFS= read -r part; do printf '\n'; cat -- "$part"; done
}

nm_with_address() { # NAME UUID INTERFACE ADDRESS LENGTH GATEWAY DNS...: the connection's file on stdin
  local name=$1 uuid=$2 card=$3 address=$4 length=$5 gateway=$6 server four=() six=()
  shift 6
  for server in "$@"; do if is_ipv4 "$server"; then four+=("$server"); else six+=("$server"); fi; done
  local options=(connection.id "$name" connection.uuid "$uuid" connection.interface-name "$card"
    connection.autoconnect yes connection.autoconnect-priority 100
    ipv4.method manual ipv4.addresses "$address/$length" ipv4.gateway "$gateway" ipv4.dns "${four[*]}")
  if [[ ${#six[@]} -gt 0 ]]; then options+=(ipv6.dns "${six[*]}"); fi
  sed '/^timestamp=/d' | nmcli --offline connection modify "${options[@]}"
}

uuid_of() { # TEXT: always the same for the same text
  local sum
  sum=$(printf '%s' "pipecatapp-setup $1" | md5sum)
  printf '%s-%s-3%s-8%s-%s' "${sum:0:8}" "${sum:8:4}" "${sum:13:3}" "${sum:17:3}" "${sum:20:12}"
}
