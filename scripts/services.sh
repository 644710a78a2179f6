# Sourced by mopl: how each service is started, judged ready, restarted and ended.
# shellcheck shell=bash

pg_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

# Responders are the programs of the build that are neither tools, nor workers, nor the bridge.
responder_names() {
  local file
  for file in "$bin"/*; do
    # Pictures are files unless there is a bucket.
    [ "${file##*/}" != files ] || [ -n "${MOPL_S3_BUCKET:-}" ] || [ -e "$run/files.pid" ] || continue
    if [ -x "$file" ] && [[ ${file##*/} != mopl-* && ${file##*/} != sse-bridge ]] && ! is_worker "${file##*/}"; then echo "${file##*/}"; fi
  done
}

worker_names() {
  local file
  for file in "$bin"/*; do
    if [ -x "$file" ] && is_worker "${file##*/}"; then echo "${file##*/}"; fi
  done
}

is_worker() { [[ " $worker_programs" == *" $1 "* ]]; }  # NAME

expected_services() {
  local name
  [ -e "$MOPL_DATA/postgres" ] && echo postgres
  [ -e "$run/redis" ] && echo redis
  [ -e "$MOPL_DATA/kafka/port" ] && echo kafka
  [ -e "$MOPL_DATA/search/port" ] && echo search
  responder_names
  worker_names
  bridge_names
  echo lighttpd
  for name in "${monitoring_services[@]}"; do [ ! -e "$run/$name.pid" ] || echo "$name"; done
}

# Schema and first administrator. The password is in settings.env or in the environment; it is not shown on a command line.
prepare_database() {  # [OPTIONS of mopl-migrate]
  step migrate "$bin/mopl-migrate" --dir "$project/sql/migrations" "$@"
  MOPL_ADMIN_PASSWORD=$MOPL_ADMIN_PASSWORD step admin "$bin/mopl-admin" create-admin --if-none "$MOPL_ADMIN_EMAIL"
}

# PostgreSQL and Redis, unless their addresses are set, and Kafka if there is a private one; all start at the same time.
start_stores() {
  if [ -e "$MOPL_DATA/kafka/port" ]; then start_kafka; fi
  if [ -e "$MOPL_DATA/search/port" ]; then start_search; fi  # nobody waits for it: PostgreSQL answers meanwhile
  if [ "$mopl_private_database" = on ]; then start_postgres; fi
  if [ "$mopl_private_redis" = on ]; then start_redis; else rm -rf "$run/redis"; fi
  if [ "$mopl_private_database" = on ] && ! await 60 postgres_settled; then fail_service postgres; fi
  if [ "$mopl_private_redis" = on ] && ! await 10 redis_settled; then fail_service redis; fi
  if [ -e "$MOPL_DATA/kafka/port" ] && ! await 60 kafka_settled; then fail_service kafka; fi
}

fail_service() { show_log "$1"; stop_all; die "$1 did not start"; }

# Made aside and renamed, so that a folder of that name is complete.
make_cluster() {
  local folder=$MOPL_DATA/postgres
  "${as_service[@]}" rm -rf "$folder.new"
  step postgres "$pg_bin/initdb" --pgdata "$folder.new" --username mopl --auth trust --encoding UTF8 --locale C.UTF-8 \
    --data-checksums --no-sync --no-instructions
  step postgres sh -c 'echo "create database mopl;" | "$1" --single -D "$2" -F postgres' _ "$pg_bin/postgres" "$folder.new"
  sync -f "$MOPL_DATA"
  mv "$folder.new" "$folder"
}

# Reachable by its socket only, in a folder that only the services' user may enter.
start_postgres() {
  local folder=$MOPL_DATA/postgres
  [ -x "$pg_bin/postgres" ] || die "PostgreSQL is not installed: scripts/install.sh run"
  [ -d "$folder" ] || make_cluster
  running postgres && return
  if [ -r "$folder/postmaster.pid" ] && ! is_ours "$(head -n 1 "$folder/postmaster.pid")"; then rm -f "$folder/postmaster.pid"; fi
  launch postgres "$pg_bin/postgres" -D "$folder" -k "$run" -c listen_addresses= -c unix_socket_permissions=0700 \
    -c shared_buffers=128MB -c max_connections=200 -c jit=off -c wal_compression=on -c random_page_cost=1.1 \
    -c synchronous_commit=on -c log_timezone=UTC -c timezone=UTC -c log_error_verbosity=terse
}

# Ready, or ended: then it is started again, for the processes of a killed server need a moment to let go of its memory.
postgres_settled() {
  local lines
  if running postgres; then
    [ -r "$MOPL_DATA/postgres/postmaster.pid" ] || return 1
    mapfile -t lines <"$MOPL_DATA/postgres/postmaster.pid" && [[ ${lines[7]:-} == ready* ]]
  else
    sleep 0.2
    running postgres || start_postgres
    false
  fi
}

# A cache and a table of leases: nothing of it is kept on disk.
start_redis() {
  "${as_service[@]}" mkdir -p -m 700 "$run/redis"
  running redis && return
  rm -f "$run/redis.sock"
  launch redis redis-server --port 0 --unixsocket "$run/redis.sock" --unixsocketperm 700 --dir "$run/redis" --save "" \
    --appendonly no --maxmemory 64mb --maxmemory-policy volatile-ttl --daemonize no \
    --supervised auto
}

redis_settled() { running redis && [ -S "$run/redis.sock" ]; }

# Makes this instance one with a private server of its own, from now on: its address becomes one of its settings. It listens on a free port
# and the next one.
# Killed before the setting is written, it begins again.
adopt() {  # SERVICE SETTING SCHEME
  local port
  [ -z "${!2}" ] || die "$2 is set already" 2
  ! running outbox_relay || die "it runs without $1: end it first (mopl down)"
  "$project/scripts/install.sh" "$1" || exit
  "$project/scripts/$1.sh" install || die "the programs of $1 could not be fetched"
  until port=$((20000 + RANDOM % 12000)) && port_is_free "$port" && port_is_free $((port + 1)); do :; done
  "${as_service[@]}" sh -c '
    umask 077
    mkdir -p "$1" && echo "$4" >"$1/port" && echo "$2" >>"$3"
  ' _ "$MOPL_DATA/$1" "$2=${3}127.0.0.1:$port" "$MOPL_SETTINGS" "$port"
  load_settings
}

adopted() { [ -e "$MOPL_DATA/$1/port" ] && [ -n "${!2}" ]; }  # SERVICE SETTING

adopt_kafka() { adopted kafka MOPL_KAFKA_BROKERS || adopt kafka MOPL_KAFKA_BROKERS ""; }

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_kafka() {
  running kafka && return
  launch kafka "$project/scripts/kafka.sh" run "$MOPL_DATA/kafka" "$(<"$MOPL_DATA/kafka/port")"
}

# A server that says in its log when it is ready.
said_ready() {  # NAME TEXT
  running "$1" && awk -v text="$2" '/"event":"mopl_start"/ { n = 0 } index($0, text) { n = 1 } END { exit !n }' "$MOPL_DATA/logs/$1.log"
}
kafka_settled() { said_ready kafka "Kafka Server started"; }

adopt_search() {
  ! adopted search MOPL_ELASTICSEARCH_URL || return 0
  adopt search MOPL_ELASTICSEARCH_URL http://
  start_search
  await 90 search_settled || fail_service search
}

# Java looks for the mount that a folder is on. In a changed root none may be listed: then the node gets a view of its own, in which the root
# is one.
start_search() {
  running search && return
  local user=("${as_service[@]}")
  local as_service=("${user[@]}")
  if [ "$(id -u)" -eq 0 ] && ! mount_is_listed "$MOPL_DATA"; then
    mkdir -p "$run/root"
    as_service=(unshare --mount --propagation unchanged sh -c 'mount --rbind / "$1" && mount --make-rprivate "$1" && exec chroot "$@"' _
      "$run/root" "${user[@]}")
  fi
  launch search "$project/scripts/search.sh" run "$MOPL_DATA/search" "$(<"$MOPL_DATA/search/port")"
}

mount_is_listed() { awk -v mount="$(stat -c %m "$1")" '$2 == mount { found = 1 } END { exit !found }' /proc/self/mounts; }  # FOLDER

search_settled() { said_ready search "Search node started"; }

# An engine without indices gets them in the background. The job knows if there is nothing to do.
fill_search() {
  [ -n "$MOPL_ELASTICSEARCH_URL" ] || return 0
  running reindex && return
  if [ -e "$MOPL_DATA/reindex.wanted" ]; then  # it was restored: what the engine has is of another time
    launch reindex sh -c '"$1" reindex && rm -f "$2"' _ "$run/programs/mopl-batch" "$MOPL_DATA/reindex.wanted"
  else
    launch reindex "$run/programs/mopl-batch" reindex --if-missing
  fi
}

# What makes a service's socket and hands it down as descriptor 0: spawn-fcgi, unless it was handed to us.
hold_socket() {  # NAME COMMAND; sets holder
  holder=()
  [ -z "$handed" ] || return 0
  [ ! -e "$run/$1.sock" ] || end_strays "$1" "$2"
  holder=(spawn-fcgi -n -s "$run/$1.sock" -b 4096 -M 0600 --)
}

# multiwatch holds the socket and its workers share it; a worker ends with its multiwatch, however that ends.
# A worker that dies is replaced; the many retries count only those that die within a second of their start.
start_responder() {  # NAME
  running "$1" && return
  hold_socket "$1" "$1"
  launch "$1" "${holder[@]}" "$(type -P multiwatch)" -f "$(workers_of "$1")" -s TERM -r 10000 -t 1000 -- "$(type -P setpriv)" --pdeathsig TERM -- "$run/programs/$1"
}

# Nobody but monitoring asks for metrics.
workers_of() { if is_worker "$1" || [ "$1" = metrics ]; then echo 1; else echo "$MOPL_WORKERS"; fi; }  # NAME

# A worker has no socket; else it is looked after like a responder's.
start_worker() {  # NAME
  running "$1" && return
  launch "$1" "$(type -P multiwatch)" -f 1 -s TERM -r 10000 -t 1000 -- "$(type -P setpriv)" --pdeathsig TERM -- "$run/programs/$1"
}

start_workers() {
  local name
  while read -r name; do start_worker "$name"; done < <(worker_names)
}

# A socket that is left over may have workers left over, who outlived their multiwatch.
end_strays() {  # NAME COMMAND
  local stray
  for stray in $(pgrep -f "$run/programs/$2\$"); do
    is_ours "$stray" && [ "$stray" != "$$" ] || continue
    kill -TERM "$stray" 2>/dev/null && await 5 gone "$stray" || kill -KILL "$stray" 2>/dev/null || true
  done
  rm -f "$run/$1.sock"
}

start_lighttpd() {
  write_front_configuration
  # Named by its path: a new process of it is made for a restart while this one goes on.
  launch lighttpd "$(type -P lighttpd)" -D -f "$run/lighttpd.conf"
}

# No line is lost: until it has a new one, the front server writes into the renamed log.
reopen_access_log() { ! running lighttpd || kill -HUP "$pid"; }

# Responders and the front server, until the API answers.
start_front() {  # RESPONDERS
  local name
  for name; do start_responder "$name"; done
  if running lighttpd; then
    grep -qx "var.port = $MOPL_PORT" "$run/lighttpd.conf" || die "it runs on another MOPL_PORT: end it first (mopl down)"
  else
    start_lighttpd
  fi
  await 30 front_settled "$@" && running lighttpd && return
  for name in "$@" lighttpd $(bridge_names); do running "$name" && answers "$name" || show_log "$name"; done
  stop_all
  die "the API did not answer at $address"
}

# It answers, or there is nothing left to wait for.
front_settled() { ! running lighttpd || { answers "$@" && bridges_answer; }; }

# True when each of these responders answers a request, whatever it thinks of it.
answers() {  # RESPONDERS
  local name urls=()
  for name; do
    case "$name" in
      lighttpd | files) ;;  # a bucket that is away keeps nothing from starting
      sse_bridge-*) bridges_answer || return 1 ;;
      auth) urls+=(-o /dev/null "$address/api/health") ;;
      metrics) local_metrics >/dev/null || return 1 ;;
      oauth) urls+=(-o /dev/null "$address/login/oauth2/none") ;;
      watching_sessions) urls+=(-o /dev/null "$address/api/users/none/watching-sessions") ;;
      *) urls+=(-o /dev/null "$address/api/$name") ;;
    esac
  done
  # Whether its certificate fits this address is not the question.
  [ "${#urls[@]}" -eq 0 ] || curl -sk --noproxy '*' -m 5 -w '%{http_code}\n' "${urls[@]}" |
    awk '$1 == 0 || $1 >= 500 { bad = 1 } END { exit bad }'
}

