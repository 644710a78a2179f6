#!/usr/bin/env bash
# Makes the Debian package of what is built, in a copy of the sources, so that nothing is left beside them.
# usage: packaging/deb.sh FOLDER     the package and what describes it come there
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "$1")
version=$(<VERSION)
changed=$(dpkg-parsechangelog -S Version)
[ "$changed" = "$version" ] || { echo "deb.sh: VERSION is $version, debian/changelog tells of $changed" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out/source/build"
tar -c --exclude=./build --exclude=./.git --exclude=node_modules --exclude=./var . | tar -x -C "$out/source"
for part in release man vendor/swagger-ui; do
  mkdir -p "$out/source/build/$(dirname "$part")"
  cp -al "build/$part" "$out/source/build/$part"
done
if ! (cd "$out/source" && dpkg-buildpackage -b -us -uc) >"$out/log" 2>&1; then
  tail -n 30 "$out/log" >&2
  echo "deb.sh: making the package failed; the whole log is $out/log" >&2
  exit 1
fi
rm -rf "$out/source"
ls "$out"/mopl_*.deb
