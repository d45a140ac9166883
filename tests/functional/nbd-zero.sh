#!/bin/bash
# Zeroed bytes read as zeros, with and without leave to make a hole; on the disk they are ciphertext.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
for parameters in discard=off discard=on; do
  start_server "$dir/disk" $parameters
  nbd_io "write 0 8M 0x41" "zero 1M 1M" "zero 3M 1M no-hole fua" "zero 5000001 9999 fua" "flush" \
    "read 0 1M 0x41" "read 1M 1M 0" "read 2M 1M 0x41" "read 3M 1M 0" \
    "read 5000000 1 0x41" "read 5000001 9999 0" "read 5010000 1 0x41"
  # Fast or not at all.
  if nbd_io "zero 6M 64k fast" 2>"$dir/fast.log"; then
    nbd_io "read 6M 64k 0"
  else
    nbd_io "read 6M 64k 0x41"
  fi
  nbd_io "extents 0 8M" >"$dir/extents"
  ! grep -q zero "$dir/extents" || fail "zeros are reported, which tells where they are"
  stop_server
  start_server "$dir/disk" $parameters
  nbd_io "read 1M 1M 0" "read 3M 1M 0" "read 5000001 9999 0"
  stop_server
  # No sector of the data is zero on the disk.
  dd if="$dir/disk" bs=1M skip=1 status=none | xxd -p -c 4096 >"$dir/sectors"
  ! grep -q '^\(00\)*$' "$dir/sectors" || fail "there are zeros in the backing file"
done
