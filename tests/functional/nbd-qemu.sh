#!/bin/bash
# qemu's own tools find the disk right: patterns, images of other formats, comparison.
. "$(dirname "$0")/lib.sh"
require qemu-io qemu-img
make_volume "$dir/disk" 32M
start_server "$dir/disk"
io=(qemu-io -f raw -t writeback)
"${io[@]}" -c "write -P 0x11 0 1M" -c "write -P 0x22 1M 64k" -c "write -P 0x33 3000000 7777" \
  -c "write -z 4M 1M" -c "flush" "$uri" >"$dir/qemu-io.log"
"${io[@]}" -c "read -P 0x11 0 1M" -c "read -P 0x22 1M 64k" -c "read -P 0x33 3000000 7777" \
  -c "read -P 0 4M 1M" "$uri" >>"$dir/qemu-io.log"
"${io[@]}" -c "aio_write -P 0x44 512 512" -c "aio_write -P 0x55 1024 512" -c "aio_write -P 0x66 8k 128k" \
  -c "aio_flush" -c "read -P 0x44 512 512" -c "read -P 0x55 1024 512" -c "read -P 0x66 8k 128k" \
  -c "read -P 0x11 0 512" "$uri" >>"$dir/qemu-io.log"
! grep -iE 'fail|error' "$dir/qemu-io.log" || fail "qemu-io found another pattern"

random_file "$dir/plain" 8M
truncate -s 32M "$dir/plain"
qemu-img convert -f raw -O qcow2 "$dir/plain" "$dir/image.qcow2"
qemu-img convert -n -f qcow2 -O raw "$dir/image.qcow2" "$uri"
qemu-img compare -f raw -F raw "$dir/plain" "$uri" >"$dir/compare.log" || fail "$(cat "$dir/compare.log")"
stop_server
start_server "$dir/disk"
qemu-img convert -f raw -O qcow2 "$uri" "$dir/back.qcow2"
qemu-img compare -f raw -F qcow2 "$dir/plain" "$dir/back.qcow2" >"$dir/compare.log" ||
  fail "$(cat "$dir/compare.log")"
stop_server
