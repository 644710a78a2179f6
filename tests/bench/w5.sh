# W5: 200 people in a room beside three who do not read what is said there, until they are closed, against the same room without them.
# shellcheck shell=bash

# shellcheck source=tests/bench/live.sh
. "$project/tests/bench/live.sh"

w5_room=1x200x300 w5_deaf=3 w5_rounds=2

part_w5() {
  local kind round fans=()
  trap 'stop_all_instances' EXIT
  start_live live
  for ((round = 1; round <= w5_rounds; round++)); do fans+=("$w5_room" "$w5_room+$w5_deaf"); done
  for kind in raw sockjs; do
    say "  $kind"
    CHAT_BYTES=450 live hold "$kind" "$direct" 200 "$bench/live.tokens" "$bench/live.rooms" "$(bridge_pids)" "${fans[@]}" >"$bench/w5.$kind"
    w5_figures "$kind" "$([ "$kind" = raw ] && echo WebSocket || echo SockJS)"
  done
  figure "those who do not read: closed and counted" "$(w5_closed)" "" '>=' $((2 * w5_deaf * w5_rounds)) "mopl_bridge_slow_consumers_total"
  stop_live live
}

w5_closed() {
  curl -sS --unix-socket "$MOPL_DATA/run/sse_bridge-1.sock" http://bridge/metrics | awk '/^mopl_bridge_slow_consumers_total/ { print $2 }'
}

# Field N of the lines that begin so, the least of all rounds; and lost, doubled or out of order in all of them.
w5_least() { awk -v line="$2" -v n="$3" '$1 == line && (!seen++ || $n + 0 < least + 0) { least = $n } END { print least }' "$bench/w5.$1"; }  # KIND LINE N
w5_wrong() { awk '$1 != "hold" { n += $3 + $4 } END { print n + 0 }' "$bench/w5.$1"; }  # KIND

w5_figures() {  # KIND NAME
  local alone beside
  alone=$(w5_least "$1" "$w5_room" 7) beside=$(w5_least "$1" "$w5_room+$w5_deaf" 7)
  figure "$2: p99 of 200 beside $w5_deaf who do not read, to that without them" "$(calc %.2f 'a / b' a="$beside" b="$alone")" "" '<=' 1.5 \
    "$(calc %.1f 'us / 1000' us="$beside") and $(calc %.1f 'us / 1000' us="$alone") ms, the least of $w5_rounds runs each; p50 $(calc %.1f 'us / 1000' us="$(w5_least "$1" "$w5_room+$w5_deaf" 5)") and $(calc %.1f 'us / 1000' us="$(w5_least "$1" "$w5_room" 5)") ms"
  figure "$2: lost, doubled, out of order" "$(w5_wrong "$1")" "" '<=' 0 "of 600,000 deliveries in each run"
}
