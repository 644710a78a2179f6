# Sourced by mopl: all data and settings in one archive, and back.
# shellcheck shell=bash
# The archive is a tar of database.dump (pg_dump, custom format), files/ and settings.env.

cmd_backup() {  # FILE
  local file temporary
  file=$(realpath -m "$1")
  adopt_environment
  load_settings
  [ -d "$run" ] || die "there is no instance in $MOPL_DATA"
  use_data_folder
  [ ! -e "$file" ] || die "$file exists already"
  temporary=$("${as_service[@]}" mktemp -d "$run/backup.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$temporary' '$file.part'" EXIT
  # The rows are taken first: a picture that comes later is one too many, never one too few.
  "${as_service[@]}" "$pg_bin/pg_dump" --format custom --no-owner --file "$temporary/database.dump" "$MOPL_DATABASE_URL" ||
    die "the database could not be read (is it running? mopl status)"
  (umask 077 && tar -c -f "$file.part" -C "$temporary" database.dump -C "$MOPL_DATA" files -C "${MOPL_SETTINGS%/*}" --transform "s|^${MOPL_SETTINGS##*/}\$|settings.env|" "${MOPL_SETTINGS##*/}")
  mv "$file.part" "$file"
  echo "$file: $(du -h "$file" | cut -f 1)"
}

cmd_restore() {  # FILE
  local file temporary
  file=$(realpath -m "$1")
  [ -r "$file" ] || die "cannot read $file"
  tar -tf "$file" database.dump files/ settings.env >/dev/null 2>&1 || die "$file is no archive of mopl backup"
  locate_data
  # What the package made of an instance that was never started is none yet.
  [ -z "$(find "$MOPL_DATA" -mindepth 1 -maxdepth 1 ! -name run 2>/dev/null)" ] || die "$MOPL_DATA is not empty: restore fills a new instance (set MOPL_DATA)"
  use_data_folder
  only_one
  temporary=$("${as_service[@]}" mktemp -d "$run/restore.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$temporary'; stop_all" EXIT
  "${as_service[@]}" tar -x -C "$temporary" --no-same-owner <"$file"
  "${as_service[@]}" sh -c '
    umask 077
    rmdir "$2/files" && mv "$1/files" "$2/files" && cp "$1/settings.env" "$3.new" && { [ ! -e "$3" ] || mv "$3" "$3.before"; } && mv "$3.new" "$3"
  ' _ "$temporary" "$MOPL_DATA" "${MOPL_SETTINGS:-$MOPL_DATA/settings.env}"
  load_settings
  start_stores
  [ -z "$(psql_value "select 1 from pg_tables where schemaname = 'public' limit 1")" ] ||
    die "the database holds tables already: restore needs an empty one"
  step restore "$pg_bin/pg_restore" --no-owner --exit-on-error --single-transaction --dbname "$MOPL_DATABASE_URL" \
    "$temporary/database.dump"
  echo "$MOPL_DATA is filled. Start it: mopl up"
}

psql_value() { "${as_service[@]}" "$pg_bin/psql" -XAtq -d "$MOPL_DATABASE_URL" -c "$1"; }
