# Sourced by run.sh: the instances that are measured, their data, and what all parts use to measure and to report.
# shellcheck shell=bash

# Sets of data: people, contents, reviews, playlists, most tags of a content.
declare -A sets=(
  [small]="2000 10000 50000 10000 10"
  [large]="$((200000 / scale)) $((1000000 / scale)) $((5000000 / scale)) $((1000000 / scale)) 10"
  [p10]="2000 20000 40000 10000 3"
)
bench=$project/build/bench

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*" >&2; }
die() { printf 'bench: %s\n' "$*" >&2; exit 1; }

# What runs on is not to hold the lock of this run.
control() { ./mopl "$@" >&3 2>&1 4>&-; }

# The instance of a set becomes the one that the other functions speak of.
use() {  # SET
  set_name=$1
  export MOPL_DATA=$bench/$1
  [ "$1" != large ] || [ "$scale" -eq 1 ] || MOPL_DATA+=-$scale
  export MOPL_PORT=${ports[$1]:-}
  run=$MOPL_DATA/run
  load_settings
}

declare -A ports=() up=()
free_port() {
  local port
  for ((port = 20000 + RANDOM % 10000; ; port++)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

# With the set's data, made first if they are not there. `with_programs=FOLDER start SET` runs those of another folder.
start() {  # SET
  [ -n "${ports[$1]:-}" ] || ports[$1]=$(free_port)
  use "$1"
  [ -n "${up[$1]:-}" ] || control down  # what an interrupted run has left
  up[$1]=yes
  have_data || make_data
  MOPL_BIN=${with_programs:-$bin} control up || die "the instance of $1 does not start: build/bench/log"
  use "$1"
  sign_in
}

stop_instance() {  # SET
  use "$1"
  control down
  unset "up[$1]"
}

stop_all_instances() {
  local name
  for name in "${!up[@]}"; do stop_instance "$name" || true; done
}

# Which data they are: another schema or another generator makes others.
data_stamp() { { echo "${sets[$set_name]}"; cat sql/migrations/*.sql tests/bench/*.sql; } | sha256sum | cut -c 1-16; }
have_data() { [ "$(cat "$MOPL_DATA/data.stamp" 2>/dev/null)" = "$(data_stamp)" ]; }

sql() { "${as_service[@]}" "$pg_bin/psql" -XAtq -v ON_ERROR_STOP=1 -d "$MOPL_DATABASE_URL" "$@"; }

# While the tables fill, nothing needs to survive a crash: an unfinished set is made anew.
loading_settings=(fsync=off wal_level=minimal max_wal_senders=0 max_wal_size=16GB checkpoint_timeout=1h autovacuum=off max_parallel_maintenance_workers=1)

make_data() {
  local users contents reviews playlists tags began=$EPOCHREALTIME setting
  read -r users contents reviews playlists tags <<<"${sets[$set_name]}"
  say "$set_name: making $contents contents, $reviews reviews, $playlists playlists of $users people"
  control down || true
  rm -rf "$MOPL_DATA"
  control up && control batch import-catalogue || die "the catalogue cannot be imported: build/bench/log"
  for setting in "${loading_settings[@]}"; do echo "ALTER SYSTEM SET ${setting%%=*} = '${setting#*=}';"; done | sql
  control restart postgres
  sql -v users="$users" -v contents="$contents" -v reviews="$reviews" -v playlists="$playlists" -v tags="$tags" \
    -f - <tests/bench/data.sql >&3 2>&1 || die "the data cannot be made: build/bench/log"
  say "$set_name: building indexes"
  # The index of the contents' n-grams takes as long as all others together, and two processors make two lots.
  sql -v tables=content_search -f - <tests/bench/index.sql >&3 2>&1 &
  sql -v tables="users reviews contents playlists playlist_search playlist_contents playlist_subscriptions follows notifications" -f - \
    <tests/bench/index.sql >&3 2>&1 || die "an index cannot be built: build/bench/log"
  wait "$!" || die "an index cannot be built: build/bench/log"
  sql -c "ALTER SYSTEM RESET ALL"
  control down
  sync -f "$MOPL_DATA"
  data_stamp | "${as_service[@]}" tee "$MOPL_DATA/data.stamp" >/dev/null
  say "$set_name: made in $(seconds_since "$began") s"
}

# With the programs as built, but the responder of the watching sessions does nothing: the floor of all others.
programs_with_floor() {  # prints their folder
  local file folder=$bench/programs
  rm -rf "$folder" && mkdir -p "$folder"
  for file in "$bin"/*; do ln -s "$file" "$folder/"; done
  ln -sf "$project/build/release/tests/bench/empty" "$folder/watching_sessions"
  echo "$folder"
}
floor_path=/api/users/none/watching-sessions

# Asking

token=
sign_in() {
  token=$(curl -sS --noproxy '*' --data-urlencode "username=$MOPL_ADMIN_EMAIL" --data-urlencode "password=$MOPL_ADMIN_PASSWORD" \
    "$address/api/auth/sign-in" | jq -r .accessToken)
  [ -n "$token" ] && [ "$token" != null ] || die "the administrator cannot sign in"
}

get() { curl -sS --noproxy '*' --fail-with-body -H "Authorization: Bearer $token" "$address$1"; }  # PATH

connections=16

# Keeps `connections` busy; prints the number of requests, and those of a second. Any answer but 2xx is the end.
load() {  # SECONDS PATH | SECONDS @FILE (a path a line, taken in turn)
  local output arguments=("$address$2")
  [[ $2 != @* ]] || arguments=(-s tests/bench/turns.lua "$address" -- "${2#@}")
  output=$(wrk -t 1 -c "$connections" -d "$1" -H "Authorization: Bearer $token" -H 'Cookie: XSRF-TOKEN=bench' "${arguments[@]}")
  ! grep -E 'Non-2xx|Socket errors' <<<"$output" >&2 || die "$2 is not answered as it should be"
  awk '/ requests in / { n = $1 } /^Requests\/sec/ { print n, $2 }' <<<"$output"
}

# The text of a statement as pgbench takes it: parameters :p1, :p2. It would take a colon within a string for another one's sign.
statement() {  # RESPONDER NAME
  "$bin/$1" --sql | awk -v name="$2" '
    $1 == "PREPARE" && $2 == name {
      sub(/^PREPARE [^ ]+ AS /, ""); sub(/;$/, "")
      n = split($0, piece, "\x27")
      for (i = 1; i <= n; i++) {
        if (i % 2 == 0) { coloned = gsub(/:/, "\\003A", piece[i]); text = text (coloned ? "U&" : "") "\x27" piece[i] "\x27" }
        else { gsub(/\$/, ":p", piece[i]); text = text piece[i] }
      }
      print text
    }' | grep . || die "$1 has no statement $2"
}

# Transactions a second of a responder's statement by as many connections as it has workers, planned as it plans.
transactions() {  # SECONDS RESPONDER STATEMENT VALUES...
  local i=0 value definitions=()
  for value in "${@:4}"; do definitions+=(-D "p$((++i))=$value"); done
  statement "$2" "$3" >"$bench/statement.sql"
  PGOPTIONS='-c plan_cache_mode=force_generic_plan -c jit=off' "${as_service[@]}" "$pg_bin/pgbench" -n -M prepared -c "$MOPL_WORKERS" -j 1 -T "$1" \
    "${definitions[@]}" -f /dev/stdin -h "$run" -U mopl mopl <"$bench/statement.sql" 2>&3 | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

# Measuring

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

calc() {  # FORMAT EXPRESSION NAME=VALUE...
  local format=$1 expression=$2 given=() pair
  for pair in "${@:3}"; do given+=(-v "$pair"); done
  awk "${given[@]}" "BEGIN { printf \"$format\", ($expression) }"
}

# Processes of the instance: pid and service, each with everything below it.
processes() {
  local file
  for file in "$run"/*.pid; do
    [ -r "$file" ] || continue
    printf '%s %s\n' "$(cat "$file")" "$(basename "$file" .pid)"
  done | awk '
    NR == FNR { service[$1] = $2; next }
    { parent[$1] = $2 }
    END {
      for (p in parent) { q = p; while (q > 1 && !(q in service)) q = parent[q]; if (q in service) print p, service[q] }
    }' - <(ps -eo pid=,ppid=)
}

# Processor time so far of all processes of the instance, and of their children that have ended: a line a service, in ms.
processor_ms() {
  local tick=$((1000 / $(getconf CLK_TCK)))
  processes | while read -r pid service; do
    if read -r line 2>/dev/null <"/proc/$pid/stat"; then echo "$service ${line##*) }"; fi
  done | awk -v tick="$tick" '{ ms[$1] += ($13 + $14 + $15 + $16) * tick } END { for (s in ms) print s, ms[s] }'
}

# Memory of the instance by service, in MB, each page shared out among those who share it.
memory() {
  processes | while read -r pid service; do
    awk -v service="$service" '/^Pss:/ { print service, $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true
  done | awk '{ kb[$1] += $2 } END { for (s in kb) printf "%s %.1f\n", s, kb[s] / 1024 }'
}
