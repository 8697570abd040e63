# shellcheck shell=bash disable=SC2034
# Gets Ansible for bootstrap.sh, which sources this: sets the array PLAYBOOK to the command that runs a playbook.
# From apt where it is installed and new enough, else locked by requirements/provision-min.txt into a folder of its own.

NEEDED=(ca-certificates python3 python3-venv python3-apt)

# The callback of ansible.cfg is written for this one and newer.
OLDEST_ANSIBLE=2.19
# Nothing is left in the clone, whoever owns it.
export PYTHONDONTWRITEBYTECODE=1

missing_packages() {
  local package
  for package in "${NEEDED[@]}"; do
    dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

installed_ansible() {
  local version
  command -v ansible-playbook >/dev/null || return 1
  version=$(ansible-playbook --version 2>/dev/null | sed -n '1s/.*core \([0-9.]*\).*/\1/p')
  [[ -n $version && $(printf '%s\n' "$OLDEST_ANSIBLE" "$version" | sort -V | head -1) == "$OLDEST_ANSIBLE" ]]
}

quietly() { # STEP NEXT COMMAND...: silent unless it fails
  local step=$1 next=$2 output
  shift 2
  output=$("$@" 2>&1 </dev/null) || die "$step" "$(tail -n 5 <<<"$output")" "$(better_step "$output" "$next")"
}

# What to do, where the output of a failure tells a reason that the step itself cannot know.
better_step() { # OUTPUT NEXT
  local now
  now=$(date '+%Y-%m-%d %H:%M')
  case $1 in
    *cdrom:* | *"Media change"*) disc_step ;;
    *"not valid yet"* | *"not yet valid"* | *"is expired"* | *"has expired"*)
      echo "this PC's clock says $now. If that is wrong, set it: date --set '2026-12-31 20:15' (your time), then run this again." \
        "If it is right, the package source is old: choose another in /etc/apt/sources.list"
      ;;
    *"Could not resolve"* | *"Temporary failure"* | *"Name or service not known"*)
      echo "no name is found in the network: is it connected? Behind a proxy: https_proxy=http://proxy:3128 $REPO/bootstrap.sh"
      ;;
    *) echo "$2" ;;
  esac
}

disc_step() {
  echo "Debian's installer left its disc as a source of packages. Take it out:" \
    "sed -i '/^deb cdrom:/ s/^/# /' /etc/apt/sources.list   and make sure that a line there names a mirror" \
    "(https://www.debian.org/mirror/list). Then run this again"
}

check_clock() {
  [[ $(date +%s) -ge $RELEASED ]] ||
    die "checking the clock" "it says $(date '+%Y-%m-%d'), and this program is younger: no certificate would be valid" \
      "set it: date --set '2026-12-31 20:15' (your time; or: timedatectl set-ntp true), then run this again"
}

# Which of these package sources name a disc.
discs() { # FILE...
  grep -slE '^[[:space:]]*deb(-src)?[[:space:]]+(\[[^]]*\][[:space:]]*)?cdrom:' "$@" || true
  local file
  for file in "$@"; do
    # Paragraphs; one that is not enabled is not asked.
    [[ ! -r $file ]] || awk -v RS= '/(^|\n)URIs:[^\n]*cdrom:/ && !/(^|\n)Enabled:[ \t]*[Nn]o/ { print FILENAME; exit }' "$file"
  done
}

