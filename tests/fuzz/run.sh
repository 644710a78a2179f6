#!/usr/bin/env bash
# Runs fuzzers, two at a time, and prints a line for each: how many inputs it ran, edges of the program that they reached, inputs a second.
# What is found on the way and reaches further stays in FOLDER/corpus and is begun with the next time; an input that ends a fuzzer stays in
# FOLDER/found. Exit status 1 after any finding.
# usage: tests/fuzz/run.sh [--short] FOLDER RUNS [FUZZER...]     FOLDER: build/fuzz; without names all of tests/fuzz
#   --short  begins with the seeds of tests/fuzz/corpus alone, keeps nothing, and goes the same way each time
set -euo pipefail
short=no
if [ "${1:-}" = --short ]; then short=yes && shift; fi
[ "$#" -ge 2 ] || { sed -n '2,6s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/../.."
folder=$1 runs=$2 fuzzers=("${@:3}")
if [ "${#fuzzers[@]}" -eq 0 ]; then mapfile -t fuzzers < <(basename -s .c tests/fuzz/fuzz_*.c); fi
at_once=2 pause=20
declare -A running=() log=()
work=$(mktemp -d)

finish() {
  for pid in "${!running[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start() {  # FUZZER
  local name=$1 behind=10 options=(-runs="$runs" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1) corpora=()
  log[$name]=$work/$name.log
  if [ "$short" = yes ]; then
    mkdir -p "$work/$name"
    behind=0 options+=(-seed=1 -artifact_prefix="$folder/found/$name-") corpora=("$work/$name")
  else
    mkdir -p "$folder/corpus/$name"
    options+=(-artifact_prefix="$folder/found/$name-") corpora=("$folder/corpus/$name")
  fi
  nice -n "$behind" "$folder/tests/fuzz/$name" "${options[@]}" "${corpora[@]}" "tests/fuzz/corpus/${name#fuzz_}" >"${log[$name]}" 2>&1 &
  running[$!]=$name
}

stat_of() { sed -n "s/^stat::$2: *//p" "${log[$1]}" | tail -n 1; }                                    # FUZZER NAME
edges_of() { grep -o 'cov: [0-9]*' "${log[$1]}" | tail -n 1 | cut -d ' ' -f 2 || true; }              # FUZZER
runs_of() { sed -n 's/^#\([0-9]*\).*/\1/p' "${log[$1]}" | tail -n 1; }                                # FUZZER

passed=0 failed=0
report() {  # FUZZER STATUS
  local edges
  edges=$(edges_of "$1")
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok      %-26s %9s runs %6s edges %7s a second\n' "$1" "$(stat_of "$1" number_of_executed_units)" "${edges:--}" \
      "$(stat_of "$1" average_exec_per_sec)"
  else
    failed=$((failed + 1))
    grep -v '^#' "${log[$1]}" | tail -n 60 || true
    printf 'FAILED  %-26s status %s; what ended it is in %s\n' "$1" "$2" "$folder/found"
  fi
}

await_one() {  # until one has ended; tells meanwhile how far they are
  local pid status=0 told=$SECONDS
  while true; do
    for pid in "${!running[@]}"; do
      [ -e "/proc/$pid/status" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" && continue
      wait "$pid" || status=$?
      report "${running[$pid]}" "$status"
      unset "running[$pid]"
      return
    done
    if [ "$short" = no ] && [ $((SECONDS - told)) -ge "$pause" ]; then
      told=$SECONDS
      for pid in "${!running[@]}"; do printf '        %-26s %9s of %s\n' "${running[$pid]}" "$(runs_of "${running[$pid]}")" "$runs"; done
    fi
    sleep 0.1
  done
}

mkdir -p "$folder/found"
for name in "${fuzzers[@]}"; do
  while [ "${#running[@]}" -ge "$at_once" ]; do await_one; done
  start "$name"
done
while [ "${#running[@]}" -gt 0 ]; do await_one; done
echo "$passed fuzzers without a finding, $failed with one"
[ "$failed" -eq 0 ]
