#!/usr/bin/env bash
# A private S3 server (S3Proxy) on the loopback only, for tests and for trying things out. It checks signatures and the hash of what it is sent.
# usage: scripts/s3.sh install                   fetches its jars by Maven, once, into build/vendor/s3 (needs a Java runtime and Maven)
#        scripts/s3.sh run FOLDER PORT [BUCKET]  serves on 127.0.0.1:PORT, data in FOLDER, until SIGTERM; BUCKET is made if missing
# It answers as soon as it is ready. Addresses are http://localhost:PORT/BUCKET/KEY or http://BUCKET.localhost:PORT/KEY.
# Environment: S3_ACCESS_KEY, S3_SECRET_KEY (test-access, test-secret), S3_HEAP (192m)
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "$0")")")
. "$project/scripts/paths.sh"
. "$project/scripts/jars.sh"
lists=("$project/scripts/s3-pom.xml" "$project/scripts/s3.sha256")
jars=$vendor/s3

usage() { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }

fetch() { fetch_jars "${lists[@]}" "$1"; }

write_settings() {  # FOLDER PORT
  cat >"$1/s3.properties" <<EOT
s3proxy.endpoint=http://127.0.0.1:$2
s3proxy.virtual-host=localhost
s3proxy.authorization=aws-v4
s3proxy.identity=${S3_ACCESS_KEY:-test-access}
s3proxy.credential=${S3_SECRET_KEY:-test-secret}
jclouds.provider=filesystem-nio2
jclouds.identity=unused
jclouds.credential=unused
jclouds.filesystem.basedir=$1/data
EOT
  [ "${S3_VIRTUAL:-off}" = off ] || echo s3proxy.virtual-host=localhost >>"$1/s3.properties"
  cat >"$1/logback.xml" <<'EOT'
<configuration>
  <appender name="err" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="err"/></root>
</configuration>
EOT
}

run() {  # FOLDER PORT [BUCKET]: a bucket is a folder of the data
  local folder
  mkdir -p "$1/data${3:+/$3}"
  folder=$(cd "$1" && pwd)
  write_settings "$folder" "$2"
  exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.awt.headless=true -Xmx"${S3_HEAP:-192m}" \
    -Dlogback.configurationFile="$folder/logback.xml" -cp "$jars/*" org.gaul.s3proxy.Main --properties "$folder/s3.properties"
}

case "${1:-}/$#" in
  install/1) make_folder "$jars" fetch "${lists[@]}" ;;
  run/3 | run/4) run "$2" "$3" "${4:-}" ;;
  *) usage ;;
esac
