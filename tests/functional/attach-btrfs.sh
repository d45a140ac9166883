#!/bin/bash
# Btrfs, whose mounts have device numbers of their own, is detached, found in use, and taken over after a kill, as
# any other file system.
. "$(dirname "$0")/lib.sh"
require fuser jq mkfs.btrfs mountpoint
require_fuse
require_loop
grep -qw btrfs /proc/filesystems || modprobe btrfs 2>/dev/null || skip "the kernel has no btrfs"
make_volume "$dir/disk" 256M --label wages
uuid=$(volume_uuid "$dir/disk")
mkdir "$dir/mnt" "$dir/elsewhere"

attach ()
{
  timeout $((120 * patience)) "$KEYFENCE" attach --by fuse --socket "$dir/main.nbd" wages "$@"
}

# shellcheck disable=SC2016  # evaluated at the end
at_exit '[ ! -d "$KEYFENCE_RUNDIR/$uuid.attach" ] || "$KEYFENCE" detach --force "$uuid"'
start_server "$dir/disk"
attach "$dir/dev" >"$dir/output"
mkfs.btrfs -q "$dir/dev"
mount "$dir/dev" "$dir/elsewhere"
expect_fail 1 "is mounted at $dir/elsewhere: unmount that first" "$KEYFENCE" detach wages
umount "$dir/elsewhere"
"$KEYFENCE" detach wages
attach "$dir/mnt" >"$dir/output"
echo "known contents" >"$dir/mnt/file"
kill -KILL "$(fuser "$KEYFENCE_RUNDIR/$uuid.attach/lock" 2>/dev/null | tr -d ' ')"
wait_for 10 sh -c "! fuser -s '$KEYFENCE_RUNDIR/$uuid.attach/lock'" || fail "who looks after it does not die"
attach "$dir/mnt" >"$dir/output"
"$KEYFENCE" detach "$dir/mnt"
! mountpoint -q "$dir/mnt" || fail "it is still mounted"
[ ! -e "$KEYFENCE_RUNDIR/$uuid.attach" ] || fail "the record is left"
attach "$dir/mnt" >"$dir/output"
assert_eq "$(cat "$dir/mnt/file")" "known contents" "the file"
"$KEYFENCE" detach "$dir/mnt"
stop_server
