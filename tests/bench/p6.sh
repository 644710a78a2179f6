# P6: how long a message takes from one person to another: a direct message from SEND to the other's MESSAGE, and what a REST write
# makes known until the event stream tells it. Through the front server, over Kafka and over the embedded bus.
# shellcheck shell=bash

# shellcheck source=tests/bench/live.sh
. "$project/tests/bench/live.sh"

p6_seconds=15 p6_rate=20

part_p6() {
  start_live live_kafka --kafka
  p6_engine Kafka 10 50
  stop_live live_kafka
  rm -rf "$bench/live_kafka"
  start_live live
  p6_engine "embedded bus" "" ""
  stop_live live
}

p6_engine() {  # NAME P50 P99
  local conversation
  as_person 1 POST /api/follows "{\"followeeId\":\"$(person_id 2)\"}" >&3
  conversation=$(as_person 1 POST /api/conversations "{\"withUserId\":\"$(person_id 2)\"}" | jq -r .id)
  live dm sockjs "$front" 2 5 "$bench/live.tokens" "$conversation" >&3
  live dm sockjs "$front" "$p6_seconds" "$p6_rate" "$bench/live.tokens" "$conversation" >"$bench/p6.dm"
  p6_figures "$1: direct message to MESSAGE" "$bench/p6.dm" "$2" "$3"
  live rest "$front" "$p6_seconds" "$p6_rate" "$bench/live.tokens" >"$bench/p6.rest"
  p6_figures "$1: REST write to SSE" "$bench/p6.rest" "$2" "$3"
}

p6_figures() {  # NAME FILE P50 P99
  local sent lost wrong p50 p95 p99 max
  read -r sent lost wrong p50 p95 p99 max <"$2"
  figure "$1, p50" "$(calc %.1f 'a / 1000' a="$p50")" ms "${3:+<=}" "$3" "p95 $(calc %.1f 'a / 1000' a="$p95"), slowest $(calc %.1f 'a / 1000' a="$max") ms"
  figure "$1, p99" "$(calc %.1f 'a / 1000' a="$p99")" ms "${4:+<=}" "$4" "$sent at $p6_rate a second"
  figure "$1, lost or doubled" "$((lost + wrong))" "" '<=' 0 "of $sent"
}
