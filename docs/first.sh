# Sourced (bash) for the first ten minutes of README.md and the examples of develop.md: people with their tokens, and curl for them.
# A second terminal that sources it knows the same people. `api` may be set before.
# shellcheck shell=bash
api=${api:-http://127.0.0.1:${MOPL_PORT:-8080}/api}
people=${TMPDIR:-/tmp}/mopl-people-$(id -u)
[ -d "$people" ] || mkdir -m 700 "$people"

sign_up() {  # NAME: a new account, its password made of the name; prints it, and signs in
  curl -s -w '\n' "$api/users" -H 'Content-Type: application/json' \
    -d "{\"name\":\"$1\",\"email\":\"$1@example.com\",\"password\":\"password of $1\"}"
  sign_in "$1" "$1@example.com" "password of $1"
}

sign_in() {  # NAME EMAIL PASSWORD: keeps the cookies (refresh and CSRF token) and the answer, which has the access token, for NAME
  curl -sf -c "$people/$1.jar" -o "$people/$1.json" "$api/auth/sign-in" --data-urlencode "username=$2" --data-urlencode "password=$3" ||
    echo "$1 cannot sign in" >&2
}

json_of() { grep -o "\"$1\":\"[^\"]*" "${@:2}" | head -n 1 | cut -d '"' -f 4; }  # MEMBER [FILE]: its first text in the JSON that comes in
token_of() { json_of accessToken "$people/$1.json"; }                          # NAME
id_of() { json_of id "$people/$1.json"; }

get() {  # NAME CURL ARGUMENTS...: a GET; -d are parameters
  curl -sG -w '\n' -H "Authorization: Bearer $(token_of "$1")" "${@:2}"
}

write() {  # NAME CURL ARGUMENTS...: a POST, or what -X says, with the CSRF token as cookie and as header
  curl -s -w '\n' -b "$people/$1.jar" -H "Authorization: Bearer $(token_of "$1")" \
    -H "X-XSRF-TOKEN: $(awk '$6 == "XSRF-TOKEN" { print $7 }' "$people/$1.jar")" -H 'Content-Type: application/json' "${@:2}"
}

listen() {  # NAME: the event stream, until interrupted
  curl -sN -H "Authorization: Bearer $(token_of "$1")" "$api/sse"
}

# Rooms: STOMP over SockJS; of SockJS' transports the one that curl can speak, an event stream with single posts beside it.
stomp() {  # NAME FRAME: sends a STOMP frame, its line ends written as \n, on the connection that `watch` has opened for NAME
  curl -sf -o "$people/answer" -H 'Content-Type: text/plain' --data-binary "[\"$2\\u0000\"]" \
    "${api%/api}/ws/000/$(<"$people/$1.room")/xhr_send"
}

watch() {  # NAME CONTENT-ID: goes into the room of a content and prints what happens there, until interrupted or `leave NAME`
  local line
  rm -f "$people/$1.in"
  echo "$RANDOM$RANDOM" >"$people/$1.room"
  (
    until stomp "$1" "CONNECT\naccept-version:1.2\nAuthorization:Bearer $(token_of "$1")\n\n"; do sleep 0.1; done
    stomp "$1" "SUBSCRIBE\nid:watch\ndestination:/sub/contents/$2/watch\n\n"
    stomp "$1" "SUBSCRIBE\nid:chat\ndestination:/sub/contents/$2/chat\n\n"
  ) &
  while IFS= read -r line; do
    case "$line" in *JOIN*"$(id_of "$1")"*) : >"$people/$1.in" ;; esac
    sed -n 's/\\"/"/g; s/^data: a\["MESSAGE.*\\n\\n\({.*}\)\\u0000"\].*/\1/p' <<<"$line"
  done < <(echo "$BASHPID" >"$people/$1.pid"; exec curl -sN "${api%/api}/ws/000/$(<"$people/$1.room")/eventsource")
}

say() {  # NAME CONTENT-ID TEXT: into the room that NAME is in, or is on the way into
  until [ -e "$people/$1.in" ]; do sleep 0.1; done
  stomp "$1" "SEND\ndestination:/pub/contents/$2/chat\n\n{\\\"content\\\":\\\"$3\\\"}"
}

leave() { kill "$(<"$people/$1.pid")"; }  # NAME
