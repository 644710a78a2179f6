# P10: processor time of a request, of all processes of the server together, with 16 connections; and their memory after that. The paths
# vary, so that it is not one row that is asked for over and over. The empty responder's time is the floor.
# shellcheck shell=bash

p10_turns=5 p10_seconds=3

part_p10() {
  start p10
  p10_paths
  p10_route created "contents page by createdAt" 0.25
  p10_route rate "contents page by rate, one type" 0.25
  p10_route detail "content detail" 0.12
  p10_route reviews "reviews page" 0.25
  p10_route keyword "keyword page" 1
  p10_memory
  stop_instance p10
  with_programs=$(programs_with_floor) start p10
  echo "$floor_path" >"$bench/p10.floor"
  p10_route floor "floor: empty responder" ""
  stop_instance p10
}

# Keywords are words of titles as they come: some are in one title, some in hundreds.
p10_paths() {
  local page='limit=20&sortDirection=DESCENDING&sortBy'
  echo "/api/contents?$page=createdAt" >"$bench/p10.created"
  printf '%s\n' "/api/contents?$page=rate&typeEqual="{movie,sport,tvSeries} >"$bench/p10.rate"
  sql -c "SELECT '/api/contents/' || id FROM contents ORDER BY md5(id::text) LIMIT 1000" >"$bench/p10.detail"
  sql -c "SELECT '/api/reviews?$page=createdAt&contentId=' || id FROM contents WHERE review_count >= 20 ORDER BY md5(id::text) LIMIT 1000" \
    >"$bench/p10.reviews"
  sql -c "SELECT '/api/contents?$page=createdAt&keywordLike=' || word
          FROM (SELECT DISTINCT ON (id) id, word FROM contents, regexp_split_to_table(title, '[^A-Za-z]+') AS word
                WHERE length(word) >= 4 ORDER BY id, md5(word)) w ORDER BY md5(id::text) LIMIT 500" >"$bench/p10.keyword"
}

p10_route() {  # FILE NAME TARGET
  local turn requests
  rm -f "$bench/p10.turns"
  load 1 "@$bench/p10.$1" >&3
  for ((turn = 1; turn <= p10_turns; turn++)); do
    processor_ms | sed 's/^/before /' >"$bench/p10.ms"
    requests=$(load "$p10_seconds" "@$bench/p10.$1" | cut -d ' ' -f 1)
    processor_ms | sed 's/^/after /' >>"$bench/p10.ms"
    awk -v turn="$turn" -v requests="$requests" '
      $1 == "before" { ms[$2] -= $3 } $1 == "after" { ms[$2] += $3 }
      END { for (s in ms) print turn, s, ms[s] / requests }' "$bench/p10.ms" >>"$bench/p10.turns"
    printf '%s requests %s\n' "$turn" "$(calc %d 'n / t' n="$requests" t="$p10_seconds")" >>"$bench/p10.turns"
  done
  figure "$2" "$(awk '$2 != "requests" { ms[$1] += $3 } END { for (t in ms) print ms[t] }' "$bench/p10.turns" | median | xargs printf '%.3f')" ms \
    "${3:+<=}" "$3" "$(p10_shares)"
}

# Who had how much of it, on the average of all turns; what has next to nothing is left out.
p10_shares() {
  awk -v turns="$p10_turns" '
    $2 == "requests" { n += $3 / turns; next }
    { ms[$2] += $3 / turns }
    END { for (s in ms) if (ms[s] >= 0.001) printf "%.3f %s\n", ms[s], s; printf "0 %d requests a second\n", n }
  ' "$bench/p10.turns" | sort -rn | awk '{ part = $1 + 0 ? $2 " " $1 : $2 " " $3 " " $4 " " $5; printf "%s%s", separator, part; separator = ", " } END { print "" }'
}

p10_memory() {
  memory >"$bench/p10.memory"
  figure "memory of all but PostgreSQL, PSS" "$(awk '$1 != "postgres" { mb += $2 } END { print mb }' "$bench/p10.memory")" MB '<=' 150 \
    "$(sort -k 2 -rn "$bench/p10.memory" | awk '{ printf "%s%s %s", separator, $1, $2; separator = ", " }')"
}
