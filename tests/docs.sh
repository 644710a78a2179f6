#!/usr/bin/env bash
# Follows README.md and docs/ops.md: runs their shell commands, as they stand there and in an order that makes sense, in an instance of
# MOPL_PORT and MOPL_DATA (neither may be in use). Only addresses, folders and the password are filled in; `make format analyze` is run dry.
# Prints "ok NAME" or "not ok NAME" with what it said, a step each; ends the instance, and leaves the rest to the caller.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${MOPL_PORT:?}" "${MOPL_DATA:?}"
for name in "${!MOPL_@}"; do
  case "$name" in MOPL_PORT | MOPL_DATA) ;; *) unset "$name" ;; esac
done
unset MAKEFLAGS MAKELEVEL
other=$MOPL_DATA.restored log=$MOPL_DATA.log password='' failed=0
mkdir "$MOPL_DATA.safe"
trap './mopl down; MOPL_DATA=$other ./mopl down' EXIT

block() {  # FILE NUMBER: the text of its nth block of shell commands, remarks taken off
  awk -v wanted="$2" '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$1" | sed -E 's/(^| +)# .*//'
}
readme() { block README.md "$1"; }
ops() { block docs/ops.md "$1"; }

fill() {
  sed -e "s|127\.0\.0\.1:8080|127.0.0.1:$MOPL_PORT|" -e "s|^password=\.\.\.$|password=$password|" -e "s|^make format|make -n format|" \
    -e "s|/safe/place|$MOPL_DATA.safe|; s|/new/folder|$other|; s|mopl-2026-01-31|mopl-$(date +%F)|"
}

step() {  # NAME COMMANDS [JQ]: they succeed, and the expression holds of the JSON lines they print, in an array
  if [ -n "$2" ] && bash -euo pipefail -c "$(fill <<<"$2")" >"$log" 2>&1 && { [ -z "${3:-}" ] || grep '^{' "$log" | jq -es "$3" >/dev/null; }; then
    echo "ok $1"
  else
    cat "$log"
    echo "not ok $1"
    failed=1
  fi
}

step 'mistakes in settings, before anything starts' '
  refuses() { status=0; said=$("$@" ./mopl up 2>&1) || status=$?; [ "$status" -eq 2 ]; }
  refuses env MOPL_PORT=0 MOPL_WORKERS=x
  grep "^MOPL_PORT:" <<<"$said" && grep "^MOPL_WORKERS:" <<<"$said"
  refuses env MOPL_WEB_ROOT=/none
  refuses env MOPL_LISTEN=no-such-host.invalid
  [ ! -e "$MOPL_DATA" ]'
step 'make run' "$(readme 1 | head -n 1)"
password=$(sed -n 's/^ *Password *//p' "$log")
step 'the page without a web client' "curl -sf http://127.0.0.1:8080/ | grep 'href=\"/docs/\"'"
step 'the first ten minutes' "$(readme 2)" '
  (.[0].data | length == 3) and (.[0] | .hasNext and .nextCursor != null and .totalCount > 9000) and
  (.[1].data | length == 3 and all(.type == "movie")) and
  .[2].rating == 4.5 and .[2].contentId == .[0].data[0].id and
  .[3].id == .[2].contentId and .[3].averageRating == 4.5 and .[3].reviewCount == 1 and
  .[4].title == "주말에 볼 것" and [.[4].contents[].id] == [.[3].id]'
step 'working on it' "$(readme 3)"
step 'mopl backup' "$(ops 1 | grep backup)"
step 'mopl down' "$(readme 1 | tail -n 1)"
step 'mopl restore' "$(ops 1 | grep -v backup)"
step 'what was restored' "$(readme 2 | sed '/^get .*id=/,$d'; echo 'get $api/playlists -d limit=1 -d sortBy=updatedAt -d sortDirection=DESCENDING')" '
  .[-1].data[0].title == "주말에 볼 것" and (.[-1].data[0].contents | length == 1)'
exit "$failed"
