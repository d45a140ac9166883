#!/bin/bash
# A machine whose disk is fenced is paused, and goes on when the key is back: nothing in it has seen an
# error, and all that it was told to be durable is there.  Also with the server gone in between, and by
# the hook that keyfence comes with; and a machine that somebody paused stays paused.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-guest.sh"
require nc
guest_programs+=("$helpers/guest-journal" mke2fs e2fsck)
make_volume "$dir/disk" 64M
start_server "$dir/disk" "${fast[@]}"

guest_start_on_disk 60

# revoke: the key goes, and the machine is paused by its disk.
revoke ()
{
  local stops errors

  stops=$(guest_events STOP)
  errors=$(guest_events BLOCK_IO_ERROR)
  mv "$kek" "$dir/away"
  wait_for 30 guest_events_are STOP $((stops + 1)) || fail "the machine was not paused: $(server_status_json)"
  guest_events_are BLOCK_IO_ERROR $((errors + 1)) || fail "there was no event of the error"
  assert_eq "$(guest_status)" io-error "status of the machine"
  await_state fenced
}

restore ()
{
  mv "$dir/away" "$kek"
  await_state active
}

# Paused, restored, told to go on.
revoke
from=$(guest_journal_last)
# Told to go on too early, it is paused again.
expect_fail 1 'paused again at once' keyfence resume-vms "$guest_qmp"
restore
assert_eq "$(guest_status)" io-error "status of the machine before anybody told it to go on"
assert_eq "$(guest_journal_last)" "$from" "the last record while fenced"
guest_qmp_do cont >/dev/null
guest_journal_grows

# The same with the server gone in between; and another disk's machine is not ours.
revoke
stop_server
mv "$dir/away" "$kek"
start_server "$dir/disk" "${fast[@]}"
await_state active
keyfence resume-vms --uri "$dir/other.nbd" "$guest_qmp" >"$dir/output"
assert_eq "$(guest_status)" io-error "status of a machine with another disk"
keyfence resume-vms --uri "$uri" --json "$guest_qmp" >"$dir/output"
assert_json "$(cat "$dir/output")" '.resumed == 1 and .machines[0].name == "guest-fence.sh"'
guest_journal_grows
stop_server

# By the hook, as it is installed, but for its folders.
sed -e "s|/run/qemu/\*.qmp|$guest_qmp|" -e "s|exec keyfence|exec '$KEYFENCE'|" \
  -e "s|--volume \"\$KEYFENCE_VOLUME\"|--uri $uri|" "$here/../../docs/examples/keyfence-resume-vms" >"$dir/hook"
chmod 755 "$dir/hook"
start_server "$dir/disk" "${fast[@]}" "hook=$dir/hook"
guest_journal_grows
for _ in 1 2; do
  revoke
  restore
  wait_for 30 guest_status_is running || fail "the hook did not resume the machine: $(cat "$log")"
  guest_journal_grows
done

# What somebody has paused stays so, whatever becomes of the disk.
guest_qmp_do stop >/dev/null
assert_eq "$(guest_status)" paused "status after stop"
keyfence resume-vms "$guest_qmp" >"$dir/output"
assert_eq "$(guest_status)" paused "status after resume-vms"
guest_qmp_do cont >/dev/null
guest_journal_grows

guest_journal_stop /disk/journal
printf '%s records; the longest time between two, by the guest'\''s own clock: %s ms; paused %s times\n' \
  "$(guest_journal_last)" "$(guest_journal_pause)" "$(guest_events BLOCK_IO_ERROR)"
guest 'umount /disk && e2fsck -fn /dev/vda'
guest_saw_no_error
guest_stop
stop_server
