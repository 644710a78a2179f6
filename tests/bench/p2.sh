# P2: statements a read makes and transactions a write makes, of every operation of docs/openapi.yaml (p2.mjs).
# The workers, the bridge and autovacuum, whose statements and transactions would be counted too, are away meanwhile.
# shellcheck shell=bash

part_p2() {
  local name kind route statements transactions
  start small
  printf "ALTER SYSTEM SET %s;\n" "shared_preload_libraries = 'pg_stat_statements'" "autovacuum = off" "compute_query_id = on" | sql
  control restart postgres
  sql -c "CREATE EXTENSION IF NOT EXISTS pg_stat_statements" 2>&3
  for name in $(worker_names) sse_bridge-1; do stop "$name" TERM 20; done
  MOPL_TEST_BASE=$address MOPL_TEST_ADMIN_EMAIL=$MOPL_ADMIN_EMAIL MOPL_TEST_ADMIN_PASSWORD=$MOPL_ADMIN_PASSWORD \
    node tests/bench/p2.mjs "${as_service[@]}" "$pg_bin/psql" -XAtq -v ON_ERROR_STOP=1 -d "$MOPL_DATABASE_URL" >"$bench/p2.operations" 2>&3 ||
    { tail -n 5 "$bench/log" >&2; die "not every operation could be measured"; }
  sql -c "ALTER SYSTEM RESET ALL"
  stop_instance small
  figure "statements of a read, at most" "$(p2_most read 3)" "" '<=' 1 "$(grep -c '^read' "$bench/p2.operations") reads, their session's check apart"
  figure "transactions of a write, at most" "$(p2_most write 4)" "" '<=' 1 "$(grep -c '^write' "$bench/p2.operations") writes"
  while IFS=$'\t' read -r kind route statements transactions; do
    if [ "$kind" = read ]; then
      detail "$route" "$statements" statements '<=' 1 ""
    else
      detail "$route" "$transactions" transactions '<=' 1 "$statements statements"
    fi
  done < <(sort -s -k 1,1 "$bench/p2.operations")
}

p2_most() { awk -F '\t' -v kind="$1" -v column="$2" '$1 == kind && $column > most { most = $column } END { print most + 0 }' "$bench/p2.operations"; }  # KIND COLUMN
