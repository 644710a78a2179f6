# P3: what a page costs in the large set against the small one: first, 10th, 100th and 1,000th page by cursor, every sort key and direction,
# with and without a type filter.
# shellcheck shell=bash

p3_passes=7 p3_rounds=60 p3_pages=1,10,100,1000

part_p3() {
  local small large name list page ratio
  start small
  p3_lists >"$bench/p3.small"
  small=("${address#http://}" "$token")
  start large
  p3_lists >"$bench/p3.large"
  large=("${address#http://}" "$token")
  paste <(cut -f 3 "$bench/p3.small") <(cut -f 3 "$bench/p3.large") |
    build/release/tests/bench/pages "$p3_passes" "$p3_rounds" "$p3_pages" "${small[@]}" "${large[@]}" >"$bench/p3.pages"
  stop_instance large
  stop_instance small
  # Each of the lists again for each of its pages, beside what was measured.
  awk '{ for (i = 0; i < pages; i++) print }' pages="$(tr , '\n' <<<"$p3_pages" | wc -l)" "$bench/p3.small" | cut -f 1,2 |
    paste - "$bench/p3.pages" >"$bench/p3.ratios"
  while read -r list; do
    p3_figure figure "page of $list, large to small: the worst" "$(awk -F '\t' -v list="$list" '$1 == list' "$bench/p3.ratios")" \
      "$(awk -F '\t' -v list="$list" '$1 == list { print $8 }' "$bench/p3.ratios" | median) the median of all pages"
  done < <(cut -f 1 "$bench/p3.ratios" | awk '!seen[$0]++')
  while read -r name; do
    p3_figure detail "$name" "$(awk -F '\t' -v name="$name" '$2 == name' "$bench/p3.ratios")" "$(p3_pages_of "$name")"
  done < <(cut -f 2 "$bench/p3.ratios" | uniq)
}

# Every list of the instance in every order: a group, a name, its path.
p3_lists() {
  local sort direction type content
  content=$(sql -c "SELECT id FROM contents ORDER BY review_count DESC LIMIT 1")
  for direction in DESCENDING ASCENDING; do
    local page="limit=20&sortDirection=$direction&sortBy"
    for sort in createdAt watcherCount rate; do
      printf '%s\t%s\t%s\n' "contents" "contents by $sort, ${direction,,}" "/api/contents?$page=$sort"
      for type in movie sport; do
        printf '%s\t%s\t%s\n' "contents of a type" "contents of type $type by $sort, ${direction,,}" "/api/contents?$page=$sort&typeEqual=$type"
      done
    done
    for sort in createdAt rating; do
      printf '%s\t%s\t%s\n' "reviews" "reviews by $sort, ${direction,,}" "/api/reviews?$page=$sort&contentId=$content"
    done
    for sort in updatedAt subscribeCount; do
      printf '%s\t%s\t%s\n' "playlists" "playlists by $sort, ${direction,,}" "/api/playlists?$page=$sort"
    done
  done
}

p3_figure() {  # figure|detail NAME LINES BASIS
  "$1" "$2" "$(awk -F '\t' '$8 > worst { worst = $8 } END { printf "%.2f", worst }' <<<"$3")" "" '<=' 1.5 "$4"
}

p3_pages_of() {  # NAME
  awk -F '\t' -v name="$1" '
    $2 == name { printf "%spage %s: %.2f%s", separator, $3, $8, $4 == $3 ? "" : " (to page " $4 ")"; separator = ", "; us = us ? us : $5 }
    END { printf "; first page of the small set %d µs\n", us }' "$bench/p3.ratios"
}
