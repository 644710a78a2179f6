#!/usr/bin/env bash
# Runs the tests and ends with one line "N passed, N failed"; exit status 1 if any failed.
# usage: tests/run.sh [--san | --tsan] [--no-browser] [SUITE | SUITE/TEST ...]
#        a test by the name that it is printed with: unit/test_str, clients/sse
#   suites: unit bus sql integration clients batch search faults monitoring package docs hardening fuzz (all unless named)
#   --san, --tsan  the programs of build/san or build/tsan; each report of a sanitizer counts as a failure
#   --no-browser   leaves out the tests that drive Chromium
# What it needs must be built (make test, make check and make san see to that). The instance under test is a private one in a temporary
# folder, with a port of its own; nothing is left behind. A run of everything also holds docs/quality.md against what ran.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

mode=release browser=yes whole=yes suites=() only=()
for argument; do
  case "$argument" in
    --san | --tsan) mode=${argument#--} whole=no ;;
    --no-browser) browser=no whole=no ;;
    unit | bus | sql | integration | clients | batch | search | faults | monitoring | package | docs | hardening | fuzz)
      suites+=("$argument") whole=no
      ;;
    unit/* | bus/* | sql/* | integration/* | clients/* | batch/* | search/* | faults/* | monitoring/* | package/* | docs/*)
      suites+=("${argument%%/*}") only+=("$argument") whole=no
      ;;
    *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
  esac
done
[ "${#suites[@]}" -gt 0 ] || suites=(unit bus sql integration clients batch search faults monitoring package docs hardening fuzz)

# The caller's own instance has nothing to do with the one under test.
for name in "${!MOPL_@}"; do unset "$name"; done
build=build/$mode
export MOPL_BIN=$PWD/$build/bin CRITERION_NO_EARLY_EXIT=1
work=$(mktemp -d "${TMPDIR:-/tmp}/mopl-test-XXXXXX")
chmod 755 "$work"  # as root, the instance runs as another user
mkdir -m 1777 "$work/reports" "$work/tmp"
export TMPDIR=$work/tmp
started='' passed=0 failed=0
declare -A running=()  # of programs that run at the same time: pid to name and start

finish() {
  trap - EXIT INT TERM
  if [ "${#running[@]}" -gt 0 ]; then kill "${!running[@]}" 2>/dev/null || true; wait; fi
  [ -z "$started" ] || ./mopl down || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "$mode" != release ]; then
  export TSAN_OPTIONS=log_path=$work/reports/tsan:suppressions=$PWD/tests/tsan.supp:ignore_noninstrumented_modules=1:die_after_fork=0
  export ASAN_OPTIONS=log_path=$work/reports/asan:detect_leaks=1:abort_on_error=0
  export UBSAN_OPTIONS=log_path=$work/reports/ubsan:print_stacktrace=1
fi

began=$SECONDS
count() {  # NAME PASSED FAILED LOG
  passed=$((passed + $2)) failed=$((failed + $3))
  [ $(($2 + $3)) -eq 0 ] || echo "$1" >>"$work/ran"
  if [ "$3" -eq 0 ]; then
    printf 'ok      %-40s %4d passed  %3d s\n' "$1" "$2" $((SECONDS - began))
  else
    cat "$4"
    printf 'FAILED  %-40s %4d passed, %d failed\n' "$1" "$2" "$3"
  fi
  began=$SECONDS
}

# A program that ends badly failed at least once, whatever it had to say before.
judge() {  # NAME STATUS PASSED FAILED LOG
  local bad=$4
  if [ "$2" -ne 0 ] && [ "$bad" -eq 0 ]; then
    echo "$1 ended with status $2" >>"$5"
    bad=1
  fi
  count "$1" "$3" "$bad" "$5"
}

criterion() {  # NAME PROGRAM ARGUMENTS...
  local status=0
  timeout -k 10 900 "${@:2}" >"$work/log" 2>&1 || status=$?
  judge_criterion "$1" "$status" "$work/log"
}

judge_criterion() {  # NAME STATUS LOG
  local numbers all good
  numbers=$(sed -n 's/.*Synthesis: Tested: \([0-9]*\) | Passing: \([0-9]*\) .*/\1 \2/p' "$3" | tail -n 1)
  read -r all good <<<"${numbers:-1 0}"
  judge "$1" "$2" "$good" $((all - good)) "$3"
}

