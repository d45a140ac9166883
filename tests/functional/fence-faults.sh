#!/bin/bash
# Fenced and opened again while the disk stalls, fails and cuts writes short, under load: what was
# acknowledged is there, and what was not has its error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 16M
faults_below "$dir/disk"
start_server "$dir/disk" check-interval=100ms confirm-delay=0 check-timeout=2s
nbd_journal through "$uri" "$dir/journal" 1 4096 4 >"$dir/journal.log" 2>&1 &
writer=$!
wait_for 30 grep -q ready "$dir/journal.log" || fail "no load: $(cat "$dir/journal.log")"

by_hand ()
{
  server_command fence >"$dir/output"
  sleep 0.05
  server_command unfence >"$dir/output"
}

by_revocation ()
{
  mv "$kek" "$dir/away"
  await_state fenced
  mv "$dir/away" "$kek"
  await_state active
}

for round in 1 2 3 4 5; do
  for fault in 'any hang 0 1000000' 'write EIO 0 5' 'read EIO 0 5' 'write short=512 0 20' 'read short=512 0 20' \
    'write EINTR 0 20' 'write ENOSPC 0 5'; do
    # shellcheck disable=SC2086  # four words
    arm $fault
    wait_for 10 test -s "$dir/rule.hits" || fail "the fault was never met: $fault"
    [ $((round % 2)) -eq 0 ] || server_command fence >"$dir/output"
    rm -f "$dir/rule"
    if [ $((round % 2)) -eq 0 ]; then by_revocation; else by_hand; fi
  done
done
pkill -TERM -P "$writer"
wait "$writer" || fail "the writer: $(cat "$dir/journal.log")"
tail -n 2 "$dir/journal.log"
assert_json "$(server_status_json)" '.state == "active" and .fences >= 30'
nbd_journal verify "$uri" "$dir/journal"
stop_server
server_preload=''
start_server "$dir/disk" read-only=yes
nbd_journal verify "$uri" "$dir/journal"
stop_server
