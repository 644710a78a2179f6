#!/usr/bin/env bash
# How fast an event becomes a notification, on both engines of the bus; each on a fresh instance of its own, which is gone afterwards.
# usage: tests/bench/events.sh [WRITES [PEOPLE]]
# The programs must be built (make bench-events sees to that); without a Java runtime Kafka is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
for name in "${!MOPL_@}"; do unset "$name"; done
build=${B:-build/release}
work=$(mktemp -d "${TMPDIR:-/tmp}/mopl-bench-XXXXXX")
chmod 755 "$work"
export MOPL_BIN=$PWD/$build/bin MOPL_DATA=$work/data MOPL_RATE_LIMITS=off MOPL_WORKERS=2 MOPL_LOG_LEVEL=warn
trap './mopl down || true; rm -rf "$work"' EXIT

bench() {  # NAME OPTIONS-OF-UP...
  MOPL_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export MOPL_PORT
  ./mopl up "${@:2}" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
  echo "events, $1"
  MOPL_TEST_DATABASE_URL=$(eval "$("$MOPL_BIN/mopl-conf" --export 2>/dev/null)"; printf '%s' "$MOPL_DATABASE_URL") \
    MOPL_TEST_BASE=http://127.0.0.1:$MOPL_PORT "$build/tests/bench/events" "${sizes[@]}"
  ./mopl down
  rm -rf "$MOPL_DATA"
}

sizes=("$@")
bench "embedded bus (PostgreSQL)"
if type -P java >/dev/null; then bench "Kafka" --kafka; fi
