#!/usr/bin/env bash
# Looks through the sources for ways in which a text could become a part of a statement, a command or a question to the search engine. Statements
# themselves are guarded where they are prepared: lib/db_wire.h ends a process that brings one that is no constant of its program; here are
# the ways around that. Prints "ok RULE" or "not ok RULE" with the lines at fault.
# usage: tests/sql.sh [FOLDER]     FOLDER: other sources than the project's
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
failed=0

# Where PATTERN occurs (comments left out) and EXCEPT does not.
only() {  # RULE PATTERN EXCEPT FILES...
  local lines
  lines=$(grep -nHE -e "$2" -- "${@:4}" | grep -vE '^[^:]+:[0-9]+: *(/?\*|//|--|# )' | grep -vE -e "$3" || true)
  if [ -z "$lines" ]; then echo "ok $1"; else printf 'not ok %s\n%s\n' "$1" "$lines"; failed=1; fi
}

shopt -s nullglob
sources=({lib,endpoints,workers,batch,tools,sse-bridge}/*.[ch])

# mopl-migrate runs files of the project, one after another, and nothing else.
only "PostgreSQL is asked by those who look at the text, and by mopl-migrate" \
  '\bPQ(exec|sendQuery|prepare|sendPrepare)(Params)?\(' \
  '^tools/mopl-migrate\.c:|db_wire_(constant|text)\(|^lib/db\.c:[0-9]+: .*PQ(exec|sendQuery)(Params)?\((conn|db->conn), (sql\)|text, p->)' "${sources[@]}"
only "nothing is quoted by hand" '\bPQescape|quote_(literal|ident)' '^$' "${sources[@]}"
only "scripts are literals" '\bdb_script\(' 'db_script\([^,]*, "[^"]*"\)|^lib/db\.[ch]:' "${sources[@]}"
only "statements are not given another text" '(->|\.)sql *=[^=]' '^tools/mopl-migrate\.c:|\.sql = "|^$' "${sources[@]}"
only "no text is made that begins as a statement does" \
  '(buf_addf?|arena_printf|snprintf)\([^"]*"[^"]*\b(SELECT|INSERT INTO|UPDATE [a-z]|DELETE FROM|WITH [a-z]+ AS|LISTEN|SET [a-z])' '^$' "${sources[@]}"
only "functions of the database put no statement together" '\b[Ee][Xx][Ee][Cc][Uu][Tt][Ee]\b' 'EXECUTE FUNCTION' sql/*.sql sql/migrations/*.sql
only "Redis gets arguments, not lines" '\bredis(v?|Append|vAppend|Format|vFormat)Command\(' '^$' "${sources[@]}"
only "no shell is asked" '\b(system|popen|wordexp)\(|"(/bin/)?(ba)?sh"' '^$' "${sources[@]}"
only "scripts ask by constants" 'psql(_value "|.* -c "|.*<<<? *")[^"]*\$' 'psql_value\(\) ' mopl scripts/*.sh
exit "$failed"
