# shellcheck shell=bash
# The control node's public key: from a file, from stdin, or asked of the control node over ssh. Whose it is, a person
# says, who compares its fingerprint.

KEY=
KEY_ID= # its type and itself, without the comment
KEY_FINGERPRINT=

get_key() {
  local text
  case $KEY_SOURCE in
    "") return 0 ;;
    ssh:*)
      if [[ -z ${CONF[CONTROL_NODE_IP]:-} ]]; then
        ERRORS+=("--key-from needs CONTROL_NODE_IP. Set it in $CONFIG_NAME")
        return
      fi
      say "Asking ${KEY_SOURCE#ssh:}@${CONF[CONTROL_NODE_IP]} for its public key. ssh shows that machine's own fingerprint first:"
      # shellcheck disable=SC2016  # the other machine's HOME
      if ! text=$(ssh -o StrictHostKeyChecking=ask -o ConnectTimeout=10 "${KEY_SOURCE#ssh:}@${CONF[CONTROL_NODE_IP]}" \
        'cat "$HOME"/.ssh/id_ed25519.pub || cat "$HOME"/.ssh/id_rsa.pub' | head -c 16384); then
        ERRORS+=("the control node gave no key. On it run: ssh-keygen -t ed25519; or carry its .pub file here and use --key FILE")
        return
      fi ;;
    -) text=$(head -c 16384) ;;
    *)
      if [[ ! -f $KEY_SOURCE || ! -r $KEY_SOURCE ]]; then
        ERRORS+=("--key $KEY_SOURCE cannot be read. Name the control node's .pub file")
        return
      fi
      text=$(head -c 16384 -- "$KEY_SOURCE") ;;
  esac
  if [[ $text == *"PRIVATE KEY"* ]]; then
    ERRORS+=("--key: that is a private key, which stays on the control node. Give the file that ends in .pub")
    return
  fi
  text=$(sed '/^[[:space:]]*\(#.*\)\?$/d' <<<"$text")
  # Options before the type could run a command at each login, or open a tunnel.
  if [[ ! $text =~ ^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)\ +([A-Za-z0-9+/]+=*)(\ +([^$'\n']{0,200}))?$ ]]; then
    ERRORS+=("--key: that is not one public key of ssh. Give the control node's .pub file, which has one line: ssh-ed25519 AAAA... name")
    return
  fi
  local type=${BASH_REMATCH[1]} blob=${BASH_REMATCH[3]} comment=${BASH_REMATCH[5]:-}
  if ! KEY_FINGERPRINT=$(fingerprint "$type" "$blob"); then
    ERRORS+=("--key: the key is damaged. Copy the .pub file again")
    return
  fi
  KEY_ID="$type $blob"
  KEY="$KEY_ID ${comment//[^A-Za-z0-9@._+-]/_}"
  KEY=${KEY% }
}

fingerprint() { # TYPE BASE64: as ssh-keygen -l prints it
  local head hex
  head=$(base64 -d <<<"$2" 2>/dev/null | head -c $((4 + ${#1})) | tail -c ${#1} | tr -d '\000') || return 1
  [[ $head == "$1" ]] || return 1
  hex=$(base64 -d <<<"$2" | sha256sum | cut -d ' ' -f 1)
  printf 'SHA256:%s' "$(printf '%b' "$(sed -E 's/(..)/\\x\1/g' <<<"$hex")" | base64 | tr -d '=\n')"
}

plan_key() {
  local user=${CONF[USERNAME]}
  [[ -n $KEY ]] || return 0
  if id -u -- "$user" >/dev/null 2>&1 && as_user cat .ssh/authorized_keys 2>/dev/null | cut -d ' ' -f 1,2 | grep -qxF -- "$KEY_ID"; then
    return
  fi
  plan_step add_key "let the key $KEY_FINGERPRINT log in as $user"
}

# The folder belongs to that account, which could put a link there: root writes nothing in it.
as_user() {
  runuser --user "${CONF[USERNAME]}" -- sh -c 'cd && umask 077 && exec "$@"' - "$@"
}

add_key() {
  # shellcheck disable=SC2016  # the other shell's
  as_user sh -c 'mkdir -p .ssh && { cat .ssh/authorized_keys 2>/dev/null; printf "%s\n" "$1"; } >.ssh/.keys.setup-new &&
    sync .ssh/.keys.setup-new && mv .ssh/.keys.setup-new .ssh/authorized_keys' - "$KEY"
  printf '%s\t%s\n' "${CONF[USERNAME]}" "$KEY" >"$RUN/key"
}

take_key_away() { # RUN
  local key
  [[ -s $1/key ]] || return 0
  IFS=$'\t' read -r "CONF[USERNAME]" key <"$1/key"
  id -u -- "${CONF[USERNAME]}" >/dev/null 2>&1 || return 0
  # shellcheck disable=SC2016  # the other shell's
  as_user sh -c 'grep -vxF -- "$1" .ssh/authorized_keys >.ssh/.keys.setup-new; mv .ssh/.keys.setup-new .ssh/authorized_keys' - "$key"
}

ask_about_key() {
  [[ " ${TODO[*]} " == *" add_key "* ]] || return 0
  say ""
  say "The control node's key has the fingerprint"
  say "  $KEY_FINGERPRINT"
  say "Compare it with what the control node says: ssh-keygen -lf ~/.ssh/id_ed25519.pub"
  if [[ -n $FINGERPRINT ]]; then
    [[ $FINGERPRINT == "$KEY_FINGERPRINT" ]] ||
      stop "comparing the key" "it is not the one that --fingerprint names" "find out which of the two is wrong; nothing was changed"
  elif [[ -n $YES ]]; then
    stop "comparing the key" "--yes does not say that the key is the right one" "add --fingerprint SHA256:..., read on the control node"
  else
    ask "Is it the same?" || stop "comparing the key" "you said no" "get the right key; nothing was changed"
  fi
}
