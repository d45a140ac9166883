#!/bin/bash
# fio writes and verifies requests of mixed sizes from several jobs at once, with every engine and cache
# mode, while the volume is fenced and opened again under it (on-fence=stall: nobody sees an error).
#
#   KEYFENCE_FIO_SECONDS  for how long, all together (5); each mode has one pass at least
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require fio jq nc
fio --enghelp 2>/dev/null | grep -w nbd >/dev/null || skip "this fio has no nbd engine"
seconds=${KEYFENCE_FIO_SECONDS:-5}
modes=("engine=uring cache=none" "engine=sync cache=none" "engine=auto cache=none" "engine=uring cache=writeback"
  "engine=sync cache=writeback")
make_volume "$dir/disk" 48M
cd "$dir"

# fio_pass SEED: all of it written once and read back right, by four jobs at once.
fio_pass ()
{
  local common=(--ioengine=nbd --uri="$uri" --thread --verify=crc32c --verify_fatal=1 --verify_dump=0
    --randseed="$1" --output="$dir/fio.log")

  timeout $((100 * patience)) fio "${common[@]}" \
    --name=small --rw=randwrite --bs=4k --iodepth=32 --size=4M \
    --name=odd --rw=randrw --bsrange=512-64k --iodepth=16 --size=8M --offset=4M \
    --name=large --rw=write --bs=1M --iodepth=4 --size=16M --offset=12M \
    --name=mixed --rw=randwrite --bssplit=4k/40:64k/30:512k/20:1M/10 --iodepth=8 --fsync=16 --size=16M --offset=28M \
    >"$dir/fio.said" 2>&1
}

# The thread sanitizer of gcc 12 now and then ends a process by a failure of its own when a thread starts,
# which says nothing about ours: that pass is done again, by another server.
sanitizer_failed ()
{
  grep 'ThreadSanitizer failed to allocate' "$log" >/dev/null && ((++sanitizer_failures <= 10))
}

start_mode ()
{
  # shellcheck disable=SC2086  # two parameters
  start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=$((60 * patience))s $mode
}

# passes_until END: at least one.
passes_until ()
{
  local end=$1

  while :; do
    if fio_pass $((passes + 1)); then
      ((++passes))
    elif sanitizer_failed; then
      kill_server
      rm "$log"
      start_mode
      continue
    else
      tail -n 5 "$dir/fio.said" "$dir/fio.log" >&2
      fail "fio"
    fi
    [ "$SECONDS" -lt "$end" ] || break
  done
}

# disturb: until it is told to end.
disturb ()
{
  while [ ! -e "$dir/stop" ]; do
    { server_command fence; server_command status; server_command unfence; } || true
    sleep 0.2
  done >"$dir/disturbed" 2>&1
}

passes=0
sanitizer_failures=0
for mode in "${modes[@]}"; do
  start_mode
  rm -f "$dir/stop"
  disturb &
  disturber=$!
  passes_until $((SECONDS + seconds / ${#modes[@]}))
  touch "$dir/stop"
  wait "$disturber"
  status=$(server_status_json)
  assert_json "$status" '.state == "active" and .fences > 0 and .io.refused == 0'
  printf '%s: %s fences, %s\n' "$mode" "$(jq .fences <<<"$status")" "$(jq -c .io <<<"$status")"
  stop_server
done
printf '%d passes of 44 MiB' "$passes"
[ "$sanitizer_failures" -eq 0 ] || printf ', %d more in which the sanitizer failed' "$sanitizer_failures"
echo
