#!/bin/bash
# A volume that cryptsetup formatted and encrypted is adopted, and we serve the bytes that cryptsetup
# put there.
. "$(dirname "$0")/lib.sh"
require cryptsetup nbdcopy
random_file "$dir/plain" 6M
echo -n "kfPlanted horse" >"$dir/passphrase"
chmod 600 "$dir/passphrase"
cp "$dir/plain" "$dir/disk"
truncate -s +2M "$dir/disk"
cryptsetup reencrypt --batch-mode --encrypt --type luks2 --cipher aes-xts-plain64 --key-size 512 \
  --sector-size 4096 --reduce-device-size 2M --force-offline-reencrypt --pbkdf pbkdf2 \
  --pbkdf-force-iterations 1000 --key-file "$dir/passphrase" "$dir/disk" >"$dir/cryptsetup.log" 2>&1 ||
  fail "cryptsetup reencrypt --encrypt"
make_kek
expect_no_start "$dir/disk" "$dir/disk"
keyfence adopt --key "$key" --passphrase-file "$dir/passphrase" "$dir/disk" >"$dir/adopt.log" 2>&1 ||
  fail "keyfence adopt"
start_server "$dir/disk"
nbdcopy "$uri" "$dir/out"
cmp -n $((6 << 20)) "$dir/out" "$dir/plain" || fail "we decrypt to other bytes than cryptsetup encrypted"
nbd_io "write 12345 999 0x41" "flush"
stop_server
# And cryptsetup's own keyslot still opens it.
cryptsetup luksOpen --test-passphrase --key-file "$dir/passphrase" "$dir/disk" ||
  fail "the keyslot that was there no longer opens the volume"

# Formatted empty, by luksFormat.
truncate -s 8M "$dir/empty"
cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 --sector-size 4096 \
  --offset 2048 --luks2-keyslots-size 512k --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  --key-file "$dir/passphrase" "$dir/empty"
keyfence adopt --key "$key" --passphrase-file "$dir/passphrase" "$dir/empty" >>"$dir/adopt.log" 2>&1 ||
  fail "keyfence adopt"
start_server "$dir/empty"
assert_eq "$(nbd_io size)" $((7 << 20)) "size"
nbd_io "write 0 7M 0x42" "read 0 7M 0x42"
stop_server
