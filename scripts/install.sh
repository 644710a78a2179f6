#!/usr/bin/env bash
# Installs the Debian packages that MOPL needs, only those that are missing.
# usage: scripts/install.sh run|test|bench|package|kafka|search|monitoring   run: build and serve it; test: also what its tests and checks use;
#        bench: also what its benchmarks use; package: make the Debian package; kafka, search: a private broker or search engine; monitoring: Prometheus and its exporters
# Of an installed MOPL it only tells what is missing (exit status 1).
# Runs as root or by sudo. The packages' own daemons are neither started nor enabled: MOPL starts private ones.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD
. scripts/paths.sh

run_packages=(
  gcc libc6-dev make                                                                           # build
  libfcgi-dev libpq-dev libhiredis-dev libjson-c-dev libjwt-dev libcurl4-openssl-dev libssl-dev libcrypt-dev
  libev-dev librdkafka-dev libexpat1-dev libunistring-dev libarchive-dev
  postgresql-15 redis-server lighttpd lighttpd-mod-deflate spawn-fcgi multiwatch               # serve
  ca-certificates curl openssl procps util-linux python3-pip lighttpd-mod-openssl              # control, viewer
)
test_packages=(
  libcriterion-dev clang clang-tidy clang-format cppcheck libclang-rt-14-dev shellcheck        # unit tests, analysis
  chromium jq wrk python3 git postgresql-contrib                                               # through the front server
)
package_packages=(build-essential debhelper dpkg-dev lintian systemd logrotate groff-base mandoc debootstrap)  # package, units, manual pages
bench_packages=(nginx libnginx-mod-nchan)  # nchan, which the bridge is measured beside
kafka_packages=(default-jre-headless maven)
monitoring_packages=(
  prometheus prometheus-pushgateway prometheus-node-exporter prometheus-postgres-exporter prometheus-redis-exporter
  prometheus-elasticsearch-exporter prometheus-blackbox-exporter gnuplot-nox
)
search_packages=(default-jdk-headless maven)

usage() { sed -n '2,6s/^# //p' "$0"; }
case "${1:-}" in
  run) wanted=("${run_packages[@]}") ;;
  test)
    wanted=("${run_packages[@]}" "${test_packages[@]}" "${kafka_packages[@]}" "${search_packages[@]}" "${monitoring_packages[@]}"
      "${package_packages[@]}")
    ;;
  package) wanted=("${run_packages[@]}" "${package_packages[@]}") ;;
  bench)
    wanted=("${run_packages[@]}" "${test_packages[@]}" "${kafka_packages[@]}" "${search_packages[@]}" "${bench_packages[@]}")
    ;;
  monitoring) wanted=("${monitoring_packages[@]}") ;;
  kafka) wanted=("${kafka_packages[@]}") ;;
  search) wanted=("${search_packages[@]}") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

if [ "$1" = test ] || [ "$1" = bench ]; then  # a Node.js from elsewhere serves as well; Debian's own comes in pieces
  major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p' || true)
  [ "${major:-0}" -ge 18 ] || wanted+=(nodejs)
  command -v npm >/dev/null || wanted+=(npm)
fi

missing() {  # the wanted packages that are not installed
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii *//p' || true)
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(sort -u <<<"$installed")
}

mapfile -t need < <(missing)
if [ -n "$is_installed" ]; then
  [ "${#need[@]}" -eq 0 ] || { echo "mopl: packages are missing: apt install ${need[*]}" >&2; exit 1; }
  exit 0
fi
root() { "$@"; }
if [ "$(id -u)" -ne 0 ]; then
  root() { sudo -n true 2>/dev/null || echo "MOPL: sudo may ask for your password to install packages." >&2; sudo "$@"; }
fi

if [ "${#need[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "install.sh: this needs Debian 12 (no apt-get here); install by hand: ${need[*]}" >&2; exit 1; }
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "install.sh: ${#need[@]} packages are missing and neither root nor sudo is at hand. As root, run: scripts/install.sh $1" >&2
    exit 1
  fi
  echo "Installing ${#need[@]} packages: ${need[*]}"
  log=$(mktemp)
  # Everything that needs root happens in one shell, so that sudo asks once and the trap is sure to run.
  if ! root env DEBIAN_FRONTEND=noninteractive bash -s -- "${need[@]}" >"$log" 2>&1 <<'AS_ROOT'
set -euo pipefail
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
fi
cluster=/etc/postgresql-common/createcluster.conf
if [ ! -e "$cluster" ]; then
  mkdir -p "${cluster%/*}"
  printf '# Written by MOPL, which runs a private server of its own: no cluster is made for the whole machine.\ncreate_main_cluster = false\n' >"$cluster"
fi
quiet=()
for unit in redis-server lighttpd nginx prometheus prometheus-pushgateway prometheus-{node,postgres,redis,elasticsearch,blackbox}-exporter; do
  case " $* " in *" $unit "*) quiet+=("$unit") ;; esac
done
options=(-y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io)
apt-get install "${options[@]}" "$@" || { apt-get update -q && apt-get install "${options[@]}" "$@"; }
for unit in "${quiet[@]}"; do update-rc.d "$unit" disable || true; done
AS_ROOT
  then
    tail -n 20 "$log" >&2
    echo "install.sh: installing failed; the whole log is $log" >&2
    exit 1
  fi
  rm -f "$log"
fi

# Started as root, MOPL runs its services as this user.
if [ "$(id -u)" -eq 0 ] && ! getent passwd mopl >/dev/null; then
  useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin mopl
fi