# A disc in the sources: apt would ask for it, or fail.
check_sources() {
  local found
  mapfile -t found < <(discs /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources})
  [[ ${#found[@]} -eq 0 ]] || die "reading the package sources" "${found[*]} names a disc (cdrom:)" "$(disc_step)"
}

get_ansible() {
  local missing python=$HOME_DIR/ansible/bin/python lock=$REPO/requirements/provision-min.txt
  check_clock
  [[ -z $(dpkg --audit) ]] || quietly "finishing interrupted installations" "run: dpkg --configure -a" \
    env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
  mapfile -t missing < <(missing_packages)
  if [[ ${#missing[@]} -gt 0 ]]; then
    check_sources
    say "[0] Get Python from Debian: ${missing[*]}"
    quietly "apt-get update" "check the network and /etc/apt/sources.list" apt-get -qq -o DPkg::Lock::Timeout=300 update
    quietly "apt-get install ${missing[*]}" "check the network and that apt-get update works" \
      env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "${missing[@]}"
  fi
  export ANSIBLE_HOME=$HOME_DIR/ansible/home ANSIBLE_REMOTE_TEMP=$HOME_DIR/ansible/remote
  if installed_ansible; then
    PLAYBOOK=(ansible-playbook)
    return
  fi
  if ! sha256sum --check --status "$HOME_DIR/ansible/lock.sha256" 2>/dev/null || ! "$python" -c 'import ansible' 2>/dev/null; then
    say "[0] Get Ansible"
    quietly "making a Python environment" "check the free disk with df" /usr/bin/python3 -m venv --clear "$HOME_DIR/ansible"
    quietly "downloading Ansible" "check that the Python package index can be reached (or set PIP_INDEX_URL, https_proxy)" \
      "$python" -m pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes --requirement "$lock"
    sha256sum "$lock" >"$HOME_DIR/ansible/lock.sha256"
  fi
  PLAYBOOK=("$python" -m ansible playbook)
}

# For --dry-run: everything in a temporary folder, Python too if this machine has none, and nothing installed.
get_ansible_for_a_moment() {
  SCRATCH=$(mktemp -d)
  trap 'rm -rf --one-file-system "$SCRATCH"' EXIT
  export ANSIBLE_HOME=$SCRATCH/home ANSIBLE_REMOTE_TEMP=$SCRATCH/remote TMPDIR=$SCRATCH HOME=$SCRATCH
  unset PYTHONDONTWRITEBYTECODE
  export PYTHONPYCACHEPREFIX=$SCRATCH/pycache
  # apt looks at today's packages without touching the machine's lists.
  export APT_CONFIG=$SCRATCH/apt.conf
  mkdir -p "$SCRATCH"/{lists,cache/archives,debian,ansible,log}/partial
  printf '%s\n' "Dir::State::lists \"$SCRATCH/lists\";" "Dir::Cache \"$SCRATCH/cache\";" "Dir::Log \"$SCRATCH/log\";" \
    'APT::Sandbox::User "root";' \
    'Debug::NoLocking "true";' >"$APT_CONFIG"
  check_clock
  check_sources
  say "[0] Get Ansible into $SCRATCH, for this run only"
  quietly "apt-get update" "check the network and /etc/apt/sources.list" apt-get -qq update
  local missing deb python=$SCRATCH/python3 tree=$SCRATCH/debian
  mapfile -t missing < <(missing_packages)
  if [[ ${#missing[@]} -gt 0 ]]; then
    quietly "apt-get download" "check the network" \
      apt-get -qq install --yes --no-install-recommends --download-only "${missing[@]}"
    for deb in "$SCRATCH"/cache/archives/*.deb; do dpkg --extract "$deb" "$tree"; done
  fi
  if [[ -x /usr/bin/python3 ]]; then
    printf '#!/bin/sh\nPYTHONPATH=%s exec /usr/bin/python3 "$@"\n' "$SCRATCH/ansible:$tree/usr/lib/python3/dist-packages" >"$python"
  else
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s PYTHONHOME=%s PYTHONPATH=%s exec %s "$@"\n' \
      "$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu" "$tree/usr" \
      "$SCRATCH/ansible:$tree/usr/lib/python3/dist-packages" "$tree/usr/bin/python3" >"$python"
  fi
  chmod +x "$python"
  local wheels=("$tree"/usr/share/python-wheels/pip-*.whl /usr/share/python-wheels/pip-*.whl)
  for deb in "${wheels[@]}"; do [[ ! -e $deb ]] || break; done
  quietly "downloading Ansible" "check that the Python package index can be reached (or set PIP_INDEX_URL, https_proxy)" \
    "$python" "$deb/pip" install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes \
    --requirement "$REPO/requirements/provision-min.txt" --target "$SCRATCH/ansible"
  PLAYBOOK=("$python" -m ansible playbook --extra-vars "ansible_python_interpreter=$python")
}
