# Sign-in: how long people who browse wait while others sign in, 50 a second, which is more than the machine can hash passwords; against
# how long they wait without. Both come at a fixed rate (visit.c); the two are measured in turn, and the figure is the median of the ratios.
# shellcheck shell=bash

signin_turns=5 signin_seconds=8 signin_pages=1000 signin_rate=50 signin_people=200

part_signin() {
  local turn alone
  export MOPL_RATE_LIMITS=on MOPL_LIMIT_REQUESTS_PER_MINUTE=1000000  # too many at a time are refused as in life; one person browses for all
  start p10
  signin_files
  rm -f "$bench/signin.turns"
  visit 2 64 "$signin_pages" "$bench/signin.pages" >&3
  for ((turn = 1; turn <= signin_turns; turn++)); do
    alone=$(visit "$signin_seconds" 64 "$signin_pages" "$bench/signin.pages")
    visit "$signin_seconds" 64 "$signin_pages" "$bench/signin.pages" 400 "$signin_rate" "$bench/signin.forms" 50 10 "$bench/signin.short" | paste -sd ' ' |
      sed "s/^/$alone /" >>"$bench/signin.turns"
    signin_settle
  done
  signin_figures
  sql -c "DELETE FROM users WHERE email LIKE 'signin-%@bench.example'"
  stop_instance p10
  unset MOPL_LIMIT_REQUESTS_PER_MINUTE
  export MOPL_RATE_LIMITS=off
}

visit() { "$project/build/release/tests/bench/visit" "$1" "127.0.0.1:$MOPL_PORT" "$token" "${@:2}" 2>&3 || die "visit: build/bench/log"; }

# Contents pages and details in turn; a short request to the responder that signs in; people whose password is the administrator's.
signin_files() {
  local page='limit=20&sortDirection=DESCENDING&sortBy'
  sql -c "SELECT unnest(ARRAY['/api/contents/' || id, '/api/contents?$page=' || CASE WHEN n % 2 = 0 THEN 'createdAt' ELSE 'rate&typeEqual=movie' END])
          FROM (SELECT id, row_number() OVER () AS n FROM contents ORDER BY md5(id::text) LIMIT 1000) c" >"$bench/signin.pages"
  echo /api/health/live >"$bench/signin.short"
  sql -c "INSERT INTO users (id, email, name, password_hash)
          SELECT gen_random_uuid(), 'signin-' || n || '@bench.example', 'Bench', (SELECT password_hash FROM users WHERE email = '$MOPL_ADMIN_EMAIL')
          FROM generate_series(1, $signin_people) n ON CONFLICT DO NOTHING"
  seq -f "/api/auth/sign-in username=signin-%.0f%%40bench.example&password=$(jq -rn --arg p "$MOPL_ADMIN_PASSWORD" '$p | @uri')" "$signin_people" \
    >"$bench/signin.forms"
}

# Until nobody is left who waits to sign in.
signin_settle() { await 30 curl -sf --noproxy '*' -m 1 -o /dev/null "$address/api/auth/csrf-token" || die "sign-in does not come to rest"; }

# Fields of a turn: eight of those who browse alone (visit.c), eight of those who browse beside, eight of who signs in, eight of short requests.
signin_median() { awk "{ print $1 }" "$bench/signin.turns" | median; }  # EXPRESSION

signin_figures() {
  local what
  figure "not answered of those who browse" "$(awk '{ n += $2 + $3 + $10 + $11 } END { print n + 0 }' "$bench/signin.turns")" "" '<=' 0 \
    "of $signin_pages a second, contents pages and details, with and without sign-ins"
  for what in '50 $4 $12' '95 $5 $13' '99 $6 $14'; do
    # shellcheck disable=SC2086
    set -- $what
    figure "p$1 of browsing, with $signin_rate sign-ins a second to without" "$(signin_median "$3 / $2" | xargs printf '%.2f')" "" "" "" \
      "$(calc '%.2f' 'us / 1000' us="$(signin_median "$3")") and $(calc '%.2f' 'us / 1000' us="$(signin_median "$2")") ms"
  done
  figure "sign-ins a second" "$(signin_median "\$17 / $signin_seconds" | xargs printf '%.1f')" "" "" "" \
    "refused $(signin_median "\$18 / $signin_seconds" | xargs printf '%.1f') a second, ended otherwise $(awk '{ n += $19 } END { print n + 0 }' "$bench/signin.turns"); p50 / p99 $(signin_ms '$20') / $(signin_ms '$22') ms, until a refusal $(signin_ms '$24') ms"
  figure "a short request to the same responder meanwhile: p99" "$(signin_ms '$30')" ms "" "" "p50 $(signin_ms '$28') ms"
}
signin_ms() { calc '%.0f' 'us / 1000' us="$(signin_median "$1")"; }  # EXPRESSION in µs
