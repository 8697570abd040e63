# shellcheck shell=bash
# Changes files so that a power cut leaves the old one or the new one, and keeps what was there before.
#
# Each run that changes something has a folder below $STATE/runs: `old/PATH` and `new/PATH` are the files before and
# after (missing where there was or will be none), `list` names them with their class (`network` or `other`).

STATE=${PIPECATAPP_SETUP_STATE:-/var/lib/pipecatapp-setup}
RUN=

begin_run() {
  if [[ $ACTION == dry_run ]]; then
    RUN=$(mktemp -d)
  else
    install -d -m 0700 "$STATE" "$STATE/runs"
    RUN=$(mktemp -d "$STATE/runs/$(next_number)-$(date -u +%Y%m%dT%H%M%S)-XXXX")
  fi
  mkdir "$RUN/old" "$RUN/new"
  : >"$RUN/list"
}

# Runs are in the order of their numbers: the clock of an old PC may begin each boot in the past.
next_number() {
  local folder name last=0
  for folder in "$STATE"/runs/*/; do
    name=$(basename "$folder")
    [[ ! $name =~ ^[0-9]+ ]] || last=${BASH_REMATCH[0]}
  done
  printf '%08d' $((10#$last + 1))
}

stage() { # CLASS PATH MODE: what the file is to contain comes on stdin
  local class=$1 path=$2 mode=$3
  remember "$class" "$path"
  mkdir -p "$RUN/new${path%/*}"
  cat >"$RUN/new$path"
  chmod "$mode" "$RUN/new$path"
  if [[ -e $path ]]; then
    chmod --reference="$path" "$RUN/new$path"
    chown --reference="$path" "$RUN/new$path"
  fi
}

stage_absent() { # CLASS PATH
  remember "$1" "$2"
}

remember() { # CLASS PATH
  printf '%s\t%s\n' "$1" "$2" >>"$RUN/list"
  if [[ -e $2 ]]; then
    mkdir -p "$RUN/old${2%/*}"
    cp -p -- "$2" "$RUN/old$2"
  fi
}

same_as_now() { # PATH: is the file already what stdin says?
  [[ -f $1 ]] && cmp -s -- - "$1"
}

put_all() { # FOLDER CLASS old|new
  local class path
  while IFS=$'\t' read -r class path; do
    [[ $class == "$2" ]] || continue
    if [[ -e $1/$3$path ]]; then
      put_file "$1/$3$path" "$path"
    else
      rm -f -- "$path"
    fi
  done <"$1/list"
}

put_file() { # SOURCE PATH
  local path new
  path=$(readlink -m -- "$2")
  # Begins with a dot: every program that reads a folder of settings leaves such a file alone.
  new=${path%/*}/.${path##*/}.setup-new
  mkdir -p -- "${path%/*}"
  cp -p -- "$1" "$new"
  sync -- "$new"
  mv -f -- "$new" "$path"
  sync -- "${path%/*}"
}

differences() { # FOLDER
  local class path
  while IFS=$'\t' read -r class path; do
    [[ -e $1/old$path || -e $1/new$path ]] || continue
    diff -u --label "$path (now)" --label "$path (then)" -- \
      "$(exists_or_null "$1/old$path")" "$(exists_or_null "$1/new$path")" | hide_secrets || true
  done <"$1/list"
}

exists_or_null() { if [[ -e $1 ]]; then printf '%s' "$1"; else printf /dev/null; fi; }

# Passwords of a wireless network stand in the files of ifupdown and NetworkManager.
hide_secrets() {
  sed -E 's/^([ +-][[:space:]]*[^=[:space:]]*(psk|password|wep-key|private-key|secret|pin)[^=[:space:]]*[=[:space:]]).*/\1(hidden)/I'
}

last_run() { # the newest that can be undone; nothing where there is none
  local folder found=
  for folder in "$STATE"/runs/*/; do
    [[ -s $folder/done && ! -e $folder/undone ]] && found=${folder%/}
  done
  printf '%s' "$found"
}
