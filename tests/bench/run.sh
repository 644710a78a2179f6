#!/usr/bin/env bash
# Measures what spec lines P1 to P10 ask for, as far as tests/bench/*.sh go, prints a table and writes it into docs/benchmarks.md.
# usage: tests/bench/run.sh [PART...]     (make bench BENCH="p1 p10"; all parts unless named)
# SCALE=10 makes the large set a tenth; such figures are printed only. Data stay in build/bench: the first run takes some ten minutes more.
# Each part is a file that defines part_NAME, which calls `figure` for each thing measured; common.sh has what they share.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
export TZ=UTC LC_ALL=C.UTF-8
project=$PWD
scale=${SCALE:-1}

# The caller's own instance has nothing to do with those measured.
for name in "${!MOPL_@}"; do unset "$name"; done
export MOPL_RATE_LIMITS=off MOPL_ACCESS_TOKEN_SECONDS=86400
for part in paths settings process services; do
  # shellcheck source=/dev/null
  . "$project/scripts/$part.sh"
done
# shellcheck source=tests/bench/common.sh
. tests/bench/common.sh
# shellcheck source=tests/bench/report.sh
. tests/bench/report.sh

mapfile -t known < <(grep -l '^part_' tests/bench/*.sh | sed 's/.*\/\(.*\)\.sh/\1/' | sort -V)
parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=("${known[@]}")
for part in "${parts[@]}"; do
  [[ " ${known[*]} " == *" $part "* ]] || die "no such part: $part (there are: ${known[*]})"
  # shellcheck source=/dev/null
  . "tests/bench/$part.sh"
done

mkdir -p "$bench"
exec 3>>"$bench/log" 4>>"$bench/lock"  # the log has what the tools say
flock -n 4 || die "another run is measuring"
trap stop_all_instances EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
began=$EPOCHREALTIME
: >"$bench/figures"
for part in "${parts[@]}"; do
  say "$part"
  "part_$part"
done
print_table
if [ "$scale" -eq 1 ]; then write_document; fi
say "done in $(seconds_since "$began") s"
