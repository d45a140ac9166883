#!/bin/bash
# All back ends write and read the same ciphertext; auto is one of them.
. "$(dirname "$0")/lib.sh"
random_file "$dir/in" 3M
make_volume "$dir/disk" 3M
start_server "$dir/disk" crypto=openssl
assert_json "$(server_status_json)" '.crypto == "openssl"'
nbdcopy "$dir/in" "$uri"
stop_server
cp "$dir/disk" "$dir/by-openssl"
start_server "$dir/disk" crypto=auto
assert_json "$(server_status_json)" '.crypto == "openssl" or .crypto == "gcrypt"'
nbdcopy "$uri" "$dir/out"
assert_same "$dir/in" "$dir/out"
stop_server

start_named gcrypt "$dir/disk" crypto=gcrypt || {
  grep -q crypto "$dir/gcrypt.log" || fail "no clear message: $(cat "$dir/gcrypt.log")"
  skip "built without libgcrypt"
}
nbdcopy "$uri" "$dir/out"
assert_same "$dir/in" "$dir/out"
nbd_io "zero 0 3M no-hole"
nbdcopy "$dir/in" "$uri"
stop_server gcrypt
assert_same "$dir/disk" "$dir/by-openssl"
