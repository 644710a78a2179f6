#!/usr/bin/env bash
# A private Elasticsearch node with the Korean analyzer, on the loopback only.
# usage: scripts/search.sh install           fetches its jars by Maven, once, into build/vendor/search (needs a JDK and Maven)
#        scripts/search.sh run FOLDER PORT   serves on 127.0.0.1:PORT (and PORT + 1, to itself), data in FOLDER, until SIGTERM
# "Search node started" on stdout says that it is ready. A second run on the same FOLDER goes on with its data. Maven Central has the server
# without its modules: no scripts, no _reindex, no _delete_by_query; of the analyzers what scripts/search/KoreanPlugin.java brings.
# Environment: SEARCH_HEAP (512m)
set -euo pipefail
project=$(dirname "$(dirname "$(readlink -f "$0")")")
sources=$project/scripts/search
. "$project/scripts/paths.sh"
. "$project/scripts/jars.sh"
programs=$vendor/search

usage() { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }

# A module of the server: its jars in a folder of their own, and a description.
describe_module() {  # FOLDER CLASS
  local version
  version=$(basename "$1"/../../lib/elasticsearch-[0-9]*.jar .jar)
  version=${version#elasticsearch-}
  printf '%s\n' "name=$(basename "$1")" "description=$(basename "$1")" "version=$version" "elasticsearch.version=$version" \
    java.version=17 "classname=$2" >"$1/plugin-descriptor.properties"
}

make_programs() {  # FOLDER
  mkdir -p "$1"/{lib,config,plugins,modules/transport-netty4,modules/analysis-korean}
  fetch_jars "$sources/pom.xml" "$sources/jars.sha256" "$1/lib"
  mv "$1"/lib/{netty-,transport-netty4-}*.jar "$1/modules/transport-netty4/"
  mv "$1"/lib/lucene-analysis-nori-*.jar "$1/modules/analysis-korean/"
  describe_module "$1/modules/transport-netty4" org.elasticsearch.transport.netty4.Netty4Plugin
  describe_module "$1/modules/analysis-korean" KoreanPlugin
  javac -cp "$1/lib/*" -d "$1/lib" "$sources/SearchNode.java"
  javac -cp "$1/lib/*:$1/modules/analysis-korean/*" -d "$1/classes" "$sources/KoreanPlugin.java"
  jar --create --file "$1/modules/analysis-korean/analysis-korean.jar" -C "$1/classes" .
  rm -r "$1/classes"
}

run() {  # FOLDER PORT
  local folder
  mkdir -p "$1/config" "$1/tmp"
  folder=$(cd "$1" && pwd)
  exec java -Xms"${SEARCH_HEAP:-512m}" -Xmx"${SEARCH_HEAP:-512m}" -XX:+UseSerialGC -XX:-UsePerfData -Djava.awt.headless=true \
    -Djava.io.tmpdir="$folder/tmp" -cp "$programs/lib/*:$programs/lib" SearchNode "$programs" "$folder" "$2"
}

case "${1:-}/$#" in
  install/1) make_folder "$programs" make_programs "$sources"/* ;;
  run/3) run "$2" "$3" ;;
  *) usage ;;
esac
