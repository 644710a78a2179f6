# Sourced by mopl: Prometheus, its Pushgateway and the exporters beside a running instance.
# shellcheck shell=bash

monitoring_services=(prometheus pushgateway postgres-exporter redis-exporter elasticsearch-exporter node-exporter blackbox-exporter)

# Ports are chosen once and kept in MOPL_DATA/monitoring/ports, beside what Prometheus has stored.
monitoring_up() {
  local name
  running lighttpd || die "it does not run: start it first (mopl up)"
  "$project/scripts/install.sh" monitoring
  "${as_service[@]}" mkdir -p -m 700 "$MOPL_DATA/monitoring" "$MOPL_DATA/monitoring/targets" "$MOPL_DATA/monitoring/data"
  monitoring_ports
  adopt_monitoring
  monitoring_files
  for name in "${monitoring_services[@]}"; do monitoring_starts "$name" && start_monitoring "$name"; done
  for name in "${monitoring_services[@]}"; do
    monitoring_starts "$name" || continue
    await 60 monitoring_settled "$name" || { show_log "$name"; monitoring_down; die "$name did not start"; }
  done
  monitoring_addresses
}

monitoring_down() {
  local name
  for name in "${monitoring_services[@]}"; do stop "$name" TERM 20; done
}

# What an instance has nothing for is not started.
monitoring_starts() {  # NAME
  case "$1" in
    elasticsearch-exporter) [ -n "${MOPL_ELASTICSEARCH_URL:-}" ] ;;
    blackbox-exporter) [[ $MOPL_PUBLIC_URL == https:* ]] ;;
    *) true ;;
  esac
}

monitoring_port() { awk -v name="$1" '$1 == name { print $2 }' "$MOPL_DATA/monitoring/ports"; }  # NAME, or metrics

monitoring_ports() {
  local file=$MOPL_DATA/monitoring/ports name port used=" "
  [ ! -e "$file" ] || return 0
  for name in metrics "${monitoring_services[@]}"; do
    until port=$((20000 + RANDOM % 12000)) && [[ $used != *" $port "* ]] && port_is_free "$port"; do :; done
    used+="$port "
    echo "$name $port"
  done | "${as_service[@]}" sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' _ "$file"
}

# The addresses that the instance itself has to know become settings of it, unless they are set already.
adopt_monitoring() {
  local lines=()
  [ -n "$MOPL_METRICS_LISTEN" ] || lines+=("MOPL_METRICS_LISTEN=127.0.0.1:$(monitoring_port metrics)")
  [ -n "${PUSH_GATE_WAY_URL-none}" ] || lines+=("PUSH_GATE_WAY_URL=http://127.0.0.1:$(monitoring_port pushgateway)")
  [ "${#lines[@]}" -gt 0 ] || return 0
  printf '%s\n' "${lines[@]}" | "${as_service[@]}" sh -c 'umask 077; cat >>"$1"' _ "$MOPL_SETTINGS"
  load_settings
  running lighttpd && restart_service lighttpd "$pid"
}

target() {  # JOB ADDRESSES [LABEL: VALUE]; addresses quoted, comma separated
  printf -- '- {targets: [%s], labels: {%s}}\n' "$2" "${3:-}" |
    "${as_service[@]}" sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' _ "$MOPL_DATA/monitoring/targets/$1.yml"
}

monitoring_files() {
  local name
  "${as_service[@]}" sh -c 'cd "$1" && cp prometheus.yml "$2/" && rm -rf "$2/rules" && cp -r rules "$2/" && rm -f "$2"/targets/*' \
    _ "$project/monitoring" "$MOPL_DATA/monitoring"
  target mopl "'$MOPL_METRICS_LISTEN'"
  for name in prometheus pushgateway; do target "$name" "'127.0.0.1:$(monitoring_port "$name")'"; done
  for name in postgres redis node; do target "$name" "'127.0.0.1:$(monitoring_port "$name-exporter")'"; done
  if monitoring_starts elasticsearch-exporter; then target elasticsearch "'127.0.0.1:$(monitoring_port elasticsearch-exporter)'"; fi
  if monitoring_starts blackbox-exporter; then target blackbox "'127.0.0.1:$(monitoring_port blackbox-exporter)'" "page: \"$MOPL_PUBLIC_URL\""; fi
}

start_monitoring() {  # NAME
  local listen folder=$MOPL_DATA/monitoring
  listen=127.0.0.1:$(monitoring_port "$1")
  running "$1" && return
  case "$1" in
    prometheus)
      launch prometheus prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
        --storage.tsdb.retention.time=15d --web.listen-address="$listen" --log.level=warn
      ;;
    pushgateway)
      launch pushgateway prometheus-pushgateway --web.listen-address="$listen" --persistence.file="$folder/pushed" --log.level=warn
      ;;
    postgres-exporter)  # its address holds a password: not on the command line
      DATA_SOURCE_NAME=$MOPL_DATABASE_URL launch postgres-exporter prometheus-postgres-exporter --web.listen-address="$listen" --log.level=warn
      ;;
    redis-exporter)
      REDIS_ADDR=${MOPL_REDIS_URL/#unix:\//unix:\/\//} launch redis-exporter prometheus-redis-exporter --web.listen-address="$listen"
      ;;
    elasticsearch-exporter) start_elasticsearch_exporter "$listen" ;;
    node-exporter)
      launch node-exporter prometheus-node-exporter --web.listen-address="$listen" --log.level=warn --collector.disable-defaults \
        --collector.cpu --collector.diskstats --collector.filesystem --collector.loadavg --collector.meminfo --collector.netdev \
        --collector.stat --collector.time --collector.uname
      ;;
    blackbox-exporter)
      launch blackbox-exporter prometheus-blackbox-exporter --web.listen-address="$listen" --config.file=/etc/prometheus/blackbox.yml
      ;;
  esac
}

# As with PostgreSQL's, the password goes by the environment.
start_elasticsearch_exporter() {  # LISTEN
  local url=$MOPL_ELASTICSEARCH_URL name='' password=''
  if [[ $url =~ ^(https?://)([^:@/]*):([^@/]*)@(.*)$ ]]; then
    name=${BASH_REMATCH[2]} password=${BASH_REMATCH[3]} url=${BASH_REMATCH[1]}${BASH_REMATCH[4]}
  fi
  ES_USERNAME=$name ES_PASSWORD=$password launch elasticsearch-exporter prometheus-elasticsearch-exporter \
    --web.listen-address="$1" --es.uri="$url" --es.indices
}

monitoring_settled() {  # NAME
  local path=/metrics
  [ "$1" != prometheus ] || path=/-/ready
  running "$1" && curl -sf --noproxy '*' -m 5 -o /dev/null "http://127.0.0.1:$(monitoring_port "$1")$path"
}

monitoring_addresses() {
  local name
  printf '%-24s http://127.0.0.1:%s\n' Prometheus "$(monitoring_port prometheus)" Pushgateway "$(monitoring_port pushgateway)"
  printf '%-24s http://%s/metrics\n' "MOPL's metrics" "$MOPL_METRICS_LISTEN"
  for name in postgres redis elasticsearch node blackbox; do
    ! running "$name-exporter" || printf '%-24s http://127.0.0.1:%s/metrics\n' "$name exporter" "$(monitoring_port "$name-exporter")"
  done
  cat <<EOT
Grafana: add monitoring/grafana/provisioning to its provisioning folder and start it with
  MOPL_PROMETHEUS_URL=http://127.0.0.1:$(monitoring_port prometheus) MOPL_DASHBOARDS=$project/monitoring/grafana/dashboards
EOT
}
