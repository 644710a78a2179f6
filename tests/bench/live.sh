# Sourced by p5.sh and p6.sh: an instance with people in it, and what listens beside it.
# shellcheck shell=bash

live_people=200

# An instance of its own, empty but for the catalogue; the bridge also listens on an address of its own. Descriptors are the limit of
# connections: the front server takes two for each.
start_live() {  # SET [--kafka]
  ulimit -Sn "$(ulimit -Hn)"
  ulimit -n 65536 2>/dev/null || true
  ports[$1]=$(free_port)
  direct=127.0.0.1:$(free_port)
  use "$1"
  control down || true
  rm -rf "$MOPL_DATA"
  up[$1]=yes
  export MOPL_BRIDGE_LISTEN=$direct
  control up "${@:2}" && control batch import-catalogue || die "the instance of $1 does not start: build/bench/log"
  unset MOPL_BRIDGE_LISTEN
  use "$1"
  front=127.0.0.1:$MOPL_PORT
  make_people
}

stop_live() { stop_instance "$1"; }  # SET

make_people() {
  "${as_service[@]}" "$project/build/release/tests/bench/people" "$live_people" >"$bench/live.people" || die "no people"
  cut -d ' ' -f 2 "$bench/live.people" >"$bench/live.tokens"
  sql -c "SELECT id FROM contents ORDER BY id LIMIT $live_people" >"$bench/live.rooms"
}

# Of a person's own: METHOD PATH [BODY].
as_person() {  # NUMBER METHOD PATH [BODY]
  local token
  token=$(sed -n "$1p" "$bench/live.tokens")
  curl -sS --noproxy '*' --fail-with-body -X "$2" -H "Authorization: Bearer $token" -H 'Cookie: XSRF-TOKEN=bench' -H 'X-XSRF-TOKEN: bench' \
    ${4:+-H 'Content-Type: application/json' -d "$4"} "$address$3"
}

person_id() { sed -n "$1p" "$bench/live.people" | cut -d ' ' -f 1; }  # NUMBER

# The processes of the bridge, the one that serves and the one that stands by.
bridge_pids() { processes | awk '$2 ~ /^sse_bridge/ { print $1 }' | paste -sd ,; }

live() { "$project/build/release/tests/bench/live" "$@" 2>&3 || die "live $1 $2 $3: build/bench/log"; }

# nginx with its nchan module, which does much the same for channels without people, rooms, or a log.
start_nchan() {
  nchan=127.0.0.1:$(free_port)
  local folder=$bench/nchan
  rm -rf "$folder" && mkdir -p "$folder"
  cat >"$folder/nginx.conf" <<EOT
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile $(ulimit -n);
pid $folder/pid;
error_log $folder/error.log warn;
events { worker_connections 16000; use epoll; multi_accept on; }
http {
  access_log off;
  keepalive_requests 100000000;
  nchan_shared_memory_size 128M;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  server {
    listen $nchan backlog=4096;
    location ~ ^/sub/(.+)$ { nchan_subscriber websocket; nchan_channel_id \$1; nchan_subscriber_first_message newest; }
    location ~ ^/pub/(.+)$ { nchan_publisher http; nchan_channel_id \$1; nchan_message_buffer_length 50; }
  }
}
EOT
  nginx -c "$folder/nginx.conf" >&3 2>&1 4>&- &
  nchan_pid=$!
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/${nchan/://}") 2>/dev/null; then return; fi
    sleep 0.05
  done
  die "nginx does not start: build/bench/nchan/error.log"
}

stop_nchan() {
  [ -z "${nchan_pid:-}" ] || kill "$nchan_pid" 2>/dev/null || true
  wait "${nchan_pid:-}" 2>/dev/null || true
  nchan_pid=
  rm -rf "$bench/nchan"
}

# The empty fan-out.
start_fan() {
  fan_address=127.0.0.1:$(free_port)
  "$project/build/release/tests/bench/fan" "${fan_address##*:}" >&3 2>&1 4>&- &
  fan_pid=$!
  await 5 fan_listens || die "the empty fan-out does not start: build/bench/log"
}
fan_listens() { (exec 9<>"/dev/tcp/${fan_address/://}") 2>/dev/null; }

stop_fan() {
  [ -z "${fan_pid:-}" ] || kill "$fan_pid" 2>/dev/null || true
  wait "${fan_pid:-}" 2>/dev/null || true
  fan_pid=
}
