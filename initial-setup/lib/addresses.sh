# shellcheck shell=bash
# Arithmetic with addresses.

is_ipv4() { # TEXT: four numbers without leading zeros, which some programs take for octal ones
  local octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
  [[ $1 =~ ^$octet\.$octet\.$octet\.$octet$ ]]
}

is_ipv6() { # TEXT
  local text=$1 groups left right count
  [[ $text =~ ^[0-9A-Fa-f:]{2,39}$ && $text != *:::* ]] || return 1
  if [[ $text == *::* ]]; then
    left=${text%%::*} right=${text#*::}
    [[ $right != *::* ]] || return 1
    groups=${left:+$left:}$right
    groups=${groups%:}
  else
    groups=$text
  fi
  count=0
  local IFS=: group
  for group in $groups; do
    [[ $group =~ ^[0-9A-Fa-f]{1,4}$ ]] || return 1
    count=$((count + 1))
  done
  if [[ $text == *::* ]]; then [[ $count -le 7 ]]; else [[ $count -eq 8 && $text != :* && $text != *: ]]; fi
}

number_of() { # IPV4
  local IFS=. part number=0
  for part in $1; do number=$((number * 256 + part)); done
  printf '%s' "$number"
}

prefix_of() { # NETMASK: 255.255.255.0 or 24 or /24; its length, or nothing
  local mask=${1#/} number length
  if [[ $mask =~ ^[0-9]{1,2}$ ]]; then
    length=$((10#$mask))
  elif is_ipv4 "$mask"; then
    number=$(number_of "$mask")
    length=0
    while ((length < 32 && (number >> (31 - length)) & 1)); do length=$((length + 1)); done
    ((number == (0xffffffff << (32 - length) & 0xffffffff))) || return 1
  else
    return 1
  fi
  ((length >= 8 && length <= 30)) || return 1
  printf '%s' "$length"
}

netmask_of() { # LENGTH
  local mask=$((0xffffffff << (32 - $1) & 0xffffffff))
  printf '%d.%d.%d.%d' $((mask >> 24 & 255)) $((mask >> 16 & 255)) $((mask >> 8 & 255)) $((mask & 255))
}

same_network() { # IPV4 IPV4 LENGTH
  (($(number_of "$1") >> (32 - $3) == $(number_of "$2") >> (32 - $3)))
}

is_host_of_its_network() { # IPV4 LENGTH: neither the network's own address nor everybody's
  local host=$(($(number_of "$1") & ((1 << (32 - $2)) - 1)))
  ((host != 0 && host != (1 << (32 - $2)) - 1))
}

is_unicast() { # IPV4: an address that a machine in a house can have
  local number
  number=$(number_of "$1")
  ((number >> 24 != 0 && number >> 24 != 127 && number >> 24 < 224 && number >> 16 != 0xa9fe))
}