# Programs that have all that they need to themselves, two at a time: they wait more than they compute.
criterion_suite() {  # SUITE ARGUMENTS...
  local source name
  for source in "tests/$1"/test_*.c; do
    name=$1/$(basename "$source" .c)
    picked "$name" || continue
    [ "${#running[@]}" -lt 2 ] || await_criterion
    timeout -k 10 900 "$build/tests/$name" "${@:2}" >"$work/${name//\//-}.log" 2>&1 &
    running[$!]="$name $SECONDS"
  done
  while [ "${#running[@]}" -gt 0 ]; do await_criterion; done
}

await_criterion() {
  local pid name status=0
  wait -n -p pid "${!running[@]}" || status=$?
  read -r name began <<<"${running[$pid]}"
  unset "running[$pid]"
  judge_criterion "$name" "$status" "$work/${name//\//-}.log"
}

node_test() {  # NAME FILE
  local log=$work/log status=0 good bad
  timeout -k 10 900 node --test --test-reporter=tap "$2" >"$log" 2>&1 || status=$?
  good=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$log" | tail -n 1)
  bad=$(awk '/^# (fail|cancelled) [0-9]+$/ { n += $3 } END { print n + 0 }' "$log")
  judge "$1" "$status" "${good:-0}" "$bad" "$log"
}

