#!/bin/bash
# keyfence attach by the kernel's NBD client, in a machine of its own: a file system on it lives through the
# kill and the return of its server, under load, and notices nothing but a pause; a fence reaches it at once.
# shellcheck disable=SC2016  # for the shell in the guest

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-guest.sh"
require nbdkit
guest_modules+=(nbd unix_diag)
guest_programs+=(nbdkit mount umount mke2fs e2fsck)
guest_files+=("$KEYFENCE" "$plugin" "$KEYFENCE_BUILD/kms/keyfence-agent" "$helpers/guest-journal"
  "$KEYFENCE_BUILD/meson-private/coredata.dat")
guest_memory=512M
guest_start

# Shell functions for all that follows.
cat >"$dir/functions" <<END
keyfence () { $KEYFENCE "\$@"; }
guest_journal () { $helpers/guest-journal "\$@"; }
active () { for i in \$(seq 500); do keyfence status wages >/run/status 2>&1 && return; sleep 0.2; done; cat /run/status; return 1; }
serve () { keyfence serve /run/disk check-interval=1s confirm-delay=1s check-timeout=30s; active; }
server () { keyfence status --json wages | sed -n 's/.*"pid":[^0-9]*\\([0-9]*\\).*/\\1/p'; }
END
guest_put "$dir/functions" /run/functions

in_guest ()
{
  guest -t 120 ". /run/functions; $1"
}

# refused CODE 'regex' COMMAND: in the guest.
refused ()
{
  local status=0

  in_guest "$3" >"$dir/output" 2>&1 || status=$?
  assert_eq "$status" "$1" "exit status of $3: $(cat "$dir/output")"
  grep -qE -- "$2" "$dir/output" || fail "$3: the message does not match $2: $(cat "$dir/output")"
}

journal_start ()
{
  : >"$dir/journal.log"
  in_guest "$helpers/guest-journal write /srv/journal /dev/channel/journal >/run/journal.log 2>&1 &"
}

journal_stop ()
{
  # shellcheck disable=SC2016  # in the guest
  guest 'kill $(pidof guest-journal); while pidof guest-journal >/dev/null; do sleep 0.1; done'
  ! grep -v '^durable ' "$dir/journal.log" || fail "a program saw an error"
  in_guest "guest_journal check /srv/journal $(guest_journal_last)" || fail "the journal is not complete"
}

no_error_in_kernel ()
{
  guest dmesg >"$dir/dmesg.log"
  ! grep -iE 'I/O error|Buffer I/O|EXT4-fs (error|warning)|remount|hung task|blocked for more' "$dir/dmesg.log" ||
    fail "the kernel saw an error"
}

in_guest 'head -c 32 /dev/urandom >/run/kek; chmod 600 /run/kek; mkdir -p /srv
  keyfence create /run/disk --size 64M --label wages --key file:///run/kek && serve' >"$dir/output" ||
  fail "no server in the guest: $(cat "$dir/output")"

# ---- a device ---------------------------------------------------------------------------------------------
in_guest 'keyfence attach wages /dev/keyfence/wages --timeout 3s --json' >"$dir/facts.json" || fail "$(cat "$dir/facts.json")"
assert_json "$(cat "$dir/facts.json")" '.by == "nbd" and .device == "/dev/nbd0" and .link == "/dev/keyfence/wages"'
assert_eq "$(guest 'cd /sys/block/nbd0; cat queue/logical_block_size queue/physical_block_size size' | xargs)" \
  "4096 4096 131072" "sector sizes and size"
in_guest 'cd /sys/block/nbd0; cat backend queue/write_cache queue/fua' | xargs >"$dir/output"
assert_match "$(cat "$dir/output")" '^keyfence:[-0-9a-f]{36} write back 1$' "what the kernel knows of it"
[ "$(guest cat /sys/block/nbd0/queue/discard_max_bytes)" -gt 0 ] || fail "no trim"
refused 1 'is attached already, as /dev/keyfence/wages' 'keyfence attach wages /dev/nbd1'
guest /usr/bin/mke2fs -q -t ext4 /dev/keyfence/wages
in_guest 'keyfence detach wages'
[ "$(guest cat /sys/block/nbd0/size)" = 0 ] || fail "the device is still there"
! guest test -e /dev/keyfence/wages || fail "the name is still there"
in_guest 'keyfence attach wages /dev/nbd5; keyfence detach /dev/nbd5' >"$dir/output"
assert_match "$(cat "$dir/output")" 'device: +/dev/nbd5' "the device that was named"

# ---- the server is killed, and comes back -----------------------------------------------------------------
in_guest 'keyfence attach wages /srv --timeout 3s' >"$dir/output"
journal_start
guest_journal_grows 10
for _ in 1 2 3; do
  in_guest 'kill -9 $(server); serve' >"$dir/output" || fail "$(cat "$dir/output")"
  guest_journal_grows 10
done
printf 'three kills of the server: the longest pause was %d ms\n' "$(guest_journal_pause)"

# ---- it stays away for a while ----------------------------------------------------------------------------
in_guest 'kill -9 $(server); sleep 8; serve' >"$dir/output"
guest_journal_grows 10

# ---- who looks after it is killed, and the server, too: the same command mends it ---------------------------
in_guest 'kill -9 $(pidof keyfence); kill -9 $(server); serve' >"$dir/output"
refused 1 'the process that looked after it is gone' 'keyfence attach wages /dev/keyfence/other'
in_guest 'keyfence attach wages /srv --timeout 3s' >"$dir/output"
guest_journal_grows 10
journal_stop
no_error_in_kernel

# ---- who looks after it is told to go while the server is started again: all is written out first ------------
in_guest 'dd if=/dev/urandom of=/srv/late bs=1M count=8 2>/dev/null; [ -s /srv/late ] || exit 9; sha256sum /srv/late >/run/late.sum
  kill -9 $(server); kill -TERM $(pidof keyfence); sleep 2; serve
  for i in $(seq 300); do [ -e /run/keyfence/*.attach ] || break; sleep 0.2; done
  ! grep " /srv " /proc/mounts && keyfence attach wages /srv --timeout 3s && sha256sum -c /run/late.sum' >"$dir/output" 2>&1 ||
  fail "what was written before the end is not there: $(cat "$dir/output")"
no_error_in_kernel

# ---- in use -----------------------------------------------------------------------------------------------
refused 1 '/srv is busy: process [0-9]+ \(' 'cd /srv; sleep 60 & cd /; keyfence detach /srv; s=$?; kill $!; exit $s'

# ---- the fence --------------------------------------------------------------------------------------------
journal_start
guest_journal_grows 10
guest 'mv /run/kek /run/away'
wait_for 60 grep -q '^failed' "$dir/journal.log" || fail "the writer sees no error"
sed -i '/^failed/d' "$dir/journal.log"
in_guest 'keyfence detach wages' 2>&1 | cat
refused 3 'the volume is fenced, so what is on it can.t be mounted' 'keyfence attach wages /srv'
guest 'mv /run/away /run/kek'
in_guest active || fail "it stays fenced"
in_guest "keyfence attach wages /srv && guest_journal check /srv/journal $(guest_journal_last) &&
  keyfence detach wages && keyfence attach wages /dev/nbd0 && /usr/bin/e2fsck -fn /dev/nbd0 && keyfence detach wages" \
  >"$dir/output" 2>&1 || fail "after the fence: $(cat "$dir/output")"
guest_stop
