#!/bin/bash
# A volume of 512-byte sectors in a new, sparse file on a disk whose own sectors have 4096: it is read and
# written in the disk's.
. "$(dirname "$0")/lib.sh"
require jq nc mkfs.ext4
require_loop
truncate -s 64M "$dir/backing"
device=$(losetup --sector-size 4096 -f --show "$dir/backing" 2>"$dir/losetup.log") || skip "no loop device of 4096-byte sectors"
at_exit "losetup -d $device"
[ "$(blockdev --getss "$device")" = 4096 ] || skip "no loop device of 4096-byte sectors"
mkfs.ext4 -q "$device" 2>"$dir/mkfs.log"
mkdir "$dir/mnt"
mount "$device" "$dir/mnt"
at_exit "umount -l '$dir/mnt'"
make_volume "$dir/mnt/disk" 8M --sector-size 512
for engine in sync auto uring; do
  start_server "$dir/mnt/disk" cache=none engine=$engine
  assert_json "$(server_status_json)" '.cache == "none"'
  nbd_io "write 512 512 0x41" "write 1k 512 0x42 fua" "write 1M 1537 0x43" "write 2097664 1M 0x44" "flush" \
    "read 512 512 0x41" "read 1k 512 0x42" "read 1M 1537 0x43" "read 2097664 1M 0x44"
  nbd_model own "$uri" 1 100 4
  nbd_model overlap "$uri" 2 100 4
  stop_server
done
