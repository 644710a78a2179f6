# P9: how long `mopl up` takes when the data are there.
# shellcheck shell=bash

part_p9() {
  start p10
  local times=()
  for _ in 1 2 3; do
    stop_instance p10
    local from=$EPOCHREALTIME
    start p10
    times+=("$(seconds_since "$from")")
  done
  figure "second start of everything" "$(printf '%s\n' "${times[@]}" | median)" s '<=' 5 "mopl up and a sign-in, median of ${times[*]}"
  stop_instance p10
}
