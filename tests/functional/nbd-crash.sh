#!/bin/bash
# Killed at any time, the server loses nothing that FUA or a flush made durable.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 2M
seed=1
for parameters in "cache=none 4096" "cache=writeback 4096" "cache=writeback 528"; do
  read -r cache block <<<"$parameters"
  for delay in 0.2 0.5; do
    start_server "$dir/disk" "$cache"
    rm -f "$dir/load.log" # it may hold what the last one said
    nbd_journal load "$uri" "$dir/journal" $((seed++)) "$block" 6 >"$dir/load.log" 2>&1 &
    load=$!
    wait_for 60 grep -q ready "$dir/load.log" || fail "the load never got ready"
    sleep "$delay"
    kill_server
    wait "$load" || fail "the client failed: $(cat "$dir/load.log")"
    start_server "$dir/disk" "$cache"
    nbd_journal verify "$uri" "$dir/journal"
    stop_server
  done
done
