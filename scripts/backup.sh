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
  (umask 077 && tar -c -f "$file.part" -C "$temporary" database.dump -C "$MOPL_DATA" files settings.env)
  mv "$file.part" "$file"
  echo "$file: $(du -h "$file" | cut -f 1)"
}

cmd_restore() {  # FILE
  local file temporary
  file=$(realpath -m "$1")
  [ -r "$file" ] || die "cannot read $file"
  tar -tf "$file" database.dump files/ settings.env >/dev/null 2>&1 || die "$file is no archive of mopl backup"
  locate_data
  [ -z "$(ls -A "$MOPL_DATA" 2>/dev/null)" ] || die "$MOPL_DATA is not empty: restore fills a new instance (set MOPL_DATA)"
  use_data_folder
  only_one
  temporary=$("${as_service[@]}" mktemp -d "$run/restore.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$temporary'; stop_all" EXIT
  "${as_service[@]}" tar -x -C "$temporary" --no-same-owner <"$file"
  "${as_service[@]}" sh -c 'rmdir "$2/files" && mv "$1/files" "$2/files" && chmod 600 "$1/settings.env" && mv "$1/settings.env" "$2/settings.env"' _ \
    "$temporary" "$MOPL_DATA"
  load_settings
  start_stores
  [ -z "$(psql_value "select 1 from pg_tables where schemaname = 'public' limit 1")" ] ||
    die "the database holds tables already: restore needs an empty one"
  step restore "$pg_bin/pg_restore" --no-owner --exit-on-error --single-transaction --dbname "$MOPL_DATABASE_URL" \
    "$temporary/database.dump"
  echo "$MOPL_DATA is filled. Start it: mopl up"
}

psql_value() { "${as_service[@]}" "$pg_bin/psql" -XAtq -d "$MOPL_DATABASE_URL" -c "$1"; }
