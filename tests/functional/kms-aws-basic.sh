#!/bin/bash
# A volume under a key in AWS KMS: made, served, rotated, revoked and restored, as its owner would.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

# ---- every kind of key wraps and unwraps ---------------------------------------------------------------
kms_open
for spec in SYMMETRIC_DEFAULT RSA_2048 RSA_3072 RSA_4096; do
  aws_key --spec "$spec"
  expect_outcome ok - generate "$key" "$dir/wrap-$spec"
  expect_outcome ok - check "$dir/wrap-$spec"
  expect_outcome ok - unwrap "$dir/wrap-$spec"
  expect_outcome ok - wrap "$key" "$dir/wrapped-$spec"
  expect_outcome ok - unwrap "$dir/wrapped-$spec"
done
aws_key --multi-region --region eu-central-1
assert_match "$key" '^arn:aws:kms:eu-central-1:[0-9]{12}:key/mrk-'
expect_outcome ok - generate "$key" "$dir/wrap-mrk"
expect_outcome ok - unwrap "$dir/wrap-mrk"

# ---- a check is one request, on one connection ---------------------------------------------------------
ctl log --clear >/dev/null
for _ in 1 2 3 4 5; do
  expect_outcome ok - check "$dir/wrap-SYMMETRIC_DEFAULT"
done
assert_eq "$(requests)" Decrypt=5 "requests of five checks"
ctl log --clear >/dev/null
expect_outcome ok - unwrap "$dir/wrap-SYMMETRIC_DEFAULT"
assert_eq "$(requests)" Decrypt=1 "requests of an unwrap"
assert_eq "$request_id" "$(ctl log | jq -r .request_id)" "the request id that is reported"
kms_close

# ---- a volume's life -----------------------------------------------------------------------------------
aws_key --alias alias/disk
alias_arn=${key%:key/*}:alias/disk
keyfence check "$alias_arn" --region us-east-1 >"$dir/output" || fail "$(cat "$dir/output")"
grep -q 'right to unwrap: kms:Decrypt gave back 64 random bytes' "$dir/output" || fail "$(cat "$dir/output")"
grep -q 'identity: arn:aws:iam::.*:user/demo' "$dir/output" || fail "check does not say who we are"
! grep -q '^fail' "$dir/output" || fail "$(cat "$dir/output")"
arn=$key
key=$alias_arn
make_volume "$dir/disk" 16M
wrap=$(keyfence inspect --json "$dir/disk" | jq '.wraps[0]')
assert_eq "$(jq -r .key <<<"$wrap")" "$arn" "the key that is stored for an alias"
assert_match "$(jq -r .key_version <<<"$wrap")" '^[0-9a-f]{64}$' "the id of the key's material"
start_server "$dir/disk" check-interval=1s
random_file "$dir/plain" 1M
nbdcopy "$dir/plain" "$uri"
assert_json "$(server_status_json)" '.state == "active"'
stop_server

# A rotation in the service changes nothing for what is there.
ctl rotate "$arn" >/dev/null
start_server "$dir/disk"
nbdcopy "$uri" "$dir/back"
cmp -n 1048576 "$dir/plain" "$dir/back" || fail "other data after a rotation"
stop_server

# A start without the key waits for it.
is_active () { [ "$(server_status_json | jq -r .state)" = active ]; }
ctl disable "$arn" >/dev/null
start_server "$dir/disk" check-interval=1s
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "key_disabled"'
ctl enable "$arn" >/dev/null
wait_for 20 is_active || fail "the volume does not come back with its key: $(server_status_json)"
nbdcopy "$uri" "$dir/back"
cmp -n 1048576 "$dir/plain" "$dir/back" || fail "other data after the key came back"
stop_server
ctl delete "$arn" >/dev/null
expect_no_start 'pending deletion' "$dir/disk" require-key=yes
ctl enable "$arn" >/dev/null

# ---- what is refused, and leaves nothing behind ----------------------------------------------------------
refused ()
{
  local says=$1 name=$2

  expect_fail any "$says" keyfence create --size 16M --key "$name" "$dir/no"
  [ ! -e "$dir/no" ] || fail "a create that failed ($says) left something behind"
}
refused 'NotFoundException' "${arn%:key/*}:key/00000000-0000-0000-0000-000000000000"
refused 'NotFoundException' "${arn%:key/*}:alias/none"
refused 'is not the name of an AWS KMS key' "${arn%:key/*}:key/nonsense"
refused 'no AWS partition' "${arn/arn:aws:/arn:aws-moon:}"
ctl fault deny --op Decrypt >/dev/null
refused 'AccessDeniedException' "$arn"
expect_fail 3 'right to unwrap' keyfence check "$arn"
ctl clear >/dev/null
ctl fault wrong-plaintext --op Decrypt >/dev/null
refused 'other bytes' "$arn"
ctl clear >/dev/null
AWS_USE_FIPS_ENDPOINT=true refused 'AWS_USE_FIPS_ENDPOINT' "$arn"
unset AWS_USE_FIPS_ENDPOINT # a variable before a function may outlive it

# ---- nothing secret is told ------------------------------------------------------------------------------
real_secret=$AWS_SECRET_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=kfPlanted-wrong-secret
expect_fail 1 'check the secret access key' keyfence check "$arn"
for f in "$dir"/*.log "$dir/output"; do
  assert_absent "$f" kfPlanted-wrong-secret
  assert_absent "$f" "$real_secret"
done
