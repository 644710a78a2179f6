# Sourced by mopl: the real-time bridges. Bridge N is the service sse_bridge-N: two processes, of which one is active and the other
# stands by (sse-bridge/turns.h tells how they know).
# shellcheck shell=bash

# Those that were started last.
bridge_names() {
  [ ! -e "$run/bridges" ] || seq -f 'sse_bridge-%g' "$(<"$run/bridges")"
}

is_bridge() { [[ $1 == sse_bridge-* ]]; }  # NAME

check_bridges() {
  [ "$MOPL_BRIDGES" -eq 1 ] || [ -n "$MOPL_KAFKA_BROKERS" ] ||
    die "MOPL_BRIDGES: more than one bridge needs Kafka: set MOPL_KAFKA_BROKERS, or start with mopl up --kafka" 2
}

note_bridges() { echo "$MOPL_BRIDGES" | "${as_service[@]}" tee "$run/bridges" >/dev/null; }

start_bridges() {
  local name
  note_bridges
  while read -r name; do start_bridge "$name" "${name#*-}"; done < <(bridge_names)
}

# The socket for the front server is descriptor 0; `--hold` makes the one for direct connections; multiwatch holds both, whatever becomes
# of the bridge's processes.
start_bridge() {  # NAME NUMBER
  running "$1" && return
  hold_socket "$1" "sse-bridge $2"
  launch "$1" "${holder[@]}" "$run/programs/sse-bridge" "$2" --hold \
    "$(type -P multiwatch)" -f 2 -s TERM -r 10000 -t 1000 -- "$(type -P setpriv)" --pdeathsig TERM -- "$run/programs/sse-bridge" "$2"
}

# What the front server has to know of them.
bridge_sockets() {
  local name
  for name in $(bridge_names); do printf '( "host" => "%s", "tcp-fin-propagate" => "enable" ), ' "$run/$name.sock"; done
}

bridges_answer() {
  local name
  for name in $(bridge_names); do
    curl -sf --noproxy '*' -m 5 -o /dev/null --unix-socket "$run/$name.sock" http://bridge/internal/health || return 1
  done
}

active_of() { cat "$run/$1.lock" 2>/dev/null || true; }  # NAME

# True if a process other than OLD is ready to take over.
stands_by() {  # NAME OLD
  local standby
  standby=$(cat "$run/$1.standby" 2>/dev/null || true)
  [ -n "$standby" ] && [ "$standby" != "$2" ] && is_ours "$standby"
}

is_active() { local active; active=$(active_of "$1"); [ -n "$active" ] && [ "$active" != "$2" ] && is_ours "$active"; }  # NAME, not OLD

# First the one that stands by is replaced, then, when the new one stands by, the active one, which hands over to it. So nobody is
# refused, and streams end only when there is somewhere to go.
restart_bridge() {  # NAME PID
  local child active
  active=$(active_of "$1")
  for child in $(children "$2"); do
    [ "$child" != "$active" ] || continue
    kill -TERM "$child" 2>/dev/null || true
    await 30 stands_by "$1" "$child" || die "no new process of $1 stands by"
  done
  if [ -n "$active" ] && kill -TERM "$active" 2>/dev/null; then
    await 10 is_active "$1" "$active" || die "no other process of $1 took over"
    await 30 gone "$active" || die "process $active of $1 does not end"
    await 30 stands_by "$1" "$active" || die "no new process of $1 stands by"
  fi
}
