#!/bin/bash
# A volume that grew has its new size for the next client, and loses nothing.
. "$(dirname "$0")/lib.sh"
[ "${KEYFENCE_CACHE:-}" != none ] || skip "a tail that is no whole block is refused where cache=none was asked for"
make_volume "$dir/disk" 8M
start_server "$dir/disk"
nbd_io "write 0 64k 0x41" "write 8384512 4k 0x42"
truncate -s +4M "$dir/disk"
assert_eq "$(nbd_io size)" $((12 << 20)) "size after growing"
nbd_io "write 11M 1M 0x43" "read 11M 1M 0x43" "read 0 64k 0x41" "read 8384512 4k 0x42"
# A tail that is no whole sector is not served.
truncate -s +100 "$dir/disk"
assert_eq "$(nbd_io size)" $((12 << 20)) "size with a tail"
stop_server
start_server "$dir/disk"
nbd_io "read 11M 1M 0x43" "read 0 64k 0x41"
stop_server
