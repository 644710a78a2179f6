#!/usr/bin/env bash
# The last part of `make run`: starts MOPL, loads the catalogue and some life the first time, and says how to go on.
set -euo pipefail
cd "$(dirname "$0")/.."

./mopl up
eval "$("${MOPL_BIN:-build/release/bin}/mopl-conf" --export 2>/dev/null)"
loaded=$MOPL_DATA/demo.loaded
if [ ! -e "$loaded" ]; then
  # People see the jobs' progress; otherwise their events are a log.
  [ -t 2 ] || exec 2>>"$MOPL_DATA/logs/batch.log"
  ./mopl batch import-catalogue
  ./mopl batch demo
  : >"$loaded"
fi

address=${MOPL_PUBLIC_URL%/}
cat <<EOT

  MOPL        $address/
  API         $address/docs/     (try it out there, or by curl as README.md shows)
  Sign-in     $MOPL_ADMIN_EMAIL
  Password    $MOPL_ADMIN_PASSWORD

  ./mopl status    what runs          ./mopl logs -f   what it says
  ./mopl down      end everything     make help        more

EOT
