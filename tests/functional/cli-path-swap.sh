#!/bin/bash
# Another file put in the place of a volume, between its locking and its change, is left as it is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
require cryptsetup python3
aws_start
aws_key
cd "$dir"

make_volume other 4M
sha256sum other >other.sum
asked () { [ "$(ctl log --op "$1" --count)" -gt 0 ]; }

# swapped_while OPERATION command...: while the key service is asked, `other` takes the place of disk.img.
swapped_while ()
{
  local operation=$1 status=0

  shift
  ctl log --clear >/dev/null
  ctl fault delay $((3 * patience))s --op "$operation" >/dev/null
  "$@" >"$dir/output" 2>&1 &
  pid=$!
  wait_for 20 locked_by $pid || fail "never opened: $*"
  sleep "$patience" # the header has been read by then, and the key service been asked
  mv disk.img away
  cp other disk.img
  wait $pid || status=$?
  ctl clear >/dev/null
  asked "$operation" || fail "the key service was not asked by $*"
  assert_eq "$status" 1 "exit status of $*"
  grep -q 'disk.img is not what it was: something else has taken its place meanwhile; nothing was changed' \
    "$dir/output" || fail "$(cat "$dir/output")"
  assert_same disk.img other
}
locked_by () { [ -e disk.img ] && [ -n "$(find "/proc/$1/fd" -lname '*/disk.img' 2>/dev/null)" ]; }

# create, in a new file; and over one that was there.
swapped_while GenerateDataKey "$KEYFENCE" create disk.img --size 4M --key "$key"
mv away disk.img
swapped_while GenerateDataKey "$KEYFENCE" create disk.img --force --size 4M --key "$key"
rm -f away

# adopt: neither of the two is changed.
printf 'kfPlanted secret' >passphrase
chmod 600 passphrase
truncate -s 24M disk.img
cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --cipher aes-xts-plain64 \
  --key-size 512 --key-file passphrase disk.img
cp disk.img before
swapped_while Encrypt "$KEYFENCE" adopt disk.img --key "$key" --passphrase-file passphrase
assert_same away before

# destroy, while it waits for the answer.
cp other disk.img
mkfifo "$dir/do"
TERM=xterm timeout $((40 * patience)) python3 "$here/pty-screen.py" 24 80 "$dir" "$KEYFENCE" destroy disk.img 2>output &
pid=$!
{
  echo 'wait Type yes to do it'
  echo "show $dir/asks"
  wait_for 20 test -s asks
  mv disk.img away
  cp other disk.img
  printf '%s\n' 'keys yes\n'
  echo 'wait is not what it was'
  echo end
} >"$dir/do"
status=0
wait $pid || status=$?
[ "$status" -eq 1 ] || { cat output >&2; fail "exit status $status of a destroy whose file was swapped"; }
assert_same disk.img other
assert_same away other
sha256sum -c --quiet other.sum
