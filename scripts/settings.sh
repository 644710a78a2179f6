# Sourced by mopl: where the programs and data are, the settings, and as whom services run.
# shellcheck shell=bash

bin=$(realpath -m "${MOPL_BIN:-$programs}")
export -n MOPL_BIN
# The default folder belongs to the project, wherever mopl is called from. Other relative names are the caller's. The settings of an
# installed MOPL's own instance are where settings are looked for.
export MOPL_DATA=${MOPL_DATA:-$default_data}
MOPL_DATA=$(realpath -ms "$MOPL_DATA")
if [ "$MOPL_DATA" = "$default_data" ] && [ "$default_settings" != "$MOPL_DATA/settings.env" ]; then
  export MOPL_SETTINGS=${MOPL_SETTINGS:-$default_settings}
fi
[ -z "${MOPL_SETTINGS:-}" ] || MOPL_SETTINGS=$(realpath -ms "$MOPL_SETTINGS")
run=$MOPL_DATA/run
first_start=

find_program() { [ -x "$bin/$1" ] || die "$bin/$1 is missing: build first (make)"; }

# The settings as shell variables. They are not exported: the programs read settings.env themselves, so that a restart takes its changes.
load_settings() {
  local exported
  check_owner
  find_program mopl-conf
  exported=$("$bin/mopl-conf" --export) || exit 2
  eval "$exported"
  run=$MOPL_DATA/run
  cd "$project" || exit
  choose_user
  case "$MOPL_LISTEN" in
    0.0.0.0) host=127.0.0.1 ;;
    :: | ::1) host='[::1]' ;;
    *:*) host="[$MOPL_LISTEN]" ;;
    *) host=$MOPL_LISTEN ;;
  esac
  address=http${MOPL_TLS_CERTIFICATE:+s}://$host:$MOPL_PORT
  web_root=${MOPL_WEB_ROOT:-$project/lighttpd/site}
}

# What was set in the environment of `mopl up` holds for what runs, unless this command's environment says otherwise.
adopt_environment() {
  local word words
  running lighttpd || return 0
  { mapfile -d '' -t words <"/proc/$pid/environ"; } 2>/dev/null || return 0
  for word in "${words[@]}"; do
    if [[ $word =~ ^((MOPL|AWS_S3)_[A-Z0-9_]+|TMDB_READ_ACCESS_TOKEN|SPORT_API_KEY|PUSH_GATE_WAY_URL)= ]] && [ -z "${!BASH_REMATCH[1]+set}" ]; then export "${word?}"; fi
  done
}

# For commands that only look at or end what runs, also with broken settings or programs.
locate_data() {
  check_owner
  cd "$project" || exit
  choose_user
}

check_owner() {
  [ "$EUID" -eq 0 ] || [ ! -e "$MOPL_DATA" ] || [ -O "$MOPL_DATA" ] ||
    die "$MOPL_DATA belongs to $(stat -c %U "$MOPL_DATA"): be that user or root, or set another MOPL_DATA"
}

# Started as root, services run as the data folder's owner, or as the user mopl for a new one; else as whoever starts them.
choose_user() {
  as_service=()
  service_user=$(id -un)
  [ "$EUID" -eq 0 ] || return 0
  service_user=mopl
  [ ! -d "$MOPL_DATA" ] || [ -O "$MOPL_DATA" ] || service_user=$(stat -c %U "$MOPL_DATA")
  id -u "$service_user" >/dev/null 2>&1 || die "there is no user $service_user to run the services as: adduser --system --group --no-create-home mopl"
  local group port capabilities=''
  group=$(id -g "$service_user")
  as_service=(setpriv --reuid "$service_user" --regid "$group" --init-groups --no-new-privs)
  for port in "${MOPL_PORT:-8080}" "${MOPL_REDIRECT_PORT:-0}"; do
    [ "$port" -ge 1024 ] 2>/dev/null || [ "$port" = 0 ] || capabilities=,+net_bind_service
  done
  with_capabilities "$capabilities"
  # A project or data folder below e.g. /root is closed to other users; the services may then read, not write, past that.
  reachable || { with_capabilities "$capabilities,+dac_read_search" && reachable; } ||
    die "user $service_user cannot read $project or $MOPL_DATA: put them below a folder open to all (chmod a+x its parents), or start MOPL as an ordinary user"
}

with_capabilities() {  # LIST, each with a comma before it
  [ -n "$1" ] || return 0
  as_service=("${as_service[@]:0:6}" --inh-caps "-all$1" --ambient-caps "-all$1" --no-new-privs)
}

# By doing it: access(2), and so `test -r`, does not know of such capabilities.
reachable() {
  local folder=$MOPL_DATA
  while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
  "${as_service[@]}" sh -c '
    cd "$1" && : <"$2" && { [ ! -e "$3" ] || "$3" --help >/dev/null; }
  ' _ "$folder" "$project/lighttpd/lighttpd.conf" "$bin/mopl-conf" 2>/dev/null
}

