#!/bin/bash
# A block device is served as a file is: all of it, aligned or not, and nothing beyond it.
. "$(dirname "$0")/lib.sh"
require_loop
require jq nc
truncate -s 20M "$dir/backing"
device=$(losetup -f --show "$dir/backing")
at_exit "losetup -d $device"
make_kek
keyfence create --key "$key" "$device" >"$dir/create.log" 2>&1
for cache in none writeback; do
  start_server "$device" cache=$cache
  assert_eq "$(nbd_io size)" $((19 << 20)) "size"
  # A device is no file in RAM, though its node in /dev is.
  [ "$cache" = writeback ] || [ -n "${KEYFENCE_ENGINE:-}" ] ||
    assert_json "$(server_status_json)" '.engine == "auto" or .engine_note != null'
  nbd_io "write 0 4k 0x41" "write 18M 1M 0x42" "write 4097 1000 0x43 fua" "flush" \
    "read 0 4k 0x41" "read 18M 1M 0x42" "read 4097 1000 0x43" "!EINVAL read 19M 512 0"
  nbd_model own "$uri" 1 200 4
  stop_server
done
assert_absent "$dir/backing" BBBBBBBBBBBBBBBB

# A device that holds something is not overwritten without being told to.
wipefs -qa "$device"
mke2fs -q -t ext4 "$device" 2>"$dir/mke2fs.log"
expect_fail 1 'force' keyfence create --key "$key" "$device"
fsck.ext4 -fn "$device" >"$dir/fsck.log" 2>&1 || fail "a refused create has changed the device"
keyfence create --force --key "$key" "$device" >>"$dir/create.log" 2>&1

# One device has one server, whatever name it goes by, and nobody else's claim on it is broken.
mknod "$dir/node" b "0x$(stat -c %t "$device")" "0x$(stat -c %T "$device")"
start_server "$device"
expect_no_start 'node is in use' "$dir/node"
expect_fail 1 'node is in use' keyfence destroy --yes "$dir/node"
expect_fail 1 'node is in use' keyfence create --force --key "$key" "$dir/node"
nbd_io "write 0 4k 0x44" "read 0 4k 0x44"
stop_server
start_server "$dir/node"
nbd_io "read 0 4k 0x44"
stop_server
