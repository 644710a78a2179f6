# Sourced by mopl: one version takes over what another runs.
# shellcheck shell=bash
# Services are started by the name run/programs, a link to the folder of the programs in use: so those who keep them alive start the new ones
# as soon as the link points there.

link_to() {  # FOLDER
  "${as_service[@]}" ln -sfn "$1" "$run/programs.new"
  "${as_service[@]}" mv -T "$run/programs.new" "$run/programs"
}

# For those who start services: their programs are ours from now on, unless those of another folder run.
use_programs() {
  local used name
  used=$(readlink "$run/programs" || true)
  [ "$used" != "$bin" ] || return 0
  if [ -n "$used" ]; then
    for name in auth outbox_relay sse_bridge-1; do
      ! running "$name" || die "the programs of $used run: mopl upgrade puts those of $bin in their place"
    done
  fi
  link_to "$bin"
}

version_of() { "$1/mopl-conf" --version 2>/dev/null | sed 's/.*(MOPL) \([^,]*\),.*/\1/'; }  # FOLDER

cmd_upgrade() {
  local former name began=$EPOCHREALTIME names
  adopt_environment
  load_settings
  [ -d "$run" ] && running lighttpd || die "nothing runs in $MOPL_DATA: mopl up brings it up to date"
  check_front
  use_data_folder
  only_one
  raise_limits
  former=$(readlink "$run/programs" || true)
  if [ -z "$former" ]; then  # it was started before there was such a link
    running auth && grep -zqxF -- "$bin/auth" "/proc/$pid/cmdline" || die "a version before 1.0.0 runs programs of another folder: mopl down there, then mopl up"
    former=$bin
  fi
  mapfile -t names < <(responder_names; worker_names; echo sse-bridge)
  for name in "${names[@]}"; do
    "${as_service[@]}" "$bin/$name" --version >/dev/null || die "$bin/$name cannot be run: nothing has been changed"
  done
  prepare_database
  for name in "${names[@]}"; do step "check" "$bin/$name" --check-sql; done
  link_to "$bin"
  if ! (replace_all "$bin"); then
    go_back "$former"
  fi
  end_obsolete
  printf 'MOPL %s has taken over at %s (%s s)\n' "$(version_of "$bin")" "$address" "$(seconds_since "$began")"
}

# Those who write come first, then those who read what they wrote, then the streams; the front server last, which may know new ones. It
# closes idle connections, and streams, when it begins anew, so it is left alone if it is told nothing new.
replace_all() {  # FOLDER of the programs
  local name
  for name in $(responder_names); do
    if running "$name"; then replace "$1/$name" "$name"; else add_service "$name" start_responder; fi
  done
  for name in $(worker_names); do
    if running "$name"; then replace "$1/$name" "$name"; else add_service "$name" start_worker; fi
  done
  for name in $(bridge_names); do
    running "$name" || die "$name does not run"
    replace "$1/sse-bridge" "$name"
  done
  running lighttpd || die "lighttpd does not run"
  name=$(<"$run/lighttpd.conf")
  write_front_configuration
  [ "$(<"$run/lighttpd.conf")" = "$name" ] || restart_service lighttpd "$pid"
}

# Unless all its processes are of this very file: so what was interrupted is soon done. One that was written over is "FILE (deleted)".
replace() {  # PROGRAM NAME; pid is set
  local child
  for child in $(children "$pid"); do
    [ "$(readlink "/proc/$child/exe")" = "$1" ] || { restart_service "$2" "$pid"; return; }
  done
}

# What this version has more than the former one. Whom systemd keeps alive it also starts.
add_service() {  # NAME FUNCTION
  leave_to_systemd "start mopl.target (for the new service $1), then mopl upgrade"
  "$2" "$1"
}

# The schema lets older programs go on, or they would have been told to end first.
go_back() {  # FOLDER
  [ "$1" != "$bin" ] || die "the new programs do not come up, and the former ones were in the same folder: mend them, then mopl upgrade"
  link_to "$1"
  (replace_all "$1") || die "neither the programs of $bin nor those of $1 come up: see mopl logs"
  die "the programs of $bin do not come up (see mopl logs): those of $1 serve on"
}

# Responders and workers that this version does not have.
end_obsolete() {
  local file name
  for file in "$run"/*.pid; do
    name=${file##*/}
    name=${name%.pid}
    case "$name" in lighttpd | postgres | redis | kafka | search | reindex | sse_bridge-*) continue ;; esac
    [[ " ${monitoring_services[*]} " != *" $name "* ]] || continue
    [ -x "$bin/$name" ] || { leave_to_systemd "stop '*$name*'" && stop "$name" TERM 10; }
  done
}
