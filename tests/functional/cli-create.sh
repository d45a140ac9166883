#!/bin/bash
# keyfence create: makes whole volumes, refuses what is wrong, leaves nothing half-made.
. "$(dirname "$0")/lib.sh"
require jq cryptsetup

make_kek "$dir/kek"
cd "$dir"

# A volume is a file of the size asked for and 1 MiB more, readable by its owner only, and plain LUKS2.
keyfence create disk.img --size 16M --key "$key" --label data >output
assert_match "$(cat output)" '^created disk.img: 16 MiB, volume [0-9a-f-]{36}' "what create says"
assert_eq "$(stat -c %s disk.img)" $((17 * 1024 * 1024)) "size of the file"
assert_eq "$(stat -c %a disk.img)" 600 "mode of the file"
cryptsetup isLuks --type luks2 disk.img || fail "cryptsetup does not see LUKS2"
cryptsetup luksDump disk.img | grep 'sector: 4096' >/dev/null || fail "sectors of 4096 bytes"

# --json tells the facts, the same as inspect does.
keyfence create --size=1.5M --key="$key" --sector-size 512 --json -- json.img >facts
assert_json "$(cat facts)" '.size_bytes == 1572864 and .sector_size == 512 and .passphrases == 0
  and .label == "" and .wraps[0].role == "primary" and (.wraps | length) == 1'
assert_eq "$(jq -r '.wraps[0].key' facts)" "$key" "key in the facts"
assert_same facts <(keyfence inspect --json json.img)

# The smallest volume is one sector; 16 TiB are sparse.
keyfence create one.img --size 4096 --key "$key" >output
assert_eq "$(stat -c %s one.img)" $((1024 * 1024 + 4096)) "size of the smallest volume"
if truncate -s 17T probe 2>/dev/null; then
  keyfence create huge.img --size 16T --key "$key" >output
  assert_json "$(keyfence inspect --json huge.img)" '.size_bytes == 17592186044416'
  [ "$(stat -c %b huge.img)" -lt 8192 ] || fail "16 TiB are not sparse"
fi

# --preallocate takes the space.
keyfence create full.img --size 8M --key "$key" --preallocate >output
[ $(($(stat -c %b full.img) * 512)) -ge $((9 * 1024 * 1024)) ] || fail "the space is not taken"

# The recovery passphrase is the file without one newline at its end, and opens the volume
# (- is standard input).
printf 'kfPlanted horse\n\n' >passphrase
chmod 600 passphrase
keyfence create recover.img --size 1M --key "$key" --recovery-passphrase-file - <passphrase >output 2>&1
! grep -q warning output || fail "a warning without a reason: $(cat output)"
printf 'kfPlanted horse\n' >exact
cryptsetup open --test-passphrase --key-file exact recover.img || fail "the passphrase does not open it"
assert_json "$(keyfence inspect --json recover.img)" '.passphrases == 1'

# What can't be right is refused with exit code 2, and no file is made.
refused ()
{
  local code=$1 regex=$2

  shift 2
  rm -f new.img
  expect_fail "$code" "^keyfence: create: .*$regex" keyfence create new.img "$@"
  [ ! -e new.img ] || fail "a file was left: $*"
}
refused 2 '--size SIZE is missing' --key "$key"
refused 2 '"ten" is not a size' --key "$key" --size ten
refused 2 'multiple of the sector size, 4096' --key "$key" --size 4097
refused 2 'multiple of the sector size, 4096' --key "$key" --size 512
refused 2 'multiple of the sector size, 512' --key "$key" --size 511 --sector-size 512
refused 2 'multiple of the sector size' --key "$key" --size 0
refused 2 'more than a file can hold' --key "$key" --size 4E
refused 2 'has 48 bytes, a label has at most 47' --key "$key" --size 1M --label "$(printf '%048d' 0)"
refused 2 'neither slashes nor control' --key "$key" --size 1M --label a/b
refused 2 'neither slashes nor control' --key "$key" --size 1M --label $'a\nb'
refused 2 'looks like a uuid' --key "$key" --size 1M --label 01234567-89ab-cdef-0123-456789abcdef
refused 2 'empty' --key "$key" --size 1M --recovery-passphrase-file /dev/null
head -c 5000 /dev/zero >long
refused 2 'longer than the 4096 bytes' --key "$key" --size 1M --recovery-passphrase-file long
refused 1 'no-such-file: No such file' --key "$key" --size 1M --recovery-passphrase-file no-such-file
expect_fail 1 'no/such/folder/disk: the folder for it does not exist: make it first' \
  keyfence create no/such/folder/disk --size 1M --key "$key"