wanted() { [[ " ${suites[*]} " == *" $1 "* ]]; }
picked() { [ "${#only[@]}" -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }  # NAME of a test: all are, unless some are named

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The site that the instance serves: a client of our own, and the libraries of the web client as browsers take them (unless the clients'
# packages are not installed).
web_root() {
  local modules=tests/clients/node_modules
  export MOPL_WEB_ROOT=$work/site
  cp -r tests/clients/site "$MOPL_WEB_ROOT"
  if [ -e "$modules/axios" ]; then
    cp "$modules/axios/dist/esm/axios.min.js" "$MOPL_WEB_ROOT/assets/axios.js"
    cp "$modules/sockjs-client/dist/sockjs.min.js" "$MOPL_WEB_ROOT/assets/sockjs.js"
    cp "$modules/@stomp/stompjs/bundles/stomp.umd.min.js" "$MOPL_WEB_ROOT/assets/stomp.js"
    cp "$modules/event-source-polyfill/src/eventsource.min.js" "$MOPL_WEB_ROOT/assets/eventsource.js"
  fi
  chmod -R a+rX "$MOPL_WEB_ROOT"
}

# The address of the instance, its administrator and its database are for the tests.
start_instance() {
  export MOPL_DATA=$work/data MOPL_RATE_LIMITS=off MOPL_WORKERS=2 MOPL_ADMIN_EMAIL=admin@test.example MOPL_ADMIN_PASSWORD
  MOPL_ADMIN_PASSWORD=$(od -An -N 16 -tx1 /dev/urandom | tr -d ' \n')
  web_root
  local try
  for try in 1 2 3; do  # another program may take the port between its choice and its use
    MOPL_PORT=$(free_port)
    export MOPL_PORT
    started=yes
    if ./mopl up >"$work/log" 2>&1; then break; fi
    [ "$try" -lt 3 ] || { cat "$work/log"; return 1; }
    ./mopl down || true
  done
  ./mopl batch import-catalogue >"$work/log" 2>&1 && ./mopl batch demo >>"$work/log" 2>&1 || { cat "$work/log"; return 1; }
  MOPL_TEST_DATABASE_URL=$(set +u; eval "$("$MOPL_BIN/mopl-conf" --export 2>/dev/null)"; printf '%s' "$MOPL_DATABASE_URL")
  export MOPL_TEST_BASE=http://127.0.0.1:$MOPL_PORT MOPL_TEST_ADMIN_EMAIL=$MOPL_ADMIN_EMAIL MOPL_TEST_ADMIN_PASSWORD=$MOPL_ADMIN_PASSWORD
  export MOPL_TEST_RATE_LIMITS=off MOPL_TEST_BIN=$MOPL_BIN MOPL_TEST_DATABASE_URL
}

if wanted sql; then
  status=0
  tests/sql.sh >"$work/log" 2>&1 || status=$?
  judge sql/sources "$status" "$(grep -c '^ok ' "$work/log" || true)" "$(grep -c '^not ok ' "$work/log" || true)" "$work/log"
fi

if wanted unit; then criterion_suite unit; fi
if wanted bus; then criterion_suite bus --jobs 2; fi

if wanted sql || wanted integration || wanted clients; then
  if start_instance; then
    if wanted sql; then
      for source in endpoints/*.c workers/*.c sse-bridge.c; do
        name=$(basename "$source" .c)
        [[ $name == *-* ]] && continue
        picked "sql/$name" || continue
        status=0
        "$MOPL_BIN/$name" --check-sql >"$work/log" 2>&1 || status=$?
        judge "sql/$name" "$status" $((status == 0)) 0 "$work/log"
      done
    fi
    if wanted integration; then
      for source in tests/integration/test_*.c; do
        name=$(basename "$source" .c)
        picked "integration/$name" || continue
        criterion "integration/$name" "$build/tests/integration/$name" --jobs 1
      done
    fi
    if wanted clients; then
      for source in tests/clients/*.test.js; do
        name=$(basename "$source" .test.js)
        picked "clients/$name" || continue
        [ "$browser" = yes ] || ! grep -q playwright "$source" || continue
        node_test "clients/$name" "$source"
      done
    fi
  else
    : >"$work/log"
    count "instance" 0 1 "$work/log"
  fi
  # Sanitizers report what is left of a program when it ends.
  if ! ./mopl down >"$work/log" 2>&1; then count "mopl down" 0 1 "$work/log"; fi
  started=''
  status=0
  mapfile -t keys < <(sed -n 's/^MOPL_[A-Z_]*=//p' "$MOPL_DATA/settings.env")
  tests/logs.sh "$MOPL_DATA/logs" "$MOPL_ADMIN_PASSWORD" "${keys[@]}" >"$work/log" 2>&1 || status=$?
  judge logs "$status" $((status == 0)) 0 "$work/log"
  errors=$(cat "$MOPL_DATA"/logs/*.log 2>/dev/null | grep -c '"level":"error"' || true)
  if [ "$failed" -gt 0 ] && [ "$errors" -gt 0 ]; then grep -h '"level":"error"' "$MOPL_DATA"/logs/*.log | tail -n 20; fi
fi

# Instances of their own, with all that they work with, which have much to endure; as with the documents, what is released.
for suite in batch search faults monitoring package; do
  wanted "$suite" || continue
  [ "$suite" != package ] || [ "$mode" = release ] || continue  # what is packed is what is released
  for source in tests/"$suite"/*.test.js; do
    name=$suite/$(basename "$source" .test.js)
    picked "$name" || continue
    node_test "$name" "$source"
    grep '^# .*recall@10' "$work/log" | sed 's/^# \\#/       /' || true
  done
done

# What people are told to type runs the released programs.
if wanted docs && [ "$mode" = release ]; then
  if picked docs; then
    log=$work/log status=0
    MOPL_PORT=$(free_port) MOPL_DATA=$work/docs tests/docs.sh >"$log" 2>&1 || status=$?
    judge docs "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^not ok ' "$log" || true)" "$log"
  fi
  for source in tests/docs/*.test.js; do
    name=docs/$(basename "$source" .test.js)
    if picked "$name"; then node_test "$name" "$source"; fi
  done
fi

# How the released programs are built.
if wanted hardening && [ "$mode" = release ]; then
  log=$work/log status=0
  tests/hardening.sh "$build/bin" >"$log" 2>&1 || status=$?
  judge hardening "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^not ok ' "$log" || true)" "$log"
fi

# Every seed of the fuzzers, and some way beyond; make fuzz goes further.
if wanted fuzz && [ "$mode" = release ]; then
  log=$work/log status=0
  tests/fuzz/run.sh --short build/fuzz 20000 >"$log" 2>&1 || status=$?
  judge fuzz "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^FAILED ' "$log" || true)" "$log"
fi

# What the document of quality names must have run by now.
if [ "$whole" = yes ]; then
  log=$work/log status=0
  tests/quality.sh "$work/ran" >"$log" || status=$?
  judge quality "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^not ok ' "$log" || true)" "$log"
fi

for name in "${only[@]}"; do
  grep -qxF "$name" "$work/ran" 2>/dev/null || count "$name: there is no such test" 0 1 /dev/null
done

for report in "$work"/reports/*; do
  [ -e "$report" ] || continue
  count "$(basename "$report")" 0 1 "$report"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
