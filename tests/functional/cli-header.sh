#!/bin/bash
# keyfence header-backup and header-restore: a header comes back whole, or nothing is changed.
. "$(dirname "$0")/lib.sh"
require jq cryptsetup

cd "$dir"
make_volume disk.img 4M
uuid=$(volume_uuid disk.img)
keyfence inspect --json disk.img >facts
cp disk.img before

keyfence header-backup disk.img backup >output
assert_match "$(cat output)" "^saved the header of volume $uuid in backup" "what header-backup says"
assert_same disk.img before
case $(stat -c %a backup) in
  400 | 600) ;;
  *) fail "the backup is open to others" ;;
esac

# It does not overwrite anything, and takes volumes only.
expect_fail 1 'backup exists: choose another name' keyfence header-backup disk.img backup
truncate -s 4M zeros
expect_fail 1 '^keyfence: header-backup: zeros' keyfence header-backup zeros other
expect_fail 1 'nothing does not exist' keyfence header-backup nothing other
expect_fail 2 'FILE is missing' keyfence header-backup disk.img
[ ! -e other ] || fail "a backup of nothing was left"

# A header that is gone comes back.
dd if=/dev/zero of=disk.img bs=1M count=1 conv=notrunc status=none
expect_fail 1 '' keyfence inspect disk.img
keyfence header-restore disk.img backup >output
assert_match "$(cat output)" "^restored the header of volume $uuid from backup" "what header-restore says"
assert_same facts <(keyfence inspect --json disk.img)

# So does one of which a copy is damaged.
printf 'damage' | dd of=disk.img bs=1 seek=5000 conv=notrunc status=none
keyfence header-restore disk.img backup >output
assert_same facts <(keyfence inspect --json disk.img)

# Another volume's header needs --force.
make_volume other.img 4M
cp other.img before
expect_fail any "other.img.* holds volume" keyfence header-restore other.img backup
assert_same other.img before
keyfence header-restore other.img backup --force >output
assert_eq "$(volume_uuid other.img)" "$uuid" "uuid after --force"

# What is no backup is refused and changes nothing.
cp disk.img before
expect_fail 1 '' keyfence header-restore disk.img zeros
head -c 30000 backup >truncated
expect_fail 1 '' keyfence header-restore disk.img truncated
expect_fail 1 '' keyfence header-restore disk.img nothing
assert_same disk.img before
expect_fail 1 'nothing does not exist' keyfence header-restore nothing backup
