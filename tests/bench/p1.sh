# P1: requests a second of real routes against what the front server and the statement alone would allow.
# Empty responder, statement and route are measured in turn, several times; the figure is the median of the turns' ratios.
# shellcheck shell=bash

p1_turns=5 p1_seconds=3

# name, path, responder, statement, its values
p1_routes() {
  local user content most=ffffffff-ffff-ffff-ffff-ffffffffffff
  user=$(sql -c "SELECT id FROM users WHERE email = '$MOPL_ADMIN_EMAIL'")
  content=$(sql -c "SELECT id FROM contents ORDER BY created_at, id LIMIT 1")
  local page='limit=20&sortDirection=DESCENDING&sortBy'
  cat <<EOT
contents page of 20	/api/contents?$page=createdAt	contents	contents_all_created_desc	infinity $most 21
contents page of 20 by rate and type	/api/contents?$page=rate&typeEqual=movie	contents	contents_type_rate_desc	Infinity $most 21 movie
content detail	/api/contents/$content	contents	contents_get	$content
reviews page of 20	/api/reviews?contentId=$content&$page=createdAt	reviews	reviews_of_content_created_desc	infinity $most 21 $content
playlists page of 20	/api/playlists?$page=updatedAt	playlists	playlists_all_updated_desc	infinity $most 21 $user
notifications page of 20	/api/notifications?$page=createdAt	notifications	notifications_desc	infinity $most 21 $user
EOT
}

part_p1() {
  local turn name path responder statement values floor requests transactions ratio
  with_programs=$(programs_with_floor) start large
  rm -f "$bench"/p1.*
  get "$floor_path" >&3
  while IFS=$'\t' read -r name path responder statement values; do get "$path" >&3; done < <(p1_routes)
  for ((turn = 0; turn < p1_turns; turn++)); do
    floor=$(load "$p1_seconds" "$floor_path" | cut -d ' ' -f 2)
    echo "$floor" >>"$bench/p1.floor"
    while IFS=$'\t' read -r name path responder statement values; do
      # shellcheck disable=SC2086
      transactions=$(transactions "$p1_seconds" "$responder" "$statement" $values)
      requests=$(load "$p1_seconds" "$path" | cut -d ' ' -f 2)
      ratio=$(calc %.3f 'r / (1 / (1 / f + 1 / s))' r="$requests" f="$floor" s="$transactions")
      printf '%s\t%s\t%s\t%s\n' "$name" "$ratio" "$requests" "$transactions" >>"$bench/p1.routes"
    done < <(p1_routes)
  done
  floor=$(median <"$bench/p1.floor")
  while IFS=$'\t' read -r name _; do
    ratio=$(p1_median "$name" 2) requests=$(p1_median "$name" 3) transactions=$(p1_median "$name" 4)
    figure "$name" "$ratio" "" '>=' 0.75 "R $(calc %d r r="$requests"), F $(calc %d f f="$floor"), S $(calc %d s s="$transactions") a second"
  done < <(p1_routes)
  stop_instance large
}

p1_median() { awk -F '\t' -v name="$1" -v column="$2" '$1 == name { print $column }' "$bench/p1.routes" | median; }  # NAME COLUMN
