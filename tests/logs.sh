#!/usr/bin/env bash
# Looks through the logs of an instance for what must never be there: secrets, mail addresses, tokens, and lines that are none.
# usage: tests/logs.sh FOLDER [SECRET...]     exit status 1 and the lines at fault if there are any
set -euo pipefail
cd "$1"
shift
found=0

never() {  # WHAT GREP-OPTIONS...
  local lines
  if lines=$(grep -aHn "${@:2}" -- *.log | cut -c 1-400); then
    printf '%s in the logs:\n%s\n' "$1" "$(head -n 20 <<<"$lines")"
    found=1
  fi
}

for secret; do [ -z "$secret" ] || never "a secret" -F -e "$secret"; done
never "a mail address" -E -e '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}'
never "a token" -E -e 'eyJ[A-Za-z0-9_-]{8,}|Bearer [A-Za-z0-9]|(REFRESH|XSRF)[-_]TOKEN='
never "a password" -iE -e 'password["=: ]+[^ ,}]*[A-Za-z0-9]{8}'
never "a control character" -P -e '[\x00-\x08\x0b-\x1f\x7f]'

# What the project's own programs say is one JSON object a line, with its time, level and event.
for log in *.log; do
  [ "$log" != access.log ] || continue
  if ! bad=$(sed -n '/^{/p' "$log" | jq -R -r 'select((try (fromjson | type == "object" and has("time") and has("level") and has("event")) catch false) | not)'); then
    bad="jq could not read it"
  fi
  if [ -n "$bad" ]; then
    printf 'lines of %s that are no events:\n%s\n' "$log" "$(head -n 20 <<<"$bad")"
    found=1
  fi
done
exit "$found"
