# Sourced by run.sh: figures, the table on the terminal and docs/benchmarks.md.
# shellcheck shell=bash

# Notes a figure. RELATION and TARGET tell what is to be reached ("<=" 1.5), or are "" for what is only told. BASIS: the floors, or of what
# the figure is made. `detail` is the same for what only the document has.
figure() { note shown "$@"; }  # NAME VALUE UNIT RELATION TARGET BASIS
detail() { note detail "$@"; }

note() {  # WHERE NAME VALUE UNIT RELATION TARGET BASIS
  local where=$1
  shift
  local verdict=
  [ -z "$4" ] || verdict=$(awk -v value="$2" -v relation="$4" -v target="$5" \
    'BEGIN { print (relation == "<=" ? value <= target : value >= target) ? "met" : "MISSED" }')
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${part^^}" "$1" "$2" "$3" "${4:+$4 $5}" "$verdict" "$6" "$where" >>"$bench/figures"
  [ "$where" = detail ] || say "  $1: $2${3:+ $3}${verdict:+ ($verdict)}"
}

# Lines end with the terminal's; the document has them whole.
print_table() {
  local columns=1000
  [ ! -t 1 ] || columns=$(tput cols 2>/dev/null || echo 80)
  awk -F '\t' -v columns="$columns" '
    function line(part, name, value, target, verdict, basis) {
      print substr(sprintf("%-4s %-52s %18s  %-7s %-6s  %s", part, name, value, target, verdict, basis), 1, columns)
    }
    BEGIN { line("", "", "figure", "target", "", "made of") }
    $8 == "shown" { line($1 == last ? "" : $1, $2, $3 ($4 ? " " $4 : ""), $5, $6, $7); last = $1 }
    $8 == "shown" && $6 == "met" { met++ }
    $8 == "shown" && $6 == "MISSED" { missed++ }
    END { printf "%d targets met, %d missed\n", met, missed }
  ' "$bench/figures"
}

conditions() {
  local changed=
  git diff --quiet HEAD -- lib endpoints sql lighttpd scripts workers 2>/dev/null || changed=" with changes"
  printf 'Measured on %(%Y-%m-%d)T at commit %s%s: ' -1 "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$changed"
  printf '%s, %s processors, %s of memory, Linux %s, Debian %s; ' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d - -f 1)" "$(cat /etc/debian_version)"
  printf 'PostgreSQL %s, lighttpd %s, Redis %s, %s workers a responder. ' "$("$pg_bin/postgres" --version | awk '{ print $3 }')" \
    "$(lighttpd -v | sed -n 's/^lighttpd\/\([0-9.]*\).*/\1/p')" "$(redis-server --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')" "$MOPL_WORKERS"
  printf 'Load average when the run ended: %s.\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
}

section() {  # PART in capitals
  conditions
  printf '\n| Measure | Figure | Target | | Made of |\n|---|---:|---|---|---|\n'
  awk -F '\t' -v part="$1" '$1 == part { gsub(/\|/, "\\|"); printf "| %s | %s | %s | %s | %s |\n", $2, $3 ($4 ? " " $4 : ""), $5, $6, $7 }' "$bench/figures"
}

# What lies between "<!-- P1 -->" and "<!-- /P1 -->" is replaced by the new figures; a part without such a place gets one at the end.
write_document() {
  local name document=docs/benchmarks.md
  for name in "${parts[@]}"; do
    name=${name^^}
    grep -qx "<!-- $name -->" "$document" || printf '\n## %s\n\n<!-- %s -->\n<!-- /%s -->\n' "$name" "$name" "$name" >>"$document"
    section "$name" >"$bench/section"
    awk -v from="<!-- $name -->" -v to="<!-- /$name -->" -v section="$bench/section" '
      $0 == to { skipping = 0 }
      !skipping { print }
      $0 == from { skipping = 1; while ((getline text < section) > 0) print text }
    ' "$document" >"$bench/document"
    cat "$bench/document" >"$document"
  done
}
