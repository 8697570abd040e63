# shellcheck shell=bash
# Reads setup.conf as data: never sourced, because bash would run what stands in it (and HOSTNAME is bash's own).

# shellcheck disable=SC2034  # the other parts use them
KEYS=(HOSTNAME STATIC_IP NETMASK GATEWAY DNS INTERFACE USERNAME CONTROL_NODE_IP)
declare -A CONF=() LINE=()
ERRORS=()

wrong() { # KEY REASON NEXT: remembered, so that all of them are told at once
  ERRORS+=("$CONFIG_NAME${LINE[$1]:+:${LINE[$1]}}: $1 $2. $3")
}

read_config() { # FILE
  local file=$1 number=0 line key value
  CONFIG_NAME=${file##*/}
  if [[ ! -f $file || ! -r $file ]]; then
    ERRORS+=("$file cannot be read. Name the file: setup.sh --config FILE")
    return
  fi
  if [[ $(stat -Lc %s -- "$file") -gt 65536 ]]; then
    ERRORS+=("$file is larger than 64 KiB: that is no setup.conf. Name the right file: setup.sh --config FILE")
    return
  fi
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    [[ $number -gt 1 ]] || line=${line#$'\xef\xbb\xbf'}
    [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    if [[ ! $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]]; then
      ERRORS+=("$CONFIG_NAME:$number: this is no KEY=value. Write one setting a line, without 'export' and without blanks before =")
      continue
    fi
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    keep_value "$key" "$value" "$number"
  done < <(tr -d '\000' <"$file")
}

keep_value() { # KEY TEXT LINE
  local key=$1 text=$2 number=$3
  if [[ " ${KEYS[*]} " != *" $key "* ]]; then
    ERRORS+=("$CONFIG_NAME:$number: there is no setting $key. The settings are: ${KEYS[*]}")
    return
  fi
  if [[ -n ${LINE[$key]:-} ]]; then
    ERRORS+=("$CONFIG_NAME:$number: $key stands in line ${LINE[$key]} already. Delete one of the two")
    return
  fi
  LINE[$key]=$number
  if [[ $text =~ ^[[:space:]]*\"([^\"]*)\"[[:space:]]*(#.*)?$ || $text =~ ^[[:space:]]*\'([^\']*)\'[[:space:]]*(#.*)?$ ]]; then
    CONF[$key]=${BASH_REMATCH[1]}
    return
  fi
  # shellcheck disable=SC2034
  [[ $text =~ ^[[:space:]]*# ]] && text=""
  text=${text%%[[:space:]]#*}
  text=${text#"${text%%[![:space:]]*}"}
  CONF[$key]=${text%"${text##*[![:space:]]}"}
}

shown() { # TEXT: safe on a terminal, and short
  local text=${1//[^[:print:]]/?}
  if [[ ${#text} -gt 60 ]]; then text=${text:0:60}...; fi
  printf "'%s'" "$text"
}

report_errors() {
  [[ ${#ERRORS[@]} -gt 0 ]] || return 0
  printf 'Nothing was changed. To be mended first:\n' >&2
  printf '  %s\n' "${ERRORS[@]}" >&2
  exit 2
}
