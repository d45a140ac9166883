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
assert_json "$(server_status_json)" '.crypto == "openssl" or .crypto == "gcrypt" or .crypto == "vaes"'
nbdcopy "$uri" "$dir/out"
assert_same "$dir/in" "$dir/out"
stop_server

# The others read what OpenSSL wrote, and write the same; one that is not there says so.
absent=()
for crypto in gcrypt vaes; do
  cp "$dir/by-openssl" "$dir/disk"
  start_named "$crypto" "$dir/disk" crypto="$crypto" || {
    grep -q "crypto=$crypto" "$dir/$crypto.log" || fail "no clear message: $(cat "$dir/$crypto.log")"
    absent+=("$crypto")
    continue
  }
  assert_json "$(server_status_json)" ".crypto == \"$crypto\""
  nbdcopy "$uri" "$dir/out"
  assert_same "$dir/in" "$dir/out"
  nbd_io "zero 0 3M no-hole"
  nbdcopy "$dir/in" "$uri"
  stop_server "$crypto"
  assert_same "$dir/disk" "$dir/by-openssl"
done
[ ${#absent[@]} -eq 0 ] || skip "not in this build or on this machine: ${absent[*]}"
