#!/bin/bash
# keyfence inspect: the header's facts, without a key, of volumes and of backups, damaged ones too.
. "$(dirname "$0")/lib.sh"
require jq cryptsetup

cd "$dir"
make_volume disk.img 8M --label 'my disk'
uuid=$(volume_uuid disk.img)
rm "$kek" # no key is needed

keyfence inspect disk.img >output
grep -qE "^volume: +$uuid\$" output || fail "uuid"
grep -qE '^label: +my disk$' output || fail "label"
grep -qE '^size: +8 MiB \(8388608 bytes\)$' output || fail "size"
grep -qE '^cipher: +aes-xts-plain64, 512-bit key, sectors of 4096 bytes$' output || fail "cipher"
grep -qE '^passphrases: +0$' output || fail "passphrases"
grep -qE '^wrap: +1, primary$' output || fail "wrap"
grep -qF "$key" output || fail "key"

facts=$(keyfence inspect --json disk.img)
assert_json "$facts" '.label == "my disk" and .cipher == "aes-xts-plain64" and .key_bits == 512
  and .data_offset_bytes == 1048576 and .damaged_copy == false and .header_backup == false
  and .history == []'
assert_eq "$(jq -r .volume <<<"$facts")" "$uuid" "uuid in JSON"

# A header backup.
keyfence header-backup disk.img backup >output
keyfence inspect backup | grep '^size: .*no data: this is a header backup' >/dev/null || fail "a backup"
assert_json "$(keyfence inspect --json backup)" '.header_backup and .size_bytes == 0'

# A damaged copy is a warning; the facts are there.
printf 'damage' | dd of=disk.img bs=1 seek=5000 conv=notrunc status=none
keyfence inspect disk.img >output 2>stderr
grep -q '^keyfence: inspect: warning: disk.img: one of the two copies' stderr || fail "no warning"
grep -q "$uuid" output || fail "facts of the good copy"
assert_json "$(keyfence inspect --json disk.img 2>/dev/null)" .damaged_copy

# Both damaged, or no header at all.
printf 'damage' | dd of=disk.img bs=1 seek=$((65536 + 5000)) conv=notrunc status=none
expect_fail 1 '^keyfence: inspect: disk.img' keyfence inspect disk.img
truncate -s 4M zeros
expect_fail 1 '^keyfence: inspect: zeros' keyfence inspect zeros
: >empty
expect_fail 1 '^keyfence: inspect: empty' keyfence inspect empty
expect_fail 1 'nothing does not exist' keyfence inspect nothing
expect_fail 2 'neither a regular file nor a block device' keyfence inspect .

# A LUKS2 volume without a wrap is told how to get one.
printf 'kfPlanted secret' >passphrase
truncate -s 20M plain.img
cryptsetup luksFormat --type luks2 --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
  --key-size 512 --key-file passphrase plain.img
keyfence inspect plain.img | grep '^wraps: .*keyfence adopt' >/dev/null || fail "adopt is not mentioned"

# What a hostile label holds never reaches the terminal as it is.
cryptsetup config --label $'\e[31mred\a' plain.img
! keyfence inspect plain.img | grep $'[\e\a]' >/dev/null || fail "control characters were printed"
expect_fail 1 '\?\[31mred\? does not exist' keyfence inspect $'\e[31mred\a'