# "RESPONDER requests/s p95" a line, out of two looks at the metrics; nothing while they are not to be had. A route belongs to the responder
# whose name it begins with (lighttpd/api.conf); what none is named after is auth's.
requests_now() {
  local first
  [ -S "$run/front.sock" ] && first=$(local_metrics) || return 0
  sleep 1
  { echo "$first"; echo second; local_metrics || true; } | awk -v names="$(responder_names | paste -sd ' ')" '
    BEGIN { split(names, list, " "); for (i in list) known[list[i]] = 1 }
    function responder(line, uri) {
      if (!match(line, /uri="[^"]*"/)) return ""
      uri = substr(line, RSTART + 5, RLENGTH - 6)
      if (uri ~ /\/watching-sessions$/) return "watching_sessions"
      split(uri, part, "/")
      if (part[2] == "metrics") return "metrics"
      if (part[3] == "posters") return "contents"
      if (part[2] == "oauth2" || part[2] == "login") return "oauth"
      return part[3] in known ? part[3] : "auth"
    }
    $0 == "second" { second = 1 }
    /^http_server_requests_seconds_count/ { count[second + 0, responder($0)] += $NF }
    second && /^http_server_requests_seconds_bucket/ && match($0, /le="[^"]*"/) {
      le = substr($0, RSTART + 4, RLENGTH - 5)
      if (le != "+Inf" && !(le in seen)) { seen[le] = 1; bounds[++n] = le + 0 }
      bucket[responder($0), le == "+Inf" ? le : le + 0] += $NF
    }
    END {
      for (name in known) {
        if (!((1, name) in count)) continue
        p95 = "-"
        all = bucket[name, "+Inf"]
        for (i = 1; i <= n && all > 0 && p95 == "-"; i++) {
          if (bucket[name, bounds[i]] < 0.95 * all) continue
          below = i > 1 ? bounds[i - 1] : 0
          had = i > 1 ? bucket[name, below] : 0
          p95 = sprintf("%.1f", 1000 * (below + (bounds[i] - below) * (0.95 * all - had) / (bucket[name, bounds[i]] - had)))
        }
        if (p95 == "-" && all > 0) p95 = ">" 1000 * bounds[n]
        printf "%s %d %s\n", name, count[1, name] - count[0, name], p95
      }
    }'
}

