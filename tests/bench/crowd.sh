# A crowd enters one room: each is told of everybody who comes after him, so 2,000 within 4 s are 2 million messages.
# shellcheck shell=bash

# shellcheck source=tests/bench/live.sh
. "$project/tests/bench/live.sh"

crowd_people=2000 crowd_seconds=4

part_crowd() {
  local people messages seconds each total
  trap 'stop_all_instances' EXIT
  live_people=$crowd_people start_live live
  read -r people messages seconds each total < <(live crowd raw "$direct" "$crowd_seconds" "$bench/live.tokens" "$(head -n 1 "$bench/live.rooms")" "$(bridge_pids)")
  figure "$people people enter a room within $crowd_seconds s: the last message after" "$seconds" s "" "" "$messages messages, each once encoded"
  figure "processor time a message" "$each" µs "" "" "$total s of the bridge in all"
  stop_live live
}
