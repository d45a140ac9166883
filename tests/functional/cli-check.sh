#!/bin/bash
# keyfence check: says of a key what is right, what is wrong, and how to mend it.
. "$(dirname "$0")/lib.sh"
require jq

make_kek "$dir/kek"
keyfence check "$key" >"$dir/output"
grep -q '^pass  ' "$dir/output" || fail "no line passes"
! grep -q '^fail  ' "$dir/output" || fail "a good key fails"
assert_json "$(keyfence check --json "$key")" '.usable and (.checks | length) > 0
  and all(.checks[]; .verdict == "pass" or .verdict == "warn")'
assert_eq "$(keyfence check --json "$key" | jq -r .key)" "$key" "key"

# Not there; open to others; of another size: each with the way to mend it.
denied ()
{
  expect_fail any "$2" keyfence check "$1"
}
denied "file://$dir/missing" missing
cp "$kek" "$dir/open" && chmod 644 "$dir/open"
denied "file://$dir/open" 'chmod'
(umask 077 && head -c 33 "$kek" "$kek" | head -c 33 >"$dir/long")
denied "file://$dir/long" '32'
status=0
keyfence check --json "file://$dir/long" >"$dir/output" 2>/dev/null || status=$?
[ "$status" -ne 0 ] || fail "a key of 33 bytes is good"

# Names that are none.
expect_fail 2 '^keyfence: check: ' keyfence check nonsense
expect_fail 2 '^keyfence: check: ' keyfence check file://relative
expect_fail 2 '^keyfence: check: ' keyfence check ''
expect_fail 2 "a key's id is a UUID" keyfence check arn:aws:kms:us-east-1:123456789012:key/x
expect_fail 2 'an account has 12 digits' keyfence check --json arn:aws:kms:us-east-1:12:alias/x
expect_fail 2 'is not the name of a key' keyfence check https://example.com/keys/x