# The metrics of all processes, as Prometheus gets them.
local_metrics() { curl -sf --noproxy '*' -m 5 --unix-socket "$run/front.sock" http://localhost/metrics; }

# What the front server cannot know by itself: see lighttpd/lighttpd.conf.
# Above nine tenths of its descriptors it takes nobody any more; a connection needs two.
write_front_configuration() {
  local max_fds hsts=
  check_front
  max_fds=$(ulimit -Hn)
  [ "$max_fds" != unlimited ] && [ "$max_fds" -le 65536 ] || max_fds=65536
  [ "$MOPL_SECURE_COOKIES" = off ] || hsts='"Strict-Transport-Security" => "max-age=31536000; includeSubDomains"'
  write_error_pages
  cat <<EOT | "${as_service[@]}" tee "$run/lighttpd.conf" >/dev/null
# Written by mopl.
var.conf = "$project/lighttpd"
var.docs = "$project/docs"
var.viewer = "$viewer"
var.data = "$MOPL_DATA"
var.web_root = "$web_root"
var.listen = "${MOPL_LISTEN}"
var.port = $MOPL_PORT
var.max_fds = $max_fds
var.max_connections = $(((max_fds * 9 / 10 - 100) / 2))
var.no_file = "$([ -n "$MOPL_S3_BUCKET" ] && echo /api/stored || echo /api/gone)"
var.max_upload_kb = $((MOPL_UPLOAD_MAX_BYTES / 1024 + 2048))
var.hsts = ( $hsts )
var.proxy_modules = ( $([ -z "$MOPL_TRUSTED_PROXIES" ] || echo '"mod_extforward"') )
var.bridges = ( $(bridge_sockets))
var.site_csp = "default-src 'self'; script-src 'self'$(script_hashes "$web_root/index.html"); style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
include var.conf + "/lighttpd.conf"
$(trusted_proxies)
$(tls)
$(plain_socket "$run/front.sock" monitoring)
$([ -z "$MOPL_METRICS_LISTEN" ] || plain_socket "$MOPL_METRICS_LISTEN" monitoring)
EOT
}

# The main socket speaks TLS; another one sends people there.
tls() {
  local address=$MOPL_LISTEN
  [ -n "$MOPL_TLS_CERTIFICATE" ] || return 0
  printf 'server.modules += ( "mod_openssl" )\nssl.engine = "enable"\nssl.pemfile = "%s"\nssl.privkey = "%s"\n' "$MOPL_TLS_CERTIFICATE" "$MOPL_TLS_KEY"
  [ "$MOPL_REDIRECT_PORT" -gt 0 ] || return 0
  [[ $address != *:* ]] || address="[$address]"
  printf 'var.public_url = "%s"\n' "${MOPL_PUBLIC_URL%/}"
  plain_socket "$address:$MOPL_REDIRECT_PORT" redirect
}

# A further socket, without TLS.
plain_socket() {  # ADDRESS FILE
  printf '$SERVER["socket"] == "%s" {\n%s  include var.conf + "/%s.conf"\n}\n' "$1" "${MOPL_TLS_CERTIFICATE:+  ssl.engine = \"disable\"$'\n'}" "$2"
}

# Behind a proxy the last address of X-Forwarded-For that is none of theirs is the caller's: of that who asks can forge nothing.
trusted_proxies() {
  local proxy list=
  [ -n "$MOPL_TRUSTED_PROXIES" ] || return 0
  for proxy in ${MOPL_TRUSTED_PROXIES//,/ }; do list+="\"$proxy\" => \"trust\", "; done
  printf 'extforward.forwarder = ( %s )\nextforward.headers = ( "X-Forwarded-For" )\n' "$list"
}

# The inline scripts of a page as CSP sources, one after another. Browsers hash them with line ends normalised.
script_hashes() {  # FILE
  perl -0777 -ne 's/\r\n?/\n/g; s/<!--.*?-->//gs;
    while (/<script\b(?![^>]*\ssrc\s*=)[^>]*>(.*?)<\/script\s*>/gis) { print unpack("H*", $1), "\n" if length $1 }' "$1" |
    while read -r hex; do printf " 'sha256-%s'" "$(perl -e 'print pack("H*", $ARGV[0])' "$hex" | openssl dgst -sha256 -binary | base64)"; done
}

write_error_pages() {
  "${as_service[@]}" awk -F '\t' -v folder="$run/errors" '
    function page(language, message) {
      file = folder "/" language "." $1 ".html"
      details = $5 ? "\"" $5 "\":\"" message "\"" : ""
      printf "{\"exceptionName\":\"%s\",\"message\":\"%s\",\"details\":{%s}}\n", $2, message, details >file
      close(file)
    }
    /^[0-9]/ { page("ko", $3); page("en", $4); types = types "\"." $1 ".html\" => \"application/json\", " }
    END { print "mimetype.assign += ( " types ")" >(folder "/types.conf") }
  ' "$project/lighttpd/errors.tsv"
}

# Nothing is refused: multiwatch holds the socket while its workers are replaced one by one, and lighttpd hands its own over.
restart_service() {  # NAME PID
  local child before
  case "$1" in postgres | redis) leave_to_systemd "restart mopl-$1" ;; esac
  case "$1" in
    postgres) stop postgres INT 60; start_stores ;;
    redis) stop redis TERM 10; start_stores ;;
    kafka) stop kafka TERM 30; start_stores ;;
    search) stop search TERM 30; start_stores ;;
    lighttpd)
      write_front_configuration
      lighttpd -tt -f "$run/lighttpd.conf" || die "the front server's configuration is wrong; it goes on with the former one"
      before=$(front_ends)
      kill -USR1 "$2"
      # Two say so: the process that makes way, and what is left of it once the new one takes connections.
      await 20 front_has_ended $((before + 2)) || true
      await 10 answers auth || { show_log lighttpd; die "the API does not answer at $address"; }
      ;;
    sse_bridge-*)
      restart_bridge "$1" "$2"
      mark_log "$1" restart
      ;;
    *)
      [ -x "$bin/$1" ] || die "$bin/$1 is missing: build first (make)"
      for child in $(children "$2"); do
        kill -TERM "$child" 2>/dev/null || true
        await 15 replaced "$child" "$2" "$1" || die "worker $child of $1 does not end"
      done
      mark_log "$1" restart
      is_worker "$1" || await 10 answers "$1" || { show_log "$1"; die "$1 does not answer"; }
      ;;
  esac
}

