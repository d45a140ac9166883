#!/bin/bash
# A volume of 16 TiB is created, served, written at both ends and read back.
. "$(dirname "$0")/lib.sh"
place=$dir
if ! truncate -s $(((16 << 40) + (1 << 20))) "$dir/probe" 2>/dev/null; then
  # ext4 has no room for the header beside 16 TiB.
  [ "$(id -u)" -eq 0 ] || skip "the file system of ${dir%/*} has no files of 16 TiB, and not root"
  place=$dir/large
  mkdir "$place"
  mount -t tmpfs keyfence-test "$place" 2>"$dir/mount.log" || skip "no tmpfs can be mounted"
  at_exit "umount -l $place"
fi
rm -f "$dir/probe"
make_volume "$place/disk" 16T
start_server "$place/disk"
assert_eq "$(nbd_io size)" $((16 << 40)) "size"
last=$(((16 << 40) - 65536))
nbd_io "write 0 64k 0x41" "write $last 64k 0x42" "write $((last - 1000)) 1001 0x43" "flush"
stop_server
start_server "$place/disk"
nbd_io "read 0 64k 0x41" "read $((last - 1000)) 1001 0x43" "read $((last + 1)) 65535 0x42" \
  "!EINVAL read $((16 << 40)) 1 0"
nbd_io "extents 15T 1T" >"$dir/extents"
! grep -q zero "$dir/extents" || fail "a hole is reported as zeros"
stop_server
