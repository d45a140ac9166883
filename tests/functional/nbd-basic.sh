#!/bin/bash
# What is written is read back, also by the next server; and only ciphertext is on the disk.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 16M
start_server "$dir/disk"
nbd_io "write 0 4k 0x41" "write 1M 64k 0x42 fua" "write 9M 64k 0x42" "write 15M 1M 0x43" "flush" \
  "read 0 4k 0x41" "read 1M 64k 0x42" "read 15M 1M 0x43"
stop_server
assert_absent "$dir/disk" AAAAAAAAAAAAAAAA
assert_absent "$dir/disk" BBBBBBBBBBBBBBBB

start_server "$dir/disk"
nbd_io "read 0 4k 0x41" "read 1M 64k 0x42" "read 15M 1M 0x43"
stop_server

# The same plaintext in two sectors makes two ciphertexts, near and far.
ciphertext ()
{
  dd if="$dir/disk" bs=4k skip=$(((1 << 20) / 4096 + $1 / 4096)) count=1 status=none | sha256sum
}
near=$(ciphertext $((1 << 20)))
[ "$near" != "$(ciphertext $(((1 << 20) + 4096)))" ] || fail "equal sectors side by side look equal"
[ "$near" != "$(ciphertext $((9 << 20)))" ] || fail "equal sectors far apart look equal"