front_ends() { grep -c "graceful shutdown started" "$MOPL_DATA/logs/lighttpd.log" || true; }
front_has_ended() { [ "$(front_ends)" -ge "$1" ]; }  # TIMES

replaced() {  # OLD PARENT NAME
  ! kill -0 "$1" 2>/dev/null && [ "$(children "$2" | wc -w)" -ge "$(workers_of "$3")" ]
}

# The front first, so that requests under way still find their responders, whose last events still find the workers; PostgreSQL last.
# The front server ends when the streams have ended, which the bridges see to when it takes no new ones any more.
stop_all() {
  local file name responders=() workers=() bridges=()
  for file in "$run"/*.pid; do
    name=${file##*/}
    name=${name%.pid}
    case "$name" in
      lighttpd | redis | kafka | search | postgres | '*') ;;
      sse_bridge-*) bridges+=("$name") ;;
      *) if is_worker "$name"; then workers+=("$name"); else responders+=("$name"); fi ;;
    esac
  done
  local front=''
  if running lighttpd; then
    front=$pid
    kill -INT "$pid" 2>/dev/null || true
  fi
  for name in "${bridges[@]}"; do if running "$name"; then kill -TERM "$pid" 2>/dev/null || true; fi; done
  ended lighttpd 15
  [ -z "$front" ] || kill -TERM -- "-$front" 2>/dev/null || true  # the one before a restart may still have connections
  rm -f "$run/front.sock"
  for name in "${bridges[@]}"; do ended "$name" 20; done
  stop_together "${responders[@]}"
  stop_together "${workers[@]}"
  stop kafka TERM 30
  stop search TERM 30
  stop redis TERM 10
  stop postgres INT 60
}

stop_together() {  # NAMES
  local name
  for name; do if running "$name"; then kill -TERM "$pid" 2>/dev/null || true; fi; done
  for name; do stop "$name" TERM 10; done
}
