#!/usr/bin/env bash
# Writes the manual pages into FOLDER, out of what the programs say of themselves (--help) and the table of settings (lib/conf.def).
# usage: packaging/man.sh FOLDER PROGRAMS     PROGRAMS: the folder of the compiled programs
set -euo pipefail
out=$1 programs=$(realpath "$2")
cd "$(dirname "$0")/.."
version=$(<VERSION)
day=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y VERSION)}" +%F)
mkdir -p "$out"

text() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\([.']\)/\\\\\&\1/"; }  # as roff takes it
verbatim() { printf '.nf\n'; text; printf '.fi\n'; }
title() { printf '.TH %s %s %s "MOPL %s" "%s"\n.SH NAME\n%s \\- %s\n' "${1^^}" "$2" "$day" "$version" "$3" "$1" "$(text <<<"$4")"; }  # NAME SECTION MANUAL WHAT
see_also() { printf '.SH SEE ALSO\n'; printf '.BR %s (%s),\n' "$@" | sed '$ s/,$//'; }  # NAME SECTION ...

synopsis() { sed -n 's/^usage: //p; s/^       \(mopl\)/\1/p' | text | sed '2,$ s/^/.br\n/'; }  # lines of a usage
prose() { sed '/^usage: /d; /^       mopl/d'; }

mopl_page() {
  local command
  title mopl 1 "MOPL" "control a server of MOPL: start, end, look after it"
  printf '.SH SYNOPSIS\n.B mopl\n.I COMMAND\n.RI [ arguments ]\n'
  cat <<'EOT'
.SH DESCRIPTION
MOPL is the server side of a place to discover films, series and sports matches. This command starts and ends everything that belongs to an
instance, and looks after it. An instance is a folder, MOPL_DATA, with its databases, logs, files and sockets; several run side by side.
.PP
Under systemd an installed instance is run by
.IR mopl.target ,
whose services are kept alive one by one
.RB ( "mopl run" ).
.SH COMMANDS
EOT
  for command in $(./mopl help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -vx -e help -e version); do
    printf '.SS %s\n' "$(./mopl help "$command" | synopsis | head -n 1)"
    ./mopl help "$command" | synopsis | tail -n +2 | sed '1 { /^.br/d }'
    ./mopl help "$command" | prose | verbatim
  done
  cat <<'EOT'
.SH ENVIRONMENT
.TP
.B MOPL_DATA
Folder of the instance.
.PP
All other settings are lines of a file, or in the environment, too: see
.BR mopl.settings (5).
.SH EXIT STATUS
0 done, 1 failed or not all runs, 2 bad usage or settings.
EOT
  see_also mopl.settings 5 mopl-batch 1 mopl-admin 1
}

batch_help() { "$programs/mopl-batch" "$@" --help | sed 's/mopl-batch/mopl batch/g'; }

batch_page() {
  title mopl-batch 1 "MOPL" "batch jobs of MOPL"
  printf '.SH SYNOPSIS\n'
  batch_help | sed '/^Jobs/,$d' | synopsis
  printf '.SH DESCRIPTION\nRuns a job in the foreground: with a bar on a terminal, with JSON lines elsewhere. A job that was killed goes on where it was.\n'
  printf 'The worker\n.I scheduler\nruns\n.B daily\nat MOPL_BATCH_AT.\n.SH JOBS\n'
  batch_help | sed -n '/^Jobs/,/^Options/{/^  /p}' | while read -r name what; do printf '.TP\n.BR mopl\\-batch\\-%s (1)\n%s\n' "$(text <<<"$name")" "$(text <<<"$what")"; done
  printf '.SH OPTIONS\n'
  batch_help | sed -n '/^Options/,/^Exit/{/^  /p}' | verbatim
  printf '.SH EXIT STATUS\n'
  batch_help | sed -n 's/^Exit status: //p' | text
  see_also mopl 1 mopl.settings 5
}

job_page() {  # NAME
  title "mopl-batch-$1" 1 "MOPL" "$(batch_help "$1" | sed -n 2p)"
  printf '.SH SYNOPSIS\n'
  batch_help "$1" | head -n 1 | synopsis
  printf '.SH DESCRIPTION\n'
  batch_help "$1" | tail -n +3 | sed '/^  --/,$d' | text
  printf '.SH OPTIONS\n.TP\n.B \\-\\-dry\\-run\nDo everything, then roll it back.\n'
  batch_help "$1" | tail -n +3 | sed -n 's/^  \(--[^ ]*\( [A-Z]*\)\?\)  *\(.*\)/\1\t\3/p' |
    while IFS=$'\t' read -r option what; do printf '.TP\n.B %s\n%s\n' "$(text <<<"$option")" "$(text <<<"$what")"; done
  printf '.SH EXIT STATUS\n'
  batch_help | sed -n 's/^Exit status: //p' | text
  see_also mopl-batch 1 mopl.settings 5
}

admin_page() {
  title mopl-admin 1 "MOPL" "administer accounts, events and live connections of MOPL"
  printf '.SH SYNOPSIS\n'
  "$programs/mopl-admin" --help | sed 's/mopl-admin/mopl admin/' | synopsis
  printf '.SH DESCRIPTION\n'
  "$programs/mopl-admin" --help | prose | sed '/^Exit status/d' | verbatim
  printf '.SH EXIT STATUS\n'
  "$programs/mopl-admin" --help | sed -n 's/^Exit status: //p' | text
  see_also mopl 1
}

# CONF_TEXT(field, "NAME", "default", secret, "help"), CONF_INT(field, "NAME", default, min, max, "help"), CONF_BOOL(field, "NAME", default, "help")
settings_page() {
  title mopl.settings 5 "MOPL" "settings of MOPL"
  cat <<'EOT'
.SH DESCRIPTION
A setting is an environment variable, else a line NAME=value of the file that MOPL_SETTINGS names
.RI ( /etc/mopl/settings.env
of an installed MOPL's own instance, MOPL_DATA/settings.env of any other), else its default. The file holds secrets: it belongs to the
user whom the services run as, with mode 0600, or nothing starts. The first start adds what it must generate. Lines that begin with # are remarks.
.PP
.B mopl config
prints all of them with their values, and every mistake at once. A changed file is taken into use by
.BR "mopl restart" .
.SH SETTINGS
EOT
  sed -n 's/^CONF_\([A-Z]*\)([a-z0-9_]*, "\([A-Z0-9_]*\)", \(.*\), "\(.*\)")$/\1\t\2\t\3\t\4/p' lib/conf.def |
    while IFS=$'\t' read -r kind name values help; do
      printf '.TP\n.B %s\n%s.\n' "$name" "$(text <<<"${help^}")"
      case "$kind" in
        INT)
          read -r default min max <<<"${values//,/}"
          printf '%s to %s; %s unless set.\n' "$min" "$max" "$default"
          ;;
        BOOL) if [ "$values" = true ]; then echo "On unless set."; else echo "Off unless set."; fi ;;
        TEXT)
          [[ $values != *" true" ]] || echo "Secret."
          values=${values%, *}
          [ "$name" != MOPL_DATA ] || values=/var/lib/mopl
          [ "$values" = '""' ] || printf '%s unless set.\n' "$(text <<<"${values//\"/}")"
          ;;
      esac
    done
  see_also mopl 1
}

mopl_page >"$out/mopl.1"
batch_page >"$out/mopl-batch.1"
admin_page >"$out/mopl-admin.1"
settings_page >"$out/mopl.settings.5"
for job in $("$programs/mopl-batch" --help | sed -n '/^Jobs/,/^Options/s/^  \([a-z-]*\) .*/\1/p'); do job_page "$job" >"$out/mopl-batch-$job.1"; done
