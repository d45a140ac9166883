#!/bin/bash
# cryptsetup alone decrypts our volume to the bytes we served: with the recovery passphrase, and with
# the volume key that openssl unwraps as keyfence-volume(7) says.
. "$(dirname "$0")/lib.sh"
require cryptsetup openssl jq xxd nbdcopy
random_file "$dir/plain" 6M
echo -n "kfPlanted horse" >"$dir/passphrase"
chmod 600 "$dir/passphrase"
make_volume "$dir/disk" 6M --recovery-passphrase-file "$dir/passphrase"
start_server "$dir/disk"
nbdcopy --flush "$dir/plain" "$uri"
nbd_io "write 1000001 3333 0x41" "zero 2M 1M" "flush"
nbdcopy "$uri" "$dir/plain"
stop_server

# decrypt COPY PASSPHRASE-FILE: in user space, by cryptsetup, header and foreign token and all.
decrypt ()
{
  rm -f "$dir/exported-header"
  cryptsetup reencrypt --batch-mode --decrypt --header "$dir/exported-header" \
    --force-offline-reencrypt --key-file "$2" "$1" >"$dir/cryptsetup.log" 2>&1 ||
    fail "cryptsetup reencrypt --decrypt"
  cmp -n $((6 << 20)) "$1" "$dir/plain" || fail "cryptsetup decrypts to other bytes"
}

cp "$dir/disk" "$dir/copy"
decrypt "$dir/copy" "$dir/passphrase"

# Without any keyslot of its own: the key by openssl, then a keyslot by cryptsetup.
make_volume "$dir/disk2" 6M
start_server "$dir/disk2"
nbdcopy --flush "$dir/plain" "$uri"
stop_server
export_volume_key "$dir/disk2" "$dir/volume-key"
assert_eq "$(stat -c %s "$dir/volume-key")" 64 "size of the volume key"
echo -n "kfPlanted other one" >"$dir/passphrase2"
cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  --key-size 512 --volume-key-file "$dir/volume-key" "$dir/disk2" "$dir/passphrase2" \
  >"$dir/cryptsetup.log" 2>&1 || fail "cryptsetup luksAddKey"
# It is still ours, with the keyslot in it.
start_server "$dir/disk2"
nbd_io "read 1000001 3333 0x41"
stop_server
decrypt "$dir/disk2" "$dir/passphrase2"
