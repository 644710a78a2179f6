# P4: how long a search takes in the large set, on Elasticsearch and on PostgreSQL: two-character Korean keywords that few, some and many rows
# have, newest first and best rated first, each page with its exact total, one request at a time.
# shellcheck shell=bash

p4_requests=200 p4_engine=

part_p4() {
  p4_start_engine
  export MOPL_ELASTICSEARCH_URL=http://127.0.0.1:$p4_port MOPL_ELASTICSEARCH_TIMEOUT_MS=10000
  start large
  p4_keywords
  p4_fill
  p4_measure Elasticsearch 50
  stop_instance large
  unset MOPL_ELASTICSEARCH_URL MOPL_ELASTICSEARCH_TIMEOUT_MS
  p4_stop_engine
  start large
  p4_measure PostgreSQL 150
  stop_instance large
}

# An engine of its own, so that the other parts do without. Its index stays for the next run with the same data.
p4_start_engine() {
  local folder=$bench/search
  [ "$scale" -eq 1 ] || folder+=-$scale
  "$project/scripts/search.sh" install >&3 2>&1 || die "the search engine's programs could not be fetched: build/bench/log"
  p4_port=$(free_port)
  if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$(set_name=large data_stamp)" ]; then rm -rf "$folder"; fi
  mkdir -p "$folder"
  set_name=large data_stamp >"$folder/stamp"
  SEARCH_HEAP=1g setsid "$project/scripts/search.sh" run "$folder" "$p4_port" >"$folder/log" 2>&1 3>&- 4>&- &
  p4_engine=$!
  trap 'p4_stop_engine; stop_all_instances' EXIT
  await 120 grep -q 'Search node started' "$folder/log" || die "the search engine does not start: $folder/log"
}

p4_stop_engine() {
  [ -n "$p4_engine" ] || return 0
  kill "$p4_engine" 2>/dev/null || true
  wait "$p4_engine" 2>/dev/null || true
  p4_engine=
}

# The instance has begun to fill an empty engine by itself; this waits for that run, or makes one.
p4_fill() {
  local began=$EPOCHREALTIME
  say "large: filling the search engine, unless it is full"
  p4_reindex --if-missing || die "the indices cannot be built: build/bench/log"
  say "large: full after $(seconds_since "$began") s"
}

# Exit status 75: it is running already.
p4_reindex() {  # ARGUMENTS...
  local status
  while :; do
    status=0
    control batch reindex "$@" || status=$?
    [ "$status" -eq 75 ] || return "$status"
    sleep 1
  done
}

# Words of two syllables out of the descriptions of one round of the catalogue, by how many of its rows have them.
p4_keywords() {
  sql -c "WITH round AS MATERIALIZED (SELECT id, description FROM contents ORDER BY created_at DESC LIMIT 9709),
          words AS (SELECT word, count(DISTINCT id) AS n FROM round, regexp_split_to_table(description, '[^가-힣]+') AS word
                    WHERE char_length(word) = 2 GROUP BY word),
          total AS (SELECT count(*) AS n FROM round)
          SELECT CASE WHEN w.n < t.n * 0.01 THEN 'ordinary' WHEN w.n < t.n * 0.1 THEN 'frequent' ELSE 'everywhere' END, word
          FROM words w, total t WHERE w.n >= t.n * 0.0005 ORDER BY md5(word)" -F ' ' >"$bench/p4.keywords"
}

p4_measure() {  # ENGINE TARGET
  local kind sort name
  for kind in ordinary frequent everywhere; do
    for sort in createdAt rate; do
      name="$1, keyword $(p4_meaning "$kind"), by $sort: p95"
      p4_times "$kind" "$sort" >"$bench/p4.times"
      [ -s "$bench/p4.times" ] || continue
      if [ "$kind" = ordinary ]; then
        figure "$name" "$(p4_quantile 0.95)" ms '<=' "$2" "$(p4_basis)"
      else
        figure "$name" "$(p4_quantile 0.95)" ms "" "" "$(p4_basis)"
      fi
    done
  done
}

p4_meaning() {
  case "$1" in
    ordinary) echo "of 0.05 to 1 % of the rows" ;;
    frequent) echo "of 1 to 10 %" ;;
    everywhere) echo "of more" ;;
  esac
}

# Milliseconds, a line a request, after one round to warm up.
p4_times() {  # KIND SORT
  awk -v kind="$1" '$1 == kind && n++ < 40 { print $2 }' "$bench/p4.keywords" | jq -rR @uri >"$bench/p4.words"
  [ -s "$bench/p4.words" ] || return 0
  p4_ask "$2" "$(wc -l <"$bench/p4.words")" >/dev/null
  p4_ask "$2" "$p4_requests"
}

p4_ask() {  # SORT REQUESTS
  awk -v wanted="$2" '{ word[NR] = $0 } END { for (i = 0; i < wanted; i++) print word[i % NR + 1] }' "$bench/p4.words" |
    sed "s|.*|url = \"$address/api/contents?limit=20\&sortDirection=DESCENDING\&sortBy=$1\&keywordLike=&\"\noutput = /dev/null|" |
    curl -sS --noproxy '*' --fail -H "Authorization: Bearer $token" -w '%{time_total}\n' -K - | awk '{ print $1 * 1000 }'
}

p4_quantile() { sort -n "$bench/p4.times" | awk -v q="$1" '{ v[NR] = $1 } END { printf "%.1f", v[int((NR - 1) * q) + 1] }'; }
p4_basis() { echo "median $(p4_quantile 0.5) ms; $(wc -l <"$bench/p4.words") keywords, $(wc -l <"$bench/p4.times") requests"; }
