# P5: 10,000 connections held; what one costs, and how fast, how reliably and at what cost messages reach many. Asked directly, through
# the front server, and beside nchan and an empty fan-out (fan.c: F, the floor) in the same run.
# shellcheck shell=bash

# shellcheck source=tests/bench/live.sh
. "$project/tests/bench/live.sh"

p5_connections=10000 p5_rounds=2
p5_fans=(1x1000x20 1x5000x5 200x10x1)

part_p5() {
  local round pids
  trap 'stop_nchan; stop_fan; stop_all_instances' EXIT
  rm -f "$bench"/p5.*
  start_live live
  pids=$(bridge_pids)
  for ((round = 1; round <= p5_rounds; round++)); do
    start_nchan
    p5_run nchan nchan "$nchan" "$nchan_pid,$(pgrep -P "$nchan_pid" | paste -sd ,)"
    stop_nchan
    start_fan
    p5_run fan nchan "$fan_address" "$fan_pid"
    stop_fan
    p5_run direct raw "$direct" "$pids"
  done
  p5_run sockjs sockjs "$direct" "$pids"
  p5_connections=$(p5_front_connections) p5_run front sockjs "$front" "$pids"
  stop_live live
  p5_figures
}

# The front server takes two descriptors for each, and no more connections than it has descriptors for.
p5_front_connections() {
  local most
  most=$(sed -n 's/^var.max_connections = //p' "$run/lighttpd.conf")
  echo "$((most - 200 < p5_connections ? most - 200 : p5_connections))"
}

p5_run() {  # NAME KIND ADDRESS PIDS
  say "  $1"
  live hold "$2" "$3" "$p5_connections" "$bench/live.tokens" "$bench/live.rooms" "$4" "${p5_fans[@]}" >>"$bench/p5.$1"
}

# Field N of the lines that begin so: the least of all rounds.
p5_field() { awk -v line="$2" -v n="$3" '$1 == line && (!seen++ || $n + 0 < least + 0) { least = $n } END { print least }' "$bench/p5.$1"; }  # NAME LINE N
p5_sum() { awk -v line="$2" '$1 == line { n += $3 + $4 } END { print n + 0 }' "$bench/p5.$1"; }  # NAME LINE: lost and wrong in all rounds
# Of the first round: later ones find what an earlier one has left.
p5_memory() { awk '$1 == "hold" { printf "%.2f", ($4 - $3) / $2 / 1024; exit }' "$bench/p5.$1"; }  # NAME

p5_figures() {
  local fan name lost
  figure "memory of a connection at rest, asked directly" "$(p5_memory direct)" KB '<=' 2 "PSS of the bridge; nchan $(p5_memory nchan)"
  figure "connections held directly, and through the front server" "$(p5_field direct hold 2), $(p5_field front hold 2)" "" "" "" \
    "the front server takes two of its descriptors for each"
  figure "processor time at rest" "$(p5_field direct hold 5)" "ms a second" "" "" "nchan $(p5_field nchan hold 5)"
  for fan in "${p5_fans[@]}"; do
    lost=0
    for name in direct sockjs front; do lost=$((lost + $(p5_sum "$name" "$fan"))); done
    figure "$fan: lost, doubled, out of order" "$lost" "" '<=' 0 "of $(p5_field direct "$fan" 2) deliveries in each run: directly, by SockJS, through the front server"
    figure "$fan: processor time a delivery" "$(p5_field direct "$fan" 9)" µs '<=' 6 \
      "F $(p5_field fan "$fan" 9), SockJS $(p5_field sockjs "$fan" 9), through the front server $(p5_field front "$fan" 9), nchan $(p5_field nchan "$fan" 9); the load client $(p5_field direct "$fan" 10)"
    figure "$fan: processor time to the empty fan-out's" "$(calc %.2f 'a / b' a="$(p5_field direct "$fan" 9)" b="$(p5_field fan "$fan" 9)")" "" "" "" \
      "nchan $(calc %.2f 'a / b' a="$(p5_field nchan "$fan" 9)" b="$(p5_field fan "$fan" 9)")"
    figure "$fan: p99 to nchan's" "$(calc %.2f 'a / b' a="$(p5_field direct "$fan" 7)" b="$(p5_field nchan "$fan" 7)")" "" '<=' 1 \
      "p50 / p95 / p99 in ms: $(p5_latencies direct "$fan") directly, $(p5_latencies sockjs "$fan") SockJS, $(p5_latencies front "$fan") through the front server, $(p5_latencies nchan "$fan") nchan"
  done
}

p5_latencies() {  # NAME FAN
  local part
  for part in 5 6 7; do calc '%.1f ' 'us / 1000' us="$(p5_field "$1" "$2" "$part")"; done | awk '{ print $1 " / " $2 " / " $3 }'
}
