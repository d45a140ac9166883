#!/bin/bash
# keyfence create --secondary: a wrap of the same volume key by each key, all proven, or no volume at all.
. "$(dirname "$0")/lib.sh"
require jq cryptsetup

cd "$dir"
make_kek "$dir/second"
second=$key
make_kek "$dir/third"
third=$key
make_kek "$dir/kek"

keyfence create disk.img --size 4M --key "$key" --secondary "$second" --secondary="$third" --json >facts
assert_json "$(cat facts)" '[.wraps[] | [.id, .role]] == [[1, "primary"], [2, "secondary"], [3, "secondary"]]'
assert_eq "$(jq -r '.wraps[].key' facts | xargs)" "$key $second $third" "the keys, in the order given"
keyfence inspect disk.img >output
assert_eq "$(sed -n 's/^wrap: *//p' output)" $'1, primary\n2, secondary\n3, secondary' "wraps that inspect shows"
grep -qF "$third" output || fail "inspect does not name the secondary keys"
start_server disk.img
assert_json "$(server_status_json)" '.state == "active"'
stop_server

# Each wrap alone opens the volume: what it holds is the volume key, by standard tools.
# unwrap_by NUMBER KEK FILE
unwrap_by ()
{
  local wrapping_key

  wrapping_key=$(openssl kdf -keylen 32 -binary -kdfopt digest:SHA256 \
    -kdfopt "hexkey:$(xxd -p -c 64 "$2")" -kdfopt "salt:$(volume_uuid disk.img)" \
    -kdfopt "info:keyfence file wrap v1" HKDF | xxd -p -c 64)
  cryptsetup luksDump --dump-json-metadata disk.img |
    jq -r "[.tokens[] | select (.type == \"keyfence\")][0].wraps[$1].wrapped" | base64 -d |
    openssl enc -d -id-aes256-wrap -K "$wrapping_key" -iv A6A6A6A6A6A6A6A6 >"$3"
}
unwrap_by 0 kek key0
unwrap_by 1 second key1
unwrap_by 2 third key2
assert_eq "$(stat -c %s key0)" 64 "size of the volume key"
assert_same key0 key1
assert_same key0 key2

# Four secondaries are the most.
options=(--key "$key")
for i in 1 2 3 4; do
  make_kek "$dir/kek$i"
  options+=(--secondary "$key")
done
keyfence create five.img --size 1M "${options[@]}" --json >facts
assert_json "$(cat facts)" '.wraps | length == 5'
expect_fail 2 '^keyfence: create: --secondary is given more than 4 times' \
  keyfence create six.img --size 1M "${options[@]}" --secondary "$third"

# The same key twice is refused, also under another name of the file or as a copy.  Nothing half-made
# is left, whichever key fails.
key=file://$dir/kek
ln -s kek link
cp -p kek copy
cp -p second second-copy
refused ()
{
  local code=$1 regex=$2

  shift 2
  expect_fail "$code" "$regex" keyfence create new.img --size 1M --key "$key" "$@"
  [ ! -e new.img ] || fail "a file was left: $*"
}
refused 2 "kek: this key is given twice" --secondary "$key"
refused 2 "this key is given twice" --secondary "$second" --secondary "$second"
refused 2 "link is the same key as $key" --secondary "file://$dir/link"
refused 2 "copy is the same key as $key" --secondary "$second" --secondary "file://$dir/copy"
refused 2 "copy is the same key as $second" --secondary "$second" --secondary "file://$dir/second-copy"
refused 1 'the secondary key: .*missing' --secondary "$second" --secondary "file://$dir/missing"
refused 2 'the secondary key: ' --secondary nonsense
cp disk.img before
expect_fail 1 'missing' keyfence create disk.img --force --size 1M --key "$key" --secondary "file://$dir/missing"
assert_same disk.img before
expect_fail 2 'is the file of the key' keyfence create --force second --size 4M --key "$key" --secondary "$second"
