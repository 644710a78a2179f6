# Sourced by the scripts of private servers: how their programs are fetched.
# shellcheck shell=bash

# Makes FOLDER by MAKER, a command that gets the path of an empty folder: aside, and renamed, so that a folder of that name is complete. Once,
# unless one of FILES has changed since.
make_folder() {  # FOLDER MAKER FILE...
  local mark
  umask 022  # another user may run what is in it
  mark=$(cat "${@:3}" | sha256sum | cut -c 1-16)
  [ ! -e "$1/$mark" ] || return 0
  rm -rf "$1" "$1.new"
  mkdir -p "$1.new"
  "$2" "$1.new"
  touch "$1.new/$mark"
  mv "$1.new" "$1"
}

# Fetches what a pom names, and all that it needs to run, and holds it against the list of hashes.
fetch_jars() {  # POM HASHES FOLDER
  mvn --batch-mode --quiet -Dstyle.color=never -f "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$3"
  (cd "$3" && sha256sum --quiet --strict -c "$2")
}
