#!/bin/bash
# When the power goes and takes with it all that no fdatasync and no FUA had made durable, what was
# acknowledged as durable is there.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 2M
faults_below "$dir/disk"
server_env+=("KEYFENCE_FAULT_UNDO=$dir/undo")
seed=1
for parameters in "cache=none 4096" "cache=writeback 4096" "cache=writeback 528"; do
  read -r cache block <<<"$parameters"
  rm -f "$dir/undo"
  start_server "$dir/disk" "$cache"
  rm -f "$dir/load.log" # it may hold what the last one said
  nbd_journal load "$uri" "$dir/journal" $((seed++)) "$block" 6 >"$dir/load.log" 2>&1 &
  load=$!
  wait_for 60 grep -q ready "$dir/load.log" || fail "the load never got ready"
  sleep 0.7
  kill_server
  wait "$load" || fail "the client failed: $(cat "$dir/load.log")"
  "$helpers/undo" "$dir/disk" "$dir/undo"
  rm -f "$dir/undo"
  start_server "$dir/disk" "$cache"
  nbd_journal verify "$uri" "$dir/journal"
  stop_server
done
