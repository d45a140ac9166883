#!/bin/bash
# keyfence create on block devices: all of it is used; what it holds is not overwritten by accident.
. "$(dirname "$0")/lib.sh"
require_loop
require jq mkfs.ext4 cryptsetup blockdev

make_kek "$dir/kek"
truncate -s 33M "$dir/backing"
device=$(losetup --show -f "$dir/backing")
at_exit "losetup -d $device"

expect_fail 2 "$device is a block device, all of which is used: leave out --size" \
  keyfence create "$device" --size 1M --key "$key"
expect_fail 2 'leave out --size and --preallocate' keyfence create "$device" --preallocate --key "$key"

# A blank device needs no --force.
keyfence create "$device" --key "$key" >"$dir/output"
assert_json "$(keyfence inspect --json "$device")" '.size_bytes == 33554432'

# One that holds a volume, a file system, a partition table or anything at all does.
expect_fail 1 "$device holds crypto_LUKS: --force overwrites it" keyfence create "$device" --key "$key"
keyfence destroy --yes "$device" >"$dir/output"
expect_fail 1 'holds data of an unknown kind' keyfence create "$device" --key "$key"
mkfs.ext4 -q "$device"
expect_fail 1 'holds ext4: --force' keyfence create "$device" --key "$key"
dumpe2fs -h "$device" >/dev/null 2>&1 || fail "the file system was damaged"

# A mounted one is refused even with --force.
mkdir "$dir/mnt"
if mount "$device" "$dir/mnt" 2>/dev/null; then
  at_exit "mountpoint -q '$dir/mnt' && umount '$dir/mnt'"
  expect_fail 1 'is in use: mounted' keyfence create "$device" --force --key "$key"
  umount "$dir/mnt"
fi

keyfence create "$device" --force --key "$key" --label again >"$dir/output"
assert_json "$(keyfence inspect --json "$device")" '.label == "again"'

# A size that is no multiple of the sector.
truncate -s $((2 * 1024 * 1024 + 512)) "$dir/odd"
odd=$(losetup --show -f "$dir/odd")
at_exit "losetup -d $odd"
expect_fail 2 'no multiple of 4096 bytes: use --sector-size 512' keyfence create "$odd" --key "$key"
keyfence create "$odd" --sector-size 512 --key "$key" >"$dir/output"
assert_json "$(keyfence inspect --json "$odd")" '.size_bytes == 1049088'
truncate -s 1M "$dir/tiny"
tiny=$(losetup --show -f "$dir/tiny")
at_exit "losetup -d $tiny"
expect_fail 2 'too small: the header alone takes 1 MiB' keyfence create "$tiny" --key "$key"
