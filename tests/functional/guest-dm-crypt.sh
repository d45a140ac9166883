#!/bin/bash
# The kernel's own dm-crypt opens a volume: cryptsetup reads its header, and the disk has the same bytes as
# over NBD; what is written through dm-crypt is read through keyfence.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-guest.sh"
require cryptsetup openssl xxd nbdcopy
guest_programs+=(cryptsetup)
guest_modules+=(dm_crypt xts aesni_intel)
make_kek

# open_in_guest DEVICE NAME [options]: by the volume key, as keyfence-volume(7) says.
open_in_guest ()
{
  guest cryptsetup open --type luks2 --volume-key-file /run/key --key-size 512 "${@:3}" "$1" "$2" ||
    fail "cryptsetup open"
}

for sector_size in 4096 512; do
  disk=$dir/disk-$sector_size
  random_file "$dir/plain-$sector_size" 24M "$sector_size"
  make_volume "$disk" 24M --sector-size "$sector_size"
  start_server "$disk"
  nbdcopy --flush "$dir/plain-$sector_size" "$uri"
  # Writes of every alignment, zeros, and a hole.
  nbd_io "write 1000001 3333 0x41" "zero 2M 1M" "trim 4M 1M" "zero 4M 1M" flush
  nbdcopy "$uri" "$dir/plain-$sector_size"
  stop_server
  cp "$disk" "$disk-copy"
done

# Each volume for reading only, and a copy to be written to.
guest_start \
  -drive "if=virtio,format=raw,readonly=on,file=$dir/disk-4096" -drive "if=virtio,format=raw,file=$dir/disk-4096-copy" \
  -drive "if=virtio,format=raw,readonly=on,file=$dir/disk-512" -drive "if=virtio,format=raw,file=$dir/disk-512-copy"
random_file "$dir/new" 64K 9
guest_put "$dir/new" /run/new
set -- /dev/vda /dev/vdb /dev/vdc /dev/vdd
for sector_size in 4096 512; do
  export_volume_key "$dir/disk-$sector_size" "$dir/volume-key"
  guest_put "$dir/volume-key" /run/key
  open_in_guest "$1" "plain-$sector_size" --readonly
  assert_eq "$(guest "sha256sum </dev/mapper/plain-$sector_size")" "$(sha256sum <"$dir/plain-$sector_size")" \
    "the bytes that dm-crypt decrypts (sectors of $sector_size)"
  assert_match "$(guest "cryptsetup status plain-$sector_size")" "sector size: +$sector_size" "cryptsetup status"
  open_in_guest "$2" "copy-$sector_size"
  guest "dd if=/run/new of=/dev/mapper/copy-$sector_size bs=4096 seek=700 conv=notrunc,fsync 2>/dev/null"
  guest "cryptsetup close copy-$sector_size"
  shift 2
done
guest_stop

for sector_size in 4096 512; do
  dd if="$dir/new" of="$dir/plain-$sector_size" bs=4096 seek=700 conv=notrunc status=none
  start_server "$dir/disk-$sector_size-copy"
  nbdcopy "$uri" "$dir/copy"
  assert_same "$dir/copy" "$dir/plain-$sector_size"
  stop_server
done
