#!/bin/bash
# What can't be served is refused at start, with one message that names the thing and what to do.
. "$(dirname "$0")/lib.sh"
make_kek
make_volume "$dir/disk" 4M

expect_no_start 'path|PATH' '' # no volume at all
expect_no_start 'nosuchthing' "$dir/disk" nosuchthing=1
for bad in cache=sometimes engine=warp crypto=rot13 discard=perhaps read-only=maybe require-key=2x \
  check-interval=soon check-timeout=-1 control=; do
  expect_no_start "${bad%%=*}" "$dir/disk" "$bad"
done
expect_no_start "$dir/missing" "$dir/missing"
mkdir "$dir/folder"
expect_no_start "$dir/folder" "$dir/folder"

truncate -s 0 "$dir/empty"
expect_no_start "$dir/empty" "$dir/empty"
head -c 1000 "$dir/disk" >"$dir/truncated"
expect_no_start "$dir/truncated" "$dir/truncated"
head -c 500000 "$dir/disk" >"$dir/truncated"
expect_no_start "$dir/truncated" "$dir/truncated"
random_file "$dir/foreign" 4M
expect_no_start "$dir/foreign" "$dir/foreign"
truncate -s 4M "$dir/zeros"
expect_no_start "$dir/zeros" "$dir/zeros"

# Another program's LUKS2 volume, and a LUKS1 one.
echo -n kfPlanted-passphrase >"$dir/passphrase"
for type in luks2 luks1; do
  rm -f "$dir/$type"
  truncate -s 32M "$dir/$type"
  cryptsetup luksFormat -q --type $type --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file \
    "$dir/passphrase" "$dir/$type"
  expect_no_start "$dir/$type" "$dir/$type"
done

# One damaged copy of the header is survived; two are not.
cp "$dir/disk" "$dir/damaged"
printf 'damage' | dd of="$dir/damaged" bs=1 seek=5000 conv=notrunc status=none
cp "$dir/damaged" "$dir/before"
start_server "$dir/damaged"
assert_same "$dir/damaged" "$dir/before" # who serves does not write headers
nbd_io "write 0 4k 0x41" "read 0 4k 0x41"
stop_server
printf 'damage' | dd of="$dir/damaged" bs=1 seek=$((65536 + 5000)) conv=notrunc status=none
expect_no_start "$dir/damaged" "$dir/damaged"

# uuid= refuses another volume in the place of the one that is meant.
start_server "$dir/disk" "uuid=$(volume_uuid "$dir/disk")"
stop_server
expect_no_start 'holds volume .* and uuid= asks for' "$dir/disk" uuid=01234567-89ab-cdef-0123-456789abcdef
expect_no_start 'not a uuid' "$dir/disk" uuid=disk
