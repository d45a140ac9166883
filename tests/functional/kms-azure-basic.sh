#!/bin/bash
# A volume under a key in Azure: made, served, rotated, revoked and restored, as its owner would.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
azure_start

# ---- every kind of key wraps and unwraps ---------------------------------------------------------------
kms_open
for bits in 2048 3072 4096; do
  azure_key "rsa-$bits" --size "$bits"
  expect_outcome ok - generate "$key" "$dir/wrap-$bits"
  expect_outcome ok - check "$dir/wrap-$bits"
  expect_outcome ok - unwrap "$dir/wrap-$bits"
done
azure_key aes --hsm --kty oct-HSM
expect_outcome ok - generate "$key" "$dir/wrap-aes"
expect_outcome ok - unwrap "$dir/wrap-aes"
azure_key rsa-hsm --hsm --kty RSA-HSM --size 3072
expect_outcome ok - wrap "$key" "$dir/wrap-hsm"
expect_outcome ok - unwrap "$dir/wrap-hsm"

# ---- once all is known, a check is one request ---------------------------------------------------------
ctl log --clear >/dev/null
for _ in 1 2 3 4 5; do
  expect_outcome ok - check "$dir/wrap-2048"
done
assert_eq "$(requests)" UnwrapKey=5 "requests of five checks"
# A child that unwraps has its parent's token.
ctl log --clear >/dev/null
expect_outcome ok - unwrap "$dir/wrap-2048"
assert_eq "$(requests)" UnwrapKey=1 "requests of an unwrap"
ctl log --clear >/dev/null
expect_outcome ok - check "$dir/wrap-2048"
assert_eq "$request_id" "$(ctl log | jq -r .request_id)" "the request id that is reported"
kms_close

# ---- a volume's life -----------------------------------------------------------------------------------
azure_key kek --size 3072
keyfence check "$key" --region eastus >"$dir/output" || fail "$(cat "$dir/output")"
grep -q 'right to unwrap: 64 random bytes came back' "$dir/output" || fail "$(cat "$dir/output")"
grep -q "credentials: client secret (AZURE_CLIENT_SECRET): application $AZURE_CLIENT_ID" "$dir/output" ||
  fail "check does not say who we are: $(cat "$dir/output")"
! grep -qE '^(warn|fail)' "$dir/output" || fail "$(cat "$dir/output")"
make_volume "$dir/disk" 16M
first=$(keyfence inspect --json "$dir/disk" | jq -r '.wraps[0].key')
assert_match "$first" "^$key/[0-9a-f]{32}\$" "the key that is stored"
start_server "$dir/disk" check-interval=1s
random_file "$dir/plain" 1M
nbdcopy "$dir/plain" "$uri"
assert_json "$(server_status_json)" '.state == "active"'
stop_server

# A rotation in the service changes nothing for what is there.
ctl rotate "$key" >/dev/null
start_server "$dir/disk" check-interval=1s
nbdcopy "$uri" "$dir/back"
cmp -n 1048576 "$dir/plain" "$dir/back" || fail "other data after a rotation"
stop_server

# A start without the key waits for it.
ctl disable "$first" >/dev/null
start_server "$dir/disk" check-interval=1s
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "key_disabled"'
ctl enable "$first" >/dev/null
is_active () { [ "$(server_status_json | jq -r .state)" = active ]; }
wait_for 20 is_active || fail "the volume does not come back with its key: $(server_status_json)"
nbdcopy "$uri" "$dir/back"
cmp -n 1048576 "$dir/plain" "$dir/back" || fail "other data after the key came back"
stop_server

# ---- what is refused -----------------------------------------------------------------------------------
expect_fail any "no such key" keyfence create --size 16M --key "${key%/*}/none" "$dir/no"
[ ! -e "$dir/no" ] || fail "a failed create left something behind"
azure_key half
ctl fault deny --op UnwrapKey >/dev/null
expect_fail any "role assignment" keyfence create --size 16M --key "$key" "$dir/no"
[ ! -e "$dir/no" ] || fail "a create whose wrap can't be opened left something behind"
expect_fail 3 "right to unwrap" keyfence check "$key"
ctl clear >/dev/null
AZURE_AUTHORITY_HOST='' expect_fail any "not the name of a key" keyfence create --size 16M --key https://evil.example:1/keys/k "$dir/no"

# ---- nothing secret is told ------------------------------------------------------------------------------
AZURE_CLIENT_SECRET=kfPlanted-wrong-secret expect_fail any "AADSTS7000215" keyfence check "$key"
for f in "$dir"/*.log "$dir/output"; do
  assert_absent "$f" kfPlanted-wrong-secret
  assert_absent "$f" "$AZURE_CLIENT_SECRET"
  assert_absent "$f" eyJ
done
