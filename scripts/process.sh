# Sourced by mopl: processes by pid file. A pid counts only if that process is really this instance's.
# shellcheck shell=bash

# True if a process tells MOPL_DATA in its arguments or environment. A zombie tells nothing.
is_ours() {  # PID
  local words word
  [[ $1 =~ ^[1-9][0-9]*$ ]] && [ -r "/proc/$1/cmdline" ] || return 1
  { mapfile -d '' -t words <"/proc/$1/cmdline"; } 2>/dev/null || return 1
  [ "${#words[@]}" -gt 0 ] || return 1
  [[ " ${words[*]}" == *[\ :=]"$MOPL_DATA/"* ]] && return 0
  { mapfile -d '' -t words <"/proc/$1/environ"; } 2>/dev/null || return 1
  for word in "${words[@]}"; do [ "$word" != "MOPL_DATA=$MOPL_DATA" ] || return 0; done
  return 1
}

running() {  # NAME: true and `pid` set if it runs
  pid=
  [ -r "$run/$1.pid" ] || return 1
  read -r pid <"$run/$1.pid" || true
  is_ours "$pid"
}

# A line in a service's log, from which on `restarts_of` counts.
mark_log() {  # NAME EVENT
  printf '{"time":"%(%Y-%m-%dT%H:%M:%S)TZ","level":"info","event":"mopl_%s"}\n' -1 "$2" |
    "${as_service[@]}" tee -a "$MOPL_DATA/logs/$1.log" >/dev/null
}

# How many workers multiwatch has replaced since the last mark.
restarts_of() {  # NAME
  awk '/"event":"mopl_/ { n = 0 } /^(Child\[[0-9]+\] died, respawn|Spawning child\[[0-9]+\] failed)/ { n++ } END { print n + 0 }' \
    "$MOPL_DATA/logs/$1.log"
}

# Starts a service on its own, with its log and its pid file, which is there before the program is; or becomes it (mopl run).
launch() {  # NAME COMMAND...
  local name=$1
  shift
  rm -f "$run/$name.pid"
  mark_log "$name" start
  local become=(sh -c 'umask 077; exec >>"$2" 2>&1; echo $$ >"$1"; shift 2; exec "$@"' _ "$run/$name.pid" "$MOPL_DATA/logs/$name.log" "$@")
  if [ -n "$handed" ]; then exec "${as_service[@]}" "${become[@]}" <&"$handed" {handed}<&-; fi
  if [ -n "$foreground" ]; then exec "${as_service[@]}" "${become[@]}" </dev/null; fi
  "${as_service[@]}" setsid "${become[@]}" </dev/null {lock_fd}>&- 2>/dev/null &
  await 5 [ -s "$run/$name.pid" ] || die "$name could not be started"
}

await() {  # SECONDS COMMAND...: until the command is true; false when the time is up
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# Signals a service and waits.
stop() {  # NAME SIGNAL SECONDS
  if running "$1"; then kill "-$2" "$pid" 2>/dev/null || true; fi
  ended "$1" "$3"
}

# Waits for one that was told to end; if it outstays its time it is killed with all of its process group.
ended() {  # NAME SECONDS
  if running "$1"; then
    if ! await "$2" gone "$pid"; then
      echo "mopl: $1 did not end within $2 s and is killed" >&2
      kill -KILL -- "-$pid" 2>/dev/null || true
      await 5 gone "$pid" || true
    fi
  fi
  rm -f "$run/$1.pid" "$run/$1.sock"
}

gone() { ! is_ours "$1"; }

children() { pgrep -P "$1" || true; }  # PID

show_log() {  # NAME: the end of its log, on stderr
  echo "--- $MOPL_DATA/logs/$1.log" >&2
  tail -n 15 "$MOPL_DATA/logs/$1.log" >&2 2>/dev/null || true
}

# Runs a program of the start sequence; its output matters only if it fails.
step() {  # NAME COMMAND...
  local name=$1 log=$MOPL_DATA/logs/$1.log
  shift
  "${as_service[@]}" sh -c 'umask 077; log=$1; shift; exec "$@" >>"$log" 2>&1' _ "$log" "$@" && return
  show_log "$name"
  die "$name failed"
}

status_line() {  # NAME PID TREE REQUESTS
  local name=$1 pid=$2 all workers=- restarts=- rate=- p95=- since
  if is_worker "$name" || { [ -S "$run/$name.sock" ] && [ "$name" != redis ]; }; then  # pid is multiwatch's
    workers=$(awk -v parent="$pid" '$2 == parent' <<<"$3" | wc -l)
    restarts=$(restarts_of "$name")
  fi
  read -r _ rate p95 < <(awk -v name="$name" '$1 == name { print; n++ } END { if (!n) print name, "-", "-" }' <<<"$4")
  all=$(descendants "$pid" <<<"$3")
  since=$(date -d "-$(ps -o etimes= -p "$pid") seconds" '+%Y-%m-%d %H:%M:%S')
  printf '%-18s %8s %8s %9s %8s %8s %8s  %s\n' "$name" "$pid" "$workers" "$restarts" "$(memory_mb "$all")" "$rate" "$p95" "$since"
}

descendants() {  # PID: it and everything below it, of the lines "PID PARENT" on stdin
  awk -v top="$1" '
    { parent[$1] = $2 }
    END { for (pid in parent) { for (at = pid; at in parent && at != top; at = parent[at]); if (at == top) print pid } }'
}

memory_mb() {  # PIDS
  # shellcheck disable=SC2086
  { printf '/proc/%s/smaps_rollup\n' $1 | xargs cat 2>/dev/null || true; } |
    awk '/^Pss:/ { kb += $2 } END { printf "%.1f", kb / 1024 }'
}