# Makes MOPL_DATA and its folders, private to the services' user, who also gets what root may have left there.
use_data_folder() {
  if [ -z "$(ls -A "$MOPL_DATA" 2>/dev/null)" ]; then  # new; another folder of root's is not taken over
    mkdir -p "$MOPL_DATA" && chmod 700 "$MOPL_DATA" || die "MOPL_DATA: cannot make $MOPL_DATA"
    [ "$EUID" -ne 0 ] || chown "$service_user:" "$MOPL_DATA"
  fi
  if [ "$EUID" -eq 0 ] && [ -n "${MOPL_SETTINGS:-}" ] && [ ! -d "${MOPL_SETTINGS%/*}" ]; then
    mkdir -p "${MOPL_SETTINGS%/*}" && chown "$service_user:" "${MOPL_SETTINGS%/*}"
  fi
  "${as_service[@]}" mkdir -p -m 700 "$run" "$run/uploads" "$run/deflate" "$run/errors" "$run/metrics" "$MOPL_DATA/logs" "$MOPL_DATA/files" 2>/dev/null ||
    die "MOPL_DATA: $service_user cannot write to $MOPL_DATA"
}

generated() { openssl rand -base64 "$1" | tr -d '\n=' | tr '+/' '-_'; }

# At first start writes settings.env with a key and a password, unless they are given; reads the settings again then.
first_secrets() {
  local file=$MOPL_SETTINGS
  [ -e "$file" ] && [ -n "$MOPL_JWT_KEY" ] && [ -n "$MOPL_ADMIN_PASSWORD" ] && return
  [ -e "$file" ] && [ -n "$MOPL_ADMIN_PASSWORD" ] || first_start=yes
  {
    if [ -e "$file" ]; then cat "$file"; else echo "# Settings of this instance: NAME=value a line, see \`mopl config\`. The environment goes first. Keep it private."; fi
    [ -n "$MOPL_JWT_KEY" ] || echo "MOPL_JWT_KEY=$(generated 48)"
    [ -n "$MOPL_ADMIN_PASSWORD" ] || echo "MOPL_ADMIN_PASSWORD=$(generated 15)"
  } | "${as_service[@]}" sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' _ "$file"
  load_settings
}

# Whoever has the port now, it is not this instance.
# What the front server would stumble over only after everything else has started.
check_front() {
  getent ahosts "${host//[\[\]]/}" >/dev/null || die "MOPL_LISTEN: there is no address $MOPL_LISTEN" 2
  [ -r "$web_root/index.html" ] || die "MOPL_WEB_ROOT: there is no index.html in $web_root" 2
  [ -z "$MOPL_TLS_CERTIFICATE" ] || check_certificate
}

check_certificate() {
  local name public private
  for name in MOPL_TLS_CERTIFICATE MOPL_TLS_KEY; do
    "${as_service[@]}" sh -c ': <"$1"' _ "${!name}" 2>/dev/null || die "$name: user $service_user cannot read ${!name}" 2
  done
  public=$("${as_service[@]}" openssl x509 -in "$MOPL_TLS_CERTIFICATE" -noout -pubkey 2>/dev/null) ||
    die "MOPL_TLS_CERTIFICATE: there is no certificate (PEM) in $MOPL_TLS_CERTIFICATE" 2
  private=$("${as_service[@]}" openssl pkey -in "$MOPL_TLS_KEY" -passin pass: -pubout 2>/dev/null) ||
    die "MOPL_TLS_KEY: there is no private key (PEM) without a password in $MOPL_TLS_KEY" 2
  [ "$public" = "$private" ] || die "MOPL_TLS_KEY: $MOPL_TLS_KEY is not the key of $MOPL_TLS_CERTIFICATE" 2
}

check_port() {
  if (exec 3<>"/dev/tcp/${host//[\[\]]/}/$MOPL_PORT") 2>/dev/null; then
    die "port $MOPL_PORT of $host is taken by another program: end that, or set MOPL_PORT to a free one"
  fi
  if [ "$MOPL_REDIRECT_PORT" -gt 0 ] && (exec 3<>"/dev/tcp/${host//[\[\]]/}/$MOPL_REDIRECT_PORT") 2>/dev/null; then
    die "MOPL_REDIRECT_PORT: port $MOPL_REDIRECT_PORT of $host is taken by another program"
  fi
  local metrics=${MOPL_METRICS_LISTEN%:*}
  [ "$metrics" != 0.0.0.0 ] || metrics=127.0.0.1
  if [ -n "$metrics" ] && (exec 3<>"/dev/tcp/${metrics//[\[\]]/}/${MOPL_METRICS_LISTEN##*:}") 2>/dev/null; then
    die "MOPL_METRICS_LISTEN: $MOPL_METRICS_LISTEN is taken by another program (another instance?)"
  fi
}

seconds_since() {  # EPOCHREALTIME before
  local us=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
  printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10))
}
