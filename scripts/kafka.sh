#!/usr/bin/env bash
# A private Apache Kafka broker: one node that is its own controller, on the loopback only.
# usage: scripts/kafka.sh install           fetches its jars by Maven, once, into build/vendor/kafka (needs a Java runtime and Maven)
#        scripts/kafka.sh run FOLDER PORT   serves on 127.0.0.1:PORT, its controller on PORT + 1, data in FOLDER, until SIGTERM
# "Kafka Server started" on stderr says that it is ready. A second run on the same FOLDER goes on with its data.
# Environment: KAFKA_HEAP (256m)
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "$0")")")
. "$project/scripts/paths.sh"
. "$project/scripts/jars.sh"
lists=("$project/scripts/kafka-pom.xml" "$project/scripts/kafka.sha256")
jars=$vendor/kafka

usage() { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }

fetch() { fetch_jars "${lists[@]}" "$1"; }

write_settings() {  # FOLDER PORT
  cat <<EOT
node.id=1
process.roles=broker,controller
listeners=BROKER://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
log.dirs=$1/log
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=2097152
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# One that was killed is let in again this soon.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
EOT
}

java_with() {  # OPTIONS...: replaces this process
  exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.awt.headless=true \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=error -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
    -cp "$jars/*" "$@"
}

run() {  # FOLDER PORT
  local folder id
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
  write_settings "$folder" "$2" >"$folder/server.properties"
  if [ ! -e "$folder/log/meta.properties" ]; then
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
    (java_with -Xmx96m kafka.tools.StorageTool format --cluster-id "$id" --config "$folder/server.properties") >/dev/null
  fi
  java_with -Xms"${KAFKA_HEAP:-256m}" -Xmx"${KAFKA_HEAP:-256m}" kafka.Kafka "$folder/server.properties"
}

case "${1:-}/$#" in
  install/1) make_folder "$jars" fetch "${lists[@]}" ;;
  run/3) run "$2" "$3" ;;
  *) usage ;;
esac
