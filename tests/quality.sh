#!/usr/bin/env bash
# Holds docs/quality.md against what there is: each line of its tables is there once and names what shows it; what it names has run, or exists
# where it is no test. Prints "ok LINE" or "not ok LINE: why", a line each.
# usage: tests/quality.sh FILE     the names of the tests that ran, as tests/run.sh prints them
set -euo pipefail
ran=$(realpath "$1")
cd "$(dirname "$0")/.."
document=docs/quality.md

row() { awk -F ' *[|] *' -v id="$1" '$2 == id { print $4 }' "$document"; }  # LINE: what shows it

missing() {  # NAME: why it is none; nothing if it is one
  case "$1" in
    "bench "*) [ -e "tests/bench/${1#bench }.sh" ] || echo "no such part of the benchmarks" ;;
    "make "*) grep -q "^${1#make }:" Makefile || echo "no such goal" ;;
    fuzz_*) [ -e "tests/fuzz/$1.c" ] || echo "no such fuzzer" ;;
    *) grep -qxF -- "$1" "$ran" || echo "did not run" ;;
  esac
}

failed=0
for id in S{1..10} W{1..6} R{1..9} P{1..10}; do
  why=''
  mapfile -t names < <(row "$id" | grep -o '`[^`]*`' | tr -d '`')
  [ "$(row "$id" | wc -l)" -eq 1 ] || why=", not one line of $document"
  [ "${#names[@]}" -gt 0 ] || why+=", names nothing"
  for name in "${names[@]}"; do
    fault=$(missing "$name")
    [ -z "$fault" ] || why+=", $name $fault"
  done
  if [ -z "$why" ]; then echo "ok $id"; else echo "not ok $id: ${why#, }" && failed=1; fi
done
exit "$failed"
