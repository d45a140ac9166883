#!/bin/bash
# A volume with its primary key in one cloud and a secondary in the other: both wraps made and proven.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

azure_key vault --size 3072
azure=$key
aws_key --alias alias/disk
alias_arn=${key%:key/*}:alias/disk

ctl log --clear >/dev/null
make_volume "$dir/disk" 16M --secondary "$azure"
facts=$(keyfence inspect --json "$dir/disk")
assert_json "$facts" '[.wraps[].role] == ["primary", "secondary"]'
assert_eq "$(jq -r '.wraps[0].key' <<<"$facts")" "$key" "the primary key"
assert_match "$(jq -r '.wraps[1].key' <<<"$facts")" "^$azure/[0-9a-f]{32}\$" "the secondary key"

# Proven by the services: each has unwrapped what it wrapped, the volume's key in the volume's name.
assert_json "$(ctl log | jq -s .)" '[.[] | select (.operation == "Decrypt" or .operation == "UnwrapKey")
  | .operation] | index ("Decrypt") != null and index ("UnwrapKey") != null'
start_server "$dir/disk"
assert_json "$(server_status_json)" '.state == "active"'
stop_server

# The other way round, and the same key by its alias, which only the service can tell.
aws=$key
key=$azure
make_volume "$dir/other" 16M --secondary "$alias_arn"
assert_json "$(keyfence inspect --json "$dir/other")" ".wraps[1].key == \"$aws\""
expect_fail 2 "$aws is the same key as $aws" \
  keyfence create "$dir/no" --size 16M --key "$alias_arn" --secondary "$aws"
[ ! -e "$dir/no" ] || fail "a volume with the same key twice was left"

# A secondary that fails leaves nothing behind: when it does not wrap, when what it has wrapped does not
# open, and when that is so only after the header was written.
refused ()
{
  expect_fail any "$1" keyfence create "$dir/no" --size 16M --key "$aws" --secondary "$azure"
  [ ! -e "$dir/no" ] || fail "a create whose secondary failed ($1) left something behind"
}
ctl fault deny --op WrapKey >/dev/null
refused 'the secondary key: '
ctl clear >/dev/null
ctl fault deny --op UnwrapKey >/dev/null
refused 'the secondary key: '
ctl clear >/dev/null
ctl fault wrong-plaintext --op UnwrapKey >/dev/null
refused 'the secondary key: .*other bytes'
ctl clear >/dev/null
has_header () { [ "$(head -c 4 "$dir/no" 2>/dev/null)" = LUKS ] && [ "$(stat -c %s "$dir/no")" -gt 16777216 ]; }
ctl fault delay 2s --op Decrypt >/dev/null
keyfence create "$dir/no" --size 16M --key "$aws" --secondary "$azure" >"$dir/output" 2>&1 &
pid=$!
wait_for 30 has_header || fail "create never wrote the header: $(cat "$dir/output")"
ctl fault deny --op UnwrapKey >/dev/null
status=0
wait $pid || status=$?
assert_eq "$status" 3 "exit status of a create whose secondary was taken away meanwhile"
grep -q "the new wrap by $azure.* does not open" "$dir/output" || fail "$(cat "$dir/output")"
[ ! -e "$dir/no" ] || fail "a volume with a secondary that does not open was left"
ctl clear >/dev/null
make_volume "$dir/no" 16M --secondary "$alias_arn"
