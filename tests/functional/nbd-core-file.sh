#!/bin/bash
# Nobody else, be it the same user, may read the server's memory; and what root's debugger saves of it
# holds no key where the ciphers' contexts lie in protected memory, as libgcrypt's and our own do.
. "$(dirname "$0")/lib.sh"
require gcore openssl jq xxd
not_under_wrapper "a sanitizer's memory is too large to be saved"
make_volume "$dir/disk" 4M
export_volume_key "$dir/disk" "$dir/volume-key"
nbdkit_options=(-t 2)
tried=0
for crypto in gcrypt vaes; do
  start_named "$crypto" "$dir/disk" crypto="$crypto" || continue
  tried=$((tried + 1))
  nbd_io "write 0 64k 0x41" "read 0 64k 0x41"
  if [ "$(id -u)" -ne 0 ]; then
    expect_fail any 'ptrace|permitted|create' gcore -o "$dir/core" "$server_pid"
  else
    gcore -o "$dir/core" "$server_pid" >"$dir/gcore.log" 2>&1 || skip "gcore does not work here"
    for f in "$dir/volume-key" "$kek"; do
      ! "$helpers/find-bytes" "$dir/core.$server_pid" "$f" 32 || fail "the core file holds key material"
    done
  fi
  stop_server "$crypto"
done
[ "$tried" -gt 0 ] || skip "neither libgcrypt nor vector AES here"
