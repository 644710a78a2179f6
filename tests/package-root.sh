#!/usr/bin/env bash
# Installs the Debian package of build/deb in a bare Debian 12 without systemd, starts it there by `mopl up`, uses it, replaces it while it
# runs, removes and purges it. Prints "ok NAME" or "not ok NAME" with what it said, a step each.
# usage: tests/package-root.sh [ROOT]     ROOT: a bare root, which is copied; else debootstrap makes one from this machine's mirror
# Needs root. Takes two minutes on a quiet machine; everything happens in a temporary folder and in namespaces that end with it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "package-root.sh: only root can" >&2; exit 2; }
package=$(realpath build/deb/mopl_*.deb)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
work=$(mktemp -d "${TMPDIR:-/tmp}/mopl-root-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

if [ "$#" -gt 0 ]; then
  cp -a "$1" "$work/root"
else
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
  debootstrap --variant=minbase bookworm "$work/root" "$mirror" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; exit 1; }
fi
cp /etc/resolv.conf "$work/root/etc/"
printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"  # the packages' own daemons stay where they are, as in a container
chmod 755 "$work/root/usr/sbin/policy-rc.d"
cp "$package" "$work/root/mopl.deb"

cat >"$work/root/steps.sh" <<'EOT'
set -uo pipefail
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 base=http://127.0.0.1:$port
failed=0
step() {  # NAME COMMANDS
  if bash -euo pipefail -c "$2" >/tmp/log 2>&1; then echo "ok $1"; else tail -n 40 /tmp/log; echo "not ok $1"; failed=1; fi
}
step 'it is installed with what it depends on' 'apt-get update -qq && apt-get install -y -q --no-install-recommends /mopl.deb'
step 'it has its user and its folders, private, and settings without secrets' '
  [ "$(stat -c "%U %a" /var/lib/mopl /etc/mopl /etc/mopl/settings.env | paste -sd" ")" = "mopl 700 mopl 750 mopl 600" ]
  ! grep -q "^MOPL_" /etc/mopl/settings.env'
step 'nothing was started' '! pgrep -u mopl && ! pgrep postgres && ! pgrep lighttpd'
step 'it starts, loads titles and answers' '
  printf "MOPL_PORT=%s\n" "$port" >>/etc/mopl/settings.env
  mopl up && mopl batch import-catalogue && mopl status
  curl -sf "$base/api/health" | grep -q "\"status\":\"UP\""
  for page in docs/ docs/swagger-ui/swagger-ui-bundle.js docs/openapi.yaml; do curl -sf -o /dev/null "$base/$page"; done'
step 'its secrets are in /etc, and nobody but mopl runs it' '
  grep -q "^MOPL_JWT_KEY=" /etc/mopl/settings.env && [ "$(stat -c "%U %a" /etc/mopl/settings.env)" = "mopl 600" ]
  [ ! -e /var/lib/mopl/settings.env ]
  [ "$(ps -eo user=,args= | grep -e /usr/lib/mopl/bin -e lighttpd -e redis-server -e postgres | grep -v grep | cut -d" " -f1 | sort -u)" = mopl ]'
step 'somebody signs in' '
  password=$(sed -n "s/^MOPL_ADMIN_PASSWORD=//p" /etc/mopl/settings.env)
  token=$(curl -sf "$base/api/auth/sign-in" -d username=admin@mopl.local --data-urlencode "password=$password" | sed "s/.*\"accessToken\":\"\([^\"]*\)\".*/\1/")
  curl -sfG "$base/api/contents" -H "Authorization: Bearer $token" -d limit=1 -d sortBy=createdAt -d sortDirection=DESCENDING | grep -q "\"totalCount\":9"'
# The front server closes a connection now and then that has just been opened, as it begins anew.
step 'it is replaced while it runs, and no request is refused' '
  (while [ ! -e /tmp/replaced ]; do curl -s -o /dev/null -w "%{http_code}\n" "$base/api/health"; done >/tmp/seen) &
  before=$(pgrep -P "$(cat /var/lib/mopl/run/auth.pid)" | sort)
  apt-get install -y -q --reinstall /mopl.deb
  touch /tmp/replaced && wait
  after=$(pgrep -P "$(cat /var/lib/mopl/run/auth.pid)" | sort)
  [ -n "$after" ] && [ -z "$(comm -12 <(echo "$before") <(echo "$after"))" ]
  sort /tmp/seen | uniq -c
  [ "$(grep -c "^200$" /tmp/seen)" -gt 10 ] && ! grep -v -e "^200$" -e "^000$" /tmp/seen && [ "$(grep -c "^000$" /tmp/seen)" -le 1 ]'
step 'it is backed up' 'mopl backup /tmp/backup.tar && tar -tf /tmp/backup.tar settings.env'
step 'it is removed: it ends, data and settings stay' '
  apt-get remove -y -q mopl
  ! pgrep -u mopl
  [ -d /var/lib/mopl/postgres ] && grep -q "^MOPL_JWT_KEY=" /etc/mopl/settings.env && [ ! -e /usr/bin/mopl ] && [ ! -e /usr/share/mopl ]'
step 'it is installed again, and all is there' '
  apt-get install -y -q --no-install-recommends /mopl.deb
  mopl up && curl -sf "$base/api/health/ready" && mopl down && ! pgrep -u mopl'
step 'a new instance is restored from the backup' '
  mv /var/lib/mopl/postgres /tmp/former && find /var/lib/mopl -mindepth 1 -maxdepth 1 ! -name run -exec rm -rf {} +
  mopl restore /tmp/backup.tar && mopl up && curl -sf "$base/api/health/ready" && mopl down'
step 'it is purged: nothing of it is left' '
  apt-get purge -y -q mopl
  [ -z "$(find / -xdev \( -path /proc -o -path /tmp -o -path /var/cache -o -path /var/log -o -path /var/lib/systemd \) -prune -o -name "*mopl*" ! -path "/mopl.deb" -print)" ]'
exit "$failed"
EOT
unshare --mount --pid --ipc --fork --kill-child sh -c '
  mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/run" && exec chroot "$@"
' _ "$work/root" env -i port="$port" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /steps.sh
