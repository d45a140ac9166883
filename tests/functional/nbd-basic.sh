#!/bin/bash
# What is written is read back, also by the next server; and only ciphertext is on the disk.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 16M
start_server "$dir/disk"
nbd_io "write 0 4k 0x41" "write 1M 64k 0x42 fua" "write 15M 1M 0x43" "flush" \
  "read 0 4k 0x41" "read 1M 64k 0x42" "read 15M 1M 0x43"
stop_server
assert_absent "$dir/disk" AAAAAAAAAAAAAAAA
assert_absent "$dir/disk" BBBBBBBBBBBBBBBB

start_server "$dir/disk"
nbd_io "read 0 4k 0x41" "read 1M 64k 0x42" "read 15M 1M 0x43"
# The same plaintext in two sectors makes two ciphertexts.
stop_server
[ "$(dd if="$dir/disk" bs=4k skip=512 count=1 status=none | sha256sum)" != \
  "$(dd if="$dir/disk" bs=4k skip=513 count=1 status=none | sha256sum)" ] ||
  fail "equal sectors have equal ciphertext"
