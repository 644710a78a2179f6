# P3: what a page costs in the large set against the small one: first, 10th, 100th and 1,000th page by cursor, every sort key and direction, with
# and without a type filter. The pages of both are asked for in turn, over one connection each; times are medians.
# shellcheck shell=bash

p3_rounds=300 p3_pages=1,10,100,1000

part_p3() {
  local sort direction filter='' small_content large_content list
  start small
  small_content=$(p3_most_reviewed)
  local small=("${address#http://}" "$token")
  start large
  large_content=$(p3_most_reviewed)
  local large=("${address#http://}" "$token")
  : >"$bench/p3.lists"
  for direction in DESCENDING ASCENDING; do
    for sort in createdAt watcherCount rate; do
      p3_compare "contents" "$sort" "/api/contents?limit=20"
      for filter in movie sport; do
        p3_compare "contents of one type" "$sort" "/api/contents?limit=20&typeEqual=$filter"
      done
      filter=
    done
    for sort in createdAt rating; do p3_compare "reviews" "$sort" "/api/reviews?limit=20" "&contentId=$small_content" "&contentId=$large_content"; done
    for sort in updatedAt subscribeCount; do p3_compare "playlists" "$sort" "/api/playlists?limit=20"; done
  done
  stop_instance large
  stop_instance small
  while read -r list; do
    figure "page of $list, large to small, the worst" "$(awk -F '\t' -v list="$list" '$1 == list && $2 > worst { worst = $2 } END { print worst }' "$bench/p3.lists")" "" \
      '<=' 1.5 "$(awk -F '\t' -v list="$list" '$1 == list { print $2 }' "$bench/p3.lists" | median) the median of all pages"
  done < <(cut -f 1 "$bench/p3.lists" | uniq | awk '!seen[$0]++')
}

p3_most_reviewed() { sql -c "SELECT id FROM contents ORDER BY review_count DESC LIMIT 1"; }

# All pages of a list in one order, given by `sort`, `direction` and `filter`.
p3_compare() {  # LIST SORT PATH SMALL_END LARGE_END
  local page small_page small_us large_us ratio worst=0 pages='' first_us='' path="$3&sortBy=$2&sortDirection=$direction"
  while IFS=$'\t' read -r page small_page small_us _ large_us; do
    ratio=$(calc %.2f 'l / s' l="$large_us" s="$small_us")
    printf '%s\t%s\n' "$1" "$ratio" >>"$bench/p3.lists"
    worst=$(calc %.2f 'r > w ? r : w' r="$ratio" w="$worst")
    pages+="${pages:+, }page $page: $ratio"
    [ "$small_page" = "$page" ] || pages+=" (to page $small_page)"
    first_us=${first_us:-$small_us}
  done < <(build/release/tests/bench/pages "$p3_rounds" "$p3_pages" "${small[@]}" "$path${4:-}" "${large[@]}" "$path${5:-}")
  [ -n "$first_us" ] || die "$1 could not be measured"
  detail "$1 by $2, ${direction,,}${filter:+, $filter}" "$worst" "" '<=' 1.5 "$pages; first page of the small set $(calc %d us us="$first_us") µs"
}
