# Sourced by mopl: all data and settings in one archive, and back. What an archive is made of: tools/mopl-archive.h.
# shellcheck shell=bash

cmd_backup() {  # [--no-objects] FILE|- | --verify FILE
  local objects=() file part_fd
  case "${1:-}" in
    --verify) takes "$#" 2 2; verify_archive "$2"; return ;;
    --no-objects) objects=(--no-objects); shift ;;
  esac
  takes "$#" 1 1
  adopt_environment
  load_settings
  [ -d "$run" ] || die "there is no instance in $MOPL_DATA"
  find_program mopl-archive
  use_data_folder
  if [ "$1" = - ]; then
    [ ! -t 1 ] || die "an archive is not for a terminal"
    archive_to_output "${objects[@]}"
    return
  fi
  file=$(realpath -m "$1")
  [ ! -e "$file" ] || die "$file exists already"
  # Complete, checked and on the disk before it gets its name.
  exec {part_fd}>>"$file.part" || die "$file cannot be written"
  flock -n "$part_fd" || die "another backup writes $file"
  # shellcheck disable=SC2064
  trap "rm -f '$file.part'" EXIT
  : >"$file.part"
  archive_to_output "${objects[@]}" >&"$part_fd" || die "nothing was backed up"
  sync "$file.part"
  verify_archive "$file.part" >/dev/null
  mv -n "$file.part" "$file"
  [ ! -e "$file.part" ] || die "$file exists already"
  sync "${file%/*}/"
  echo "$file: $(du -h "$file" | cut -f 1)"
}

archive_to_output() {  # [--no-objects]
  effective_settings | "${as_service[@]}" env PATH="$pg_bin:$PATH" "$bin/mopl-archive" write "$@"
}

# Those of settings.env and, before them, those that only the environment has: so that a restored instance lacks none. A private broker or
# search engine is not in the archive, and its address would lead nowhere.
effective_settings() {
  local line name exported
  declare -A given=()
  exported=" $(compgen -e | tr '\n' ' ')"
  while IFS= read -r line; do
    name=${line%%=*}
    [[ $name =~ ^[A-Z] && $name != MOPL_DATA && $name != MOPL_SETTINGS ]] || continue
    [[ $exported == *" $name "* || $name == MOPL_S3_* && $exported == *" AWS_${name#MOPL_} "* ]] || continue
    given[$name]=yes
    is_private "$name" || printf '%s\n' "$line"
  done < <("$bin/mopl-conf" --export 2>/dev/null)
  [ -e "$MOPL_SETTINGS" ] || return 0
  while IFS= read -r line; do
    name=${line%%=*}
    name=${name//[[:space:]]/}
    [ -n "${name:+${given[$name]:-}}" ] || is_private "$name" || printf '%s\n' "$line"
  done <"$MOPL_SETTINGS"
}

is_private() {  # SETTING
  { [ "$1" = MOPL_KAFKA_BROKERS ] && [ -e "$MOPL_DATA/kafka/port" ]; } ||
    { [ "$1" = MOPL_ELASTICSEARCH_URL ] && [ -e "$MOPL_DATA/search/port" ]; }
}

verify_archive() {  # FILE; sets archive_id
  local known format version schema created objects files
  [ -r "$1" ] && [ -f "$1" ] || die "cannot read $1"
  find_program mopl-archive
  known=$("$bin/mopl-archive" verify <"$1") || die "$1 is no archive that can be restored"
  read -r archive_id format version schema created objects files <<<"$known"
  if [ "$format" -eq 0 ]; then
    echo "$1: of a version before 1.0.0, which wrote no checksum; $files files; it can be read to its end"
  else
    echo "$1: of MOPL $version (schema $schema), $created, $files files$([ "$objects" = yes ] || echo ', without those of the bucket'); complete and unharmed"
  fi
}

cmd_restore() {  # [--no-objects] FILE
  local objects=() file archive_id settings
  if [ "${1:-}" = --no-objects ]; then objects=(--no-objects); shift; fi
  takes "$#" 1 1
  file=$(realpath -m "$1")
  locate_data
  # What the package made of an instance that was never started is none yet; an operator's own settings for the new one may be there.
  [ -e "$MOPL_DATA/restoring" ] || [ -z "$(find "$MOPL_DATA" -mindepth 1 -maxdepth 1 ! -name run ! -name settings.env 2>/dev/null)" ] ||
    die "$MOPL_DATA is not empty: restore fills a new instance (set MOPL_DATA)"
  verify_archive "$file"
  use_data_folder
  only_one
  ! running lighttpd || die "it runs: mopl down"
  "${as_service[@]}" touch "$MOPL_DATA/restoring"
  trap stop_all EXIT
  settings=${MOPL_SETTINGS:-$MOPL_DATA/settings.env}
  merge_settings "$settings" <"$file"
  load_settings
  start_stores
  "${as_service[@]}" env PATH="$pg_bin:$PATH" "$bin/mopl-archive" restore "${objects[@]}" --id "$archive_id" <"$file" ||
    die "$MOPL_DATA is not restored: when that is mended, the same command goes on"
  echo "$MOPL_DATA is filled. Start it: mopl up"
}

# Settings that are there already go before the archive's; with a bucket that is none goes all else that is said of it.
merge_settings() {  # FILE; the archive on stdin
  "${as_service[@]}" sh -c '
    umask 077
    "$1" settings >"$2.archive" && touch "$2" && chmod 600 "$2" || exit
    { cat "$2"; awk -F = "
        function name(field) { gsub(/[ \t]/, \"\", field); return field }
        NR == FNR { if (/^MOPL_S3_BUCKET=\$/) none = 1; if (!/^[ \t]*(#|\$)/) had[name(\$1)]; next }
        none && /^MOPL_S3_/ { next }
        /^[ \t]*(#|\$)/ || !(name(\$1) in had)" "$2" "$2.archive"
    } >"$2.new" && rm "$2.archive" && mv "$2.new" "$2"
  ' _ "$bin/mopl-archive" "$1" || die "the settings of the archive could not be stored in $1"
}

# For those who start services.
refuse_half_restored() {
  [ ! -e "$MOPL_DATA/restoring" ] || die "$MOPL_DATA is half restored: mopl restore FILE, with the same FILE, goes on"
}
