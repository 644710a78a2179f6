# Sourced by mopl: one service in the foreground, for whoever keeps services alive: systemd, by the units of packaging/systemd.
# shellcheck shell=bash

foreground='' handed=''  # handed: the descriptor of a listening socket that was made by whoever started us

cmd_run() {  # [--wanted | --socket] NAME
  case "${1:-}" in
    --wanted)
      takes "$#" 2 2
      load_settings
      is_wanted "$2"
      return
      ;;
    --socket)
      takes "$#" 2 2
      exec {handed}<&0 </dev/null
      shift
      ;;
    *) takes "$#" 1 1 ;;
  esac
  load_settings
  use_data_folder
  ! running "$1" || die "$1 runs already"
  raise_limits
  use_programs
  refuse_half_restored
  foreground=yes
  run_service "$1"
}

# True if the settings have a use for the service.
is_wanted() {  # NAME
  case "$1" in
    postgres) [ "$mopl_private_database" = on ] ;;
    redis) [ "$mopl_private_redis" = on ] ;;
    files) [ -n "$MOPL_S3_BUCKET" ] ;;
    sse_bridge-*) [ "${1#*-}" -le "$MOPL_BRIDGES" ] ;;
    *) true ;;
  esac
}

run_service() {  # NAME
  case "$1" in
    migrate)
      first_secrets
      check_bridges
      prepare_database --wait 300
      ;;
    postgres) start_postgres ;;
    redis) start_redis ;;
    lighttpd)
      note_bridges
      start_lighttpd
      ;;
    sse_bridge-*)
      note_bridges
      start_bridge "$1" "${1#*-}"
      ;;
    *)
      [ -x "$bin/$1" ] && [[ $1 != mopl-* ]] || die "there is no service $1" 2
      if is_worker "$1"; then start_worker "$1"; else start_responder "$1"; fi
      ;;
  esac
}

# What systemd keeps alive is not to be started and ended behind its back.
leave_to_systemd() {  # ITS COMMAND for that
  [ -n "$is_installed" ] && [ "$MOPL_DATA" = "$default_data" ] && [ -d /run/systemd/system ] || return 0
  ! systemctl --quiet is-active mopl.target 2>/dev/null || die "systemd runs it: systemctl $1"
}
