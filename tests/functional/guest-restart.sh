#!/bin/bash
# The server is stopped, killed, replaced while a machine writes to its disk: the machine waits for it and
# never stops, and all that it was told to be durable is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-guest.sh"
guest_programs+=("$helpers/guest-journal" mke2fs e2fsck)
make_volume "$dir/disk" 64M
start_server "$dir/disk"

guest_start_on_disk "$((60 * patience))"

for way in stop kill stop kill; do
  from_ms=$(date +%s%3N)
  "${way}_server"
  start_server "$dir/disk"
  guest_journal_grows
  printf '%s, start, and 20 records: %d ms\n' "$way" $(($(date +%s%3N) - from_ms))
done
printf 'the longest time between two records while the server was replaced: %s ms\n' "$(guest_journal_pause)"

# A server that is away for longer.
kill_server
sleep 3
start_server "$dir/disk"
guest_journal_grows
[ "$(guest_journal_pause)" -ge 2500 ] || fail "the guest did not notice that there was no server"

guest_journal_stop /disk/journal
assert_eq "$(guest_events STOP)" 0 "times that the machine was paused"
guest 'umount /disk && e2fsck -fn /dev/vda'
guest_saw_no_error
guest_stop
stop_server
