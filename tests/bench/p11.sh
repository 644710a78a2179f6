# P11: what recording metrics costs, as a share of the cheapest request there is: every call that a read makes to lib/metrics.h, by four
# processes at once into one file, against the processor time of a content detail of all the server's processes.
# shellcheck shell=bash

# shellcheck source=tests/bench/p10.sh
. tests/bench/p10.sh

part_p11() {
  local folder=$bench/p11.metrics request recording
  start p10
  p10_paths
  load 1 "@$bench/p10.detail" >&3
  request=$(p11_request_ns)
  stop_instance p10
  rm -rf "$folder" && mkdir -p "$folder/run"
  recording=$(build/release/tests/bench/meter "$folder" 4 2000000)
  figure "recording, share of a content detail" "$(calc %.4f 'm / r' m="$recording" r="$request")" "" '<=' 0.01 \
    "$(printf '%.0f ns of %.0f ns' "$recording" "$request")"
}

p11_request_ns() {
  local requests
  processor_ms | sed 's/^/before /' >"$bench/p10.ms"
  requests=$(load 5 "@$bench/p10.detail" | cut -d ' ' -f 1)
  processor_ms | sed 's/^/after /' >>"$bench/p10.ms"
  awk -v requests="$requests" '$1 == "before" { ms -= $3 } $1 == "after" { ms += $3 } END { printf "%.0f\n", ms * 1e6 / requests }' "$bench/p10.ms"
}
