#!/bin/bash
# keyfence adopt: what cryptsetup has formatted becomes a volume of keyfence, its data untouched.
. "$(dirname "$0")/lib.sh"
require jq cryptsetup

make_kek "$dir/kek"
cd "$dir"
printf 'kfPlanted secret' >passphrase
chmod 600 passphrase
random_file volume.key 64
chmod 600 volume.key

# format FILE [options...]: by cryptsetup alone, with the default layout of 16 MiB.
format ()
{
  local file=$1

  shift
  truncate -s 20M "$file"
  cryptsetup luksFormat --type luks2 --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
    --key-size 512 --key-file passphrase "$@" "$file"
}

# By the passphrase.  The data stay, the passphrase stays.
format disk.img
tail -c +$((16 * 1024 * 1024 + 1)) disk.img >data-before
keyfence adopt disk.img --key "$key" --passphrase-file passphrase >output
assert_match "$(cat output)" '^adopted disk.img: 4 MiB, volume [0-9a-f-]{36}' "what adopt says"
tail -c +$((16 * 1024 * 1024 + 1)) disk.img >data-after
assert_same data-before data-after
cryptsetup open --test-passphrase --key-file passphrase disk.img || fail "the passphrase is gone"
facts=$(keyfence inspect --json disk.img)
assert_json "$facts" '.subsystem == "keyfence" and .passphrases == 1 and (.wraps | length) == 1'

# By the volume key.
format key.img --volume-key-file volume.key
keyfence adopt key.img --key "$key" --volume-key-file volume.key --json >output
assert_json "$(cat output)" '.wraps[0].role == "primary"'

# A volume that has a wrap is not adopted again.
expect_fail 2 "is a volume of keyfence already, wrapped by $key" \
  keyfence adopt disk.img --key "$key" --passphrase-file passphrase

# What is refused, and leaves the file as it was.
format plain.img --volume-key-file volume.key
cp plain.img before
refused ()
{
  local code=$1 regex=$2

  shift 2
  expect_fail "$code" "^keyfence: adopt: .*$regex" keyfence adopt plain.img "$@"
  assert_same plain.img before
}
refused 2 'give --passphrase-file or --volume-key-file, and not both' --key "$key"
refused 2 'give --passphrase-file or --volume-key-file, and not both' --key "$key" \
  --passphrase-file passphrase --volume-key-file volume.key
printf 'wrong' >wrong
refused 3 '' --key "$key" --passphrase-file wrong
random_file other.key 64 2
refused 1 '' --key "$key" --volume-key-file other.key
head -c 63 volume.key >short.key
refused 2 'short.key has less than the 64 bytes' --key "$key" --volume-key-file short.key
cat volume.key short.key >long.key
refused 2 'long.key has more than the 64 bytes' --key "$key" --volume-key-file long.key
refused 1 'nothing: No such file' --key "$key" --volume-key-file nothing
refused 1 'missing' --key "file://$dir/missing" --volume-key-file volume.key
expect_fail 1 'nothing does not exist' keyfence adopt nothing --key "$key" --volume-key-file volume.key
truncate -s 2M zeros
expect_fail 1 '' keyfence adopt zeros --key "$key" --volume-key-file volume.key
format aes128.img --key-size 256
expect_fail 1 '' keyfence adopt aes128.img --key "$key" --passphrase-file passphrase