expect_fail 2 'neither a regular file nor a block device' keyfence create . --size 1M --key "$key"
expect_fail 2 'neither a regular file nor a block device' keyfence create /dev/null --size 1M --key "$key"
mkfifo fifo
expect_fail 2 'neither a regular file nor a block device' keyfence create fifo --size 1M --key "$key"

# A key that can't be used is refused; with --force, what was there is still there.
refused 1 'missing' --key "file://$dir/missing" --size 1M
refused 2 '' --key "http://example.com/" --size 1M
refused 2 '' --key "file://relative" --size 1M
(umask 077 && head -c 31 /dev/urandom >short)
refused 3 '32' --key "file://$dir/short" --size 1M
cp kek open && chmod 644 open
refused 3 'mode|chmod' --key "file://$dir/open" --size 1M
cp disk.img before
expect_fail 1 'missing' keyfence create disk.img --force --size 1M --key "file://$dir/missing"
assert_same disk.img before

# A file that exists is overwritten with --force only; it is said what it holds.
expect_fail 1 'disk.img exists and holds crypto_LUKS: --force overwrites it' \
  keyfence create disk.img --size 1M --key "$key"
assert_same disk.img before
: >empty
expect_fail 1 'empty exists: --force overwrites it' keyfence create empty --size 1M --key "$key"
uuid=$(volume_uuid disk.img)
keyfence create disk.img --force --size 1M --key "$key" >output
[ "$(volume_uuid disk.img)" != "$uuid" ] || fail "--force made no new volume"
assert_eq "$(stat -c %s disk.img)" $((2 * 1024 * 1024)) "size after --force"

# A full disk leaves nothing behind.
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=2M none small 2>/dev/null; then
  at_exit "umount '$dir/small'"
  expect_fail 1 'giving small/disk its size: No space left' \
    keyfence create small/disk --size 16M --key "$key" --preallocate
  [ ! -e small/disk ] || fail "a half-made file was left on the full disk"
  : >small/old
  expect_fail 1 'No space left' keyfence create small/old --force --size 16M --key "$key" --preallocate
  assert_eq "$(stat -c %s small/old)" 0 "size of the file that was to be overwritten"
fi
(
  ulimit -f 4096 # units of 1024 bytes
  trap '' XFSZ
  expect_fail 1 'new.img: its file system, or the limit on sizes of files .ulimit -f., allows none of that size' keyfence create new.img --size 16M --key "$key"
)
[ ! -e new.img ] || fail "a half-made file was left behind a file size limit"

# A signal leaves nothing behind either (the passphrase takes a moment; who is faster has finished).
# A passphrase that others can read is warned about.
chmod 644 passphrase
"$KEYFENCE" create new.img --size 1M --key "$key" --recovery-passphrase-file passphrase >output 2>&1 &
pid=$!
made ()
{
  [ -e new.img ] || dead $pid
}
wait_for 20 made
kill -TERM $pid 2>/dev/null || true
status=0
wait $pid || status=$?
if [ "$status" -ne 0 ]; then
  assert_eq "$status" 143 "exit status after SIGTERM"
  [ ! -e new.img ] || fail "a half-made file was left after SIGTERM"
fi
grep -q 'warning: passphrase can be read by others (mode 644): chmod 600 it' output ||
  fail "no warning about the mode of the passphrase file"

# --force does not overwrite what the volume depends on.
cp "$kek" "$dir/kek.before"
expect_fail 2 'is the file of the key' keyfence create --force --size 4M --key "$key" "$kek"
expect_fail 2 'is the file of the key' keyfence create --force --size 4M --key "$key" \
  --recovery-passphrase-file passphrase passphrase
assert_same "$kek" "$dir/kek.before"
