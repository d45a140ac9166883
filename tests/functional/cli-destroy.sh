#!/bin/bash
# keyfence destroy: nothing that could open the volume is left, and nothing goes by mistake.
. "$(dirname "$0")/lib.sh"
require cryptsetup jq

cd "$dir"
make_volume disk.img 4M
uuid=$(volume_uuid disk.img)
cp disk.img before

# Without a terminal it needs --yes.
expect_fail 2 'no terminal to ask: --yes' keyfence destroy disk.img
assert_same disk.img before

# On a terminal it asks, and takes the whole word only.
if command -v script >/dev/null; then
  answer ()
  {
    printf '%s\n' "$1" | script -q -e -c "'$KEYFENCE' destroy disk.img" /dev/null >output 2>&1
  }
  for word in no y '' YES yess; do
    if answer "$word"; then
      fail "it took \"$word\" for yes"
    fi
    grep -q "volume $uuid" output || fail "the question does not say what is destroyed"
    grep -q 'nothing was done' output || fail "it does not say that nothing was done"
    assert_same disk.img before
  done
  answer yes || fail "yes was not accepted: $(cat output)"
  [ ! -e disk.img ] || fail "the file is still there"
  cp before disk.img
fi

# --yes does it.
rm "$kek" # no key is needed
keyfence destroy --yes disk.img >output
assert_match "$(head -n 1 output)" "^destroyed volume $uuid and removed disk.img\$" "what destroy says"
[ ! -e disk.img ] || fail "the file is still there"

# --keep-file leaves the file, with neither wraps nor keyslots in it.
cp before disk.img
keyfence destroy --yes --keep-file disk.img >output
assert_eq "$(stat -c %s disk.img)" "$(stat -c %s before)" "size of the file"
assert_absent disk.img keyfence
assert_absent disk.img LUKS
assert_same <(tail -c +$((1024 * 1024 + 1)) disk.img) <(tail -c +$((1024 * 1024 + 1)) before)
expect_fail 1 '' keyfence inspect disk.img

# Through a symbolic link, the file goes.
cp before real.img
ln -s real.img link.img
keyfence destroy --yes link.img >output
[ ! -e real.img ] || fail "the file behind the link is still there"

# What is no volume is refused.
truncate -s 4M zeros
expect_fail 1 '^keyfence: destroy: zeros' keyfence destroy --yes zeros
expect_fail 1 'nothing does not exist' keyfence destroy --yes nothing
[ -e zeros ] || fail "a file that is no volume was removed"
