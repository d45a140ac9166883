#!/bin/bash
# The keys are gone within 10 ms of the decision: under full load, and while the disk hangs for ever
# with requests of 8 connections x 16 workers in flight; what hangs then ends with the error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require fio jq nc
not_under_wrapper "the bound is for the program as it is"
make_volume "$dir/disk" 64M
faults_below "$dir/disk"
start_server "$dir/disk" "${fast[@]}"

# load: mixed requests over 8 connections with 16 in flight each; errors do not end it.
load ()
{
  fio --name=load --ioengine=nbd --uri="$uri" --rw=randrw --bssplit=4k/50:64k/30:1M/20 --numjobs=8 \
    --iodepth=16 --size=64M --time_based --runtime=600 --continue_on_error=all \
    --error_dump=0 --output="$dir/fio.out" >"$dir/fio.log" 2>&1 &
  fio_pid=$!
}

at_work ()
{
  [ "$(server_status_json | jq '.io.reads + .io.writes')" -gt 500 ]
}

wiped_fast ()
{
  local us

  us=$(jq .last_wipe_us <<<"$1")
  wipes+=("$us")
  [ "$us" -lt 10000 ] || fail "the wipe took $us us"
}

wipes=()
load
wait_for 20 at_work || fail "no load: $(cat "$dir/fio.log")"
for _ in {1..20}; do
  answer=$(server_command fence)
  assert_json "$answer" '.state == "fenced"'
  wiped_fast "$answer"
  assert_json "$(server_command unfence)" '.state == "active"'
  sleep 0.1
done
printf 'wiped under load: %s us\n' "$(printf '%s\n' "${wipes[@]}" | sort -n | xargs)"

arm any hang 0 1000000
sleep 1 # every worker meets it
start=$(date +%s%3N)
answer=$(server_command fence)
took_ms=$(($(date +%s%3N) - start))
assert_json "$answer" '.state == "fenced"'
wiped_fast "$answer"
[ "$took_ms" -lt 1000 ] || fail "the answer took $took_ms ms"
printf 'wiped with a hung disk: %s us (%s requests hung)\n' "$(jq .last_wipe_us <<<"$answer")" "$(wc -l <"$dir/rule.hits")"
[ "$(wc -l <"$dir/rule.hits")" -ge 100 ] || fail "too few requests hung"
refused_before=$(jq .io.refused <<<"$answer")
disarm
await_status 10 ".io.refused > $refused_before"
assert_json "$(server_command unfence)" '.state == "active"'
kill "$fio_pid"
wait "$fio_pid" || true
nbd_io "write 0 64k 0x41" "read 0 64k 0x41"
stop_server
