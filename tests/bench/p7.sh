# P7: memory of everything at rest, right after the start.
# shellcheck shell=bash

part_p7() {
  start p10
  sleep 2
  memory >"$bench/p7.memory"
  local basis
  basis=$(awk '$1 !~ /^(postgres|redis|lighttpd)$/ { print $1, $2 }' "$bench/p7.memory" | sort | paste -sd , | sed 's/,/, /g')
  figure "responders and workers, PSS" "$(awk '$1 !~ /^(postgres|redis|lighttpd)$/ { mb += $2 } END { print mb }' "$bench/p7.memory")" MB '<=' 150 "$basis"
  figure "beside them: lighttpd, Redis, PostgreSQL" "$(awk '$1 ~ /^(postgres|redis|lighttpd)$/ { mb += $2 } END { print mb }' "$bench/p7.memory")" MB "" "" \
    "$(awk '$1 ~ /^(postgres|redis|lighttpd)$/ { print $1, $2 }' "$bench/p7.memory" | sort | paste -sd , | sed 's/,/, /g')"
  stop_instance p10
}
