# shellcheck shell=bash
# What makes a PC a node. Each step says what it would do (empty: nothing) and does it.

PLAN=()
TODO=()

plan_step() { # FUNCTION SENTENCE
  TODO+=("$1")
  PLAN+=("$2")
}

plan_everything() {
  plan_packages
  plan_account
  plan_key
  plan_name
  if [[ -n ${CONF[STATIC_IP]:-} ]]; then stage_network; fi
  if grep -q '^network' "$RUN/list"; then
    plan_step "" "give ${CONF[INTERFACE]} the address ${CONF[STATIC_IP]}/$PREFIX with the gateway ${CONF[GATEWAY]} ($MANAGER), with a timed way back"
  fi
}

plan_packages() {
  MISSING=()
  command -v sshd >/dev/null || [[ -x /usr/sbin/sshd ]] || MISSING+=(openssh-server)
  command -v sudo >/dev/null || MISSING+=(sudo)
  command -v python3 >/dev/null || MISSING+=(python3)
  [[ ${#MISSING[@]} -eq 0 ]] || plan_step install_packages "install ${MISSING[*]}"
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get -qq -o DPkg::Lock::Timeout=300 update || ! apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${MISSING[@]}"; then
    stop "installing ${MISSING[*]}" "apt says so above" "check the network and /etc/apt/sources.list, then run this again: it continues"
  fi
}

plan_account() {
  local user=${CONF[USERNAME]}
  if ! id -u -- "$user" >/dev/null 2>&1; then
    plan_step make_account "make the account $user"
  fi
  if ! id -nG -- "$user" 2>/dev/null | tr ' ' '\n' | grep -qx sudo; then
    plan_step allow_sudo "let $user use sudo, with a password"
  fi
  local file=/etc/sudoers.d/pipecatapp-setup rule="$user ALL=(ALL:ALL) NOPASSWD: ALL"
  if [[ -n $PASSWORDLESS ]] && ! same_as_now "$file" <<<"$rule"; then
    stage other "$file" 0440 <<<"$rule"
    plan_step "" "let $user use sudo without a password, because you asked for it"
  fi
}

make_account() {
  useradd --create-home --shell /bin/bash -- "${CONF[USERNAME]}"
  if [[ -n $YES || ! -t 0 ]]; then
    say "  ${CONF[USERNAME]} has no password yet; sudo wants one: passwd ${CONF[USERNAME]}"
  else
    say "  The password of ${CONF[USERNAME]}, which sudo will ask for:"
    passwd -- "${CONF[USERNAME]}" || say "  No password was set; later: passwd ${CONF[USERNAME]}"
  fi
}

allow_sudo() { usermod --append --groups sudo -- "${CONF[USERNAME]}"; }

plan_name() {
  local name=${CONF[HOSTNAME]} hosts
  if ! same_as_now /etc/hostname <<<"$name"; then
    stage other /etc/hostname 0644 <<<"$name"
    plan_step set_name "call this machine $name"
  fi
  hosts=$(hosts_with_name "$name" </etc/hosts)
  if ! same_as_now /etc/hosts <<<"$hosts"; then
    stage other /etc/hosts 0644 <<<"$hosts"
    plan_step "" "write that name into /etc/hosts"
  fi
}

set_name() { hostname -- "${CONF[HOSTNAME]}"; }

hosts_with_name() { # NAME: /etc/hosts on stdin. 127.0.1.1 is where Debian notes a machine's own name.
  awk -v name="$1" '
    $1 == "127.0.1.1" {
      if (once++) next
      for (i = 2; i <= NF; i++) if ($i == name) { print; next }
      print "127.0.1.1\t" name
      next
    }
    { print }
    END { if (!once) print "127.0.1.1\t" name }
  '
}

finish_run() { # RUN: from now on it can be undone
  date -u +%Y-%m-%dT%H:%M:%SZ >"$1/done"
  sync -- "$1" "$1/done"
}
