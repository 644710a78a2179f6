#!/usr/bin/env bash
# Follows README.md and the pages of docs: runs their shell commands, as they stand there and in an order that makes sense, in an instance of
# MOPL_PORT and MOPL_DATA (neither may be in use). Only addresses and folders are filled in; `make format analyze` is run dry. A block of
# commands that no step runs is an error, unless it says so itself (```sh not-run) or docs/develop.md has it, whose test is another one.
# Prints "ok NAME" or "not ok NAME" with what it said, a step each; ends the instance, and leaves the rest to the caller.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${MOPL_PORT:?}" "${MOPL_DATA:?}"
for name in "${!MOPL_@}"; do
  case "$name" in MOPL_PORT | MOPL_DATA) ;; *) unset "$name" ;; esac
done
unset MAKEFLAGS MAKELEVEL
other=$MOPL_DATA.restored log=$MOPL_DATA.log failed=0
mkdir "$MOPL_DATA.safe"
export TMPDIR=$MOPL_DATA.safe
trap './mopl down; MOPL_DATA=$other ./mopl down' EXIT

block() {  # FILE NUMBER: the text of its nth block of shell commands, remarks taken off
  echo "$1 $2" >>"$MOPL_DATA.ran"
  awk -v wanted="$2" '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$1" | sed -E 's/(^| +)# .*//'
}
readme() { block README.md "$1"; }
ops() { block docs/ops.md "$1"; }
requests() { block docs/ops/requests.md "$1"; }

fill() {
  sed -E -e "s|127\.0\.0\.1:8080|127.0.0.1:$MOPL_PORT|" -e "s|^make format|make -n format|" \
    -e "s|/safe/place|$MOPL_DATA.safe|; s|/new/folder|$other|; s|mopl-2026-01-31|mopl-$(date +%F)|" \
    -e "s#(^|[ >])var/#\1$MOPL_DATA/#g" -e "s#[\$]PWD/var#$MOPL_DATA#g"
}

step() {  # NAME COMMANDS [JQ]: they succeed, and the expression holds of the JSON lines they print, in an array
  if [ -n "$2" ] && timeout 300 bash -euo pipefail -c "$(fill <<<"$2")" >"$log" 2>&1 && { [ -z "${3:-}" ] || grep '^{' "$log" | jq -es "$3" >/dev/null; }; then
    echo "ok $1"
  else
    cat "$log"
    echo "not ok $1"
    failed=1
  fi
}

# What the first terminal says of the second: its commands run beside, until it has shown something.
second_terminal() {
  cat <<'EOT'
second=$(mktemp)
terminal() { bash -euo pipefail -c "$1" >"$second" 2>&1 & beside=$!; }
shown() { local end=$((SECONDS + 60)); until grep -q "$1" "$second"; do [ "$SECONDS" -lt "$end" ] || { cat "$second"; return 1; }; sleep 0.1; done; }
EOT
}

step 'mistakes in settings, before anything starts' '
  refuses() { status=0; said=$("$@" ./mopl up 2>&1) || status=$?; [ "$status" -eq 2 ]; }
  refuses env MOPL_PORT=0 MOPL_WORKERS=x
  grep "^MOPL_PORT:" <<<"$said" && grep "^MOPL_WORKERS:" <<<"$said"
  refuses env MOPL_WEB_ROOT=/none
  refuses env MOPL_LISTEN=no-such-host.invalid
  [ ! -e "$MOPL_DATA" ]'
step 'make run' "$(readme 1 | head -n 1)"
step 'the page without a web client' "curl -sf http://127.0.0.1:8080/ | grep 'href=\"/docs/\"'"
step 'the first ten minutes' "$(second_terminal)
$(readme 2)
terminal '$(readme 3)'
shown .
$(readme 4)
shown '^event: notifications'
kill \$beside
terminal '. docs/first.sh
$(readme 5)'
shown '\"type\":\"JOIN\".*minji'
$(readme 6)
shown '\"type\":\"JOIN\".*junho'
shown '같이 봐요!'
shown '\"type\":\"LEAVE\".*junho'
kill \$beside" '
  .[0].name == "minji" and .[1].email == "junho@example.com" and
  (.[2].data | length == 3) and (.[2] | .hasNext and .nextCursor != null and .totalCount > 9000) and
  (.[3].data | length == 3 and all(.type == "movie")) and
  .[4].rating == 4.5 and .[4].contentId == .[2].data[0].id and
  .[5].id == .[4].contentId and .[5].averageRating == 4.5 and .[5].reviewCount == 1 and
  .[6].title == "주말에 볼 것" and [.[6].contents[].id] == [.[5].id] and
  .[7].followeeId == .[0].id and .[7].followerId == .[1].id and
  ([.[] | select(.data? and .sortDirection == "ASCENDING") | .data[].watcher.name] | sort == ["junho", "minji"])'
step 'working on it' "$(readme 7)"
step 'following one request' "$(requests 1)
$(requests 2)
$(requests 3)
$(requests 4)
$(requests 5)
$(requests 6)"
step 'mopl backup' "$(ops 1 | grep backup)"
step 'mopl down' "$(readme 1 | tail -n 1)"
step 'mopl restore' "$(ops 1 | grep -v backup)"
step 'what was restored' '. docs/first.sh
sign_in minji minji@example.com "password of minji"
get minji $api/playlists -d limit=1 -d sortBy=updatedAt -d sortDirection=DESCENDING' '
  .[-1].data[0].title == "주말에 볼 것" and (.[-1].data[0].contents | length == 1)'
step 'every block of commands was run, or says that it is not' '
  find README.md docs -name "*.md" ! -path docs/develop.md | while read -r file; do
    n=$(grep -c "^\`\`\`sh$" "$file" || true)
    for i in $(seq "$n"); do grep -qx "$file $i" "$MOPL_DATA.ran" || { echo "$file: block $i of commands"; exit 1; }; done
  done'
exit "$failed"
