# P8: collecting from a local TMDB server, without pictures, and with pictures into a local S3 server.
# shellcheck shell=bash

p8_pids=()

p8_serve() {  # OPTIONS...: the source's process and address
  rm -f "$bench/p8.address"
  node tests/support/sources.mjs "$@" >"$bench/p8.address" 2>&3 3>&- 4>&- &
  p8_pids+=("$!")
  await 30 [ -s "$bench/p8.address" ] || die "the source does not start"
  p8_source=$(cat "$bench/p8.address")
}

p8_end() {
  [ "${#p8_pids[@]}" -eq 0 ] || kill "${p8_pids[@]}" 2>/dev/null || true
  p8_pids=()
}

p8_run() {  # ARGUMENTS...: seconds it took, and the most memory (MB) it had while the first and the second half of the pictures came
  local pid from=$EPOCHREALTIME samples=$bench/p8.samples
  "${as_service[@]}" env MOPL_DATA="$MOPL_DATA" MOPL_PORT="$MOPL_PORT" "${p8_settings[@]}" "$bin/mopl-batch" fetch-tmdb --base "$p8_source" "$@" >&3 2>&3 4>&- &
  pid=$!
  : >"$samples"
  while kill -0 "$pid" 2>/dev/null; do
    awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$pid/status" >>"$samples" 2>/dev/null || true
    sleep 0.1
  done
  wait "$pid" || die "the job failed: build/bench/log"
  p8_seconds=$(calc %.2f 'b - a' a="$from" b="$EPOCHREALTIME")
  read -r p8_first p8_second < <(awk '{ v[NR] = $1 } END {
    for (i = 1; i <= NR; i++) { if (i <= NR / 2 && v[i] > a) a = v[i]; if (i > NR / 2 && v[i] > b) b = v[i] } printf "%.1f %.1f\n", a, b }' "$samples")
}

part_p8() {
  local p8_settings=(TMDB_READ_ACCESS_TOKEN=bench) p8_source p8_seconds p8_first p8_second four sixteen port
  trap 'p8_end; stop_all_instances' EXIT
  set_name=p8
  export MOPL_DATA=$bench/p8
  control down || true
  rm -rf "$MOPL_DATA"
  MOPL_PORT=$(free_port)
  export MOPL_PORT
  ports[p8]=$MOPL_PORT up[p8]=yes
  load_settings
  control up || die "the instance does not start: build/bench/log"
  p8_serve --image-bytes 30000
  p8_run --pages 250 --no-images
  figure "contents a second, without pictures" "$(calc %.0f '10000 / s' s="$p8_seconds")" "" '>=' 2000 "5,000 films and 5,000 series in $p8_seconds s, 20 a page and transaction"
  scripts/s3.sh install
  port=$(free_port)
  rm -rf "$bench/p8-s3"
  scripts/s3.sh run "$bench/p8-s3" "$port" pictures >&3 2>&3 4>&- &
  p8_pids+=("$!")
  await 60 curl -s -o /dev/null "http://localhost:$port/" || die "the S3 server does not start"
  p8_settings+=(MOPL_S3_ENDPOINT="http://localhost:$port" MOPL_S3_BUCKET=pictures MOPL_S3_ACCESS_KEY=test-access MOPL_S3_SECRET_KEY=test-secret)
  p8_run --pages 250
  figure "memory while it stores 10,000 pictures of 30 KB" "$(calc %.1f 'a > b ? a : b' a="$p8_first" b="$p8_second")" MB '<=' 64 \
    "first half $p8_first, second half $p8_second MB; $(calc %.0f '10000 / s' s="$p8_seconds") pictures/s into S3Proxy, whose processors they share"
  p8_end
  p8_serve --image-delay 100 --items 400
  sql -c "UPDATE contents SET stored_image = NULL WHERE source_id::int % 500000 < 400 AND type = 'tvSeries'"
  p8_settings=(TMDB_READ_ACCESS_TOKEN=bench MOPL_BATCH_PARALLEL=4)
  p8_run --pages 1
  four=$p8_seconds
  sql -c "UPDATE contents SET stored_image = NULL WHERE source_id::int % 500000 < 400 AND type = 'tvSeries'"
  p8_settings=(TMDB_READ_ACCESS_TOKEN=bench MOPL_BATCH_PARALLEL=16)
  p8_run --pages 1
  sixteen=$p8_seconds
  figure "16 lanes against 4, pictures that take 100 ms" "$(calc %.2f 'a / b' a="$four" b="$sixteen")" "" "" "" "400 pictures in $sixteen and $four s: bounded by the lanes"
  p8_end
  stop_instance p8
}
