#!/bin/bash
# A full backing store is ENOSPC, what was written before is intact, and with more room it goes on.
. "$(dirname "$0")/lib.sh"
require_root
mkdir "$dir/small"
mount -t tmpfs -o size=4m keyfence-test "$dir/small" 2>"$dir/mount.log" || skip "no tmpfs can be mounted"
at_exit "umount -l $dir/small"
make_volume "$dir/small/disk" 16M
for cache in none writeback; do
  start_server "$dir/small/disk" cache=$cache
  nbd_io "write 0 1M 0x41" "flush"
  nbd_io "!ENOSPC write 4M 8M 0x42" "read 0 1M 0x41" "!ENOSPC write 13000001 400 0x42"
  mount -o remount,size=32m "$dir/small"
  nbd_io "write 4M 8M 0x42" "flush" "read 4M 8M 0x42" "read 0 1M 0x41"
  stop_server
  rm "$dir/small/disk"
  mount -o remount,size=4m "$dir/small"
  make_volume "$dir/small/disk" 16M
done
