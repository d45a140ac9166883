#!/bin/bash
# keyfence check for identities that may do less than everything, and against services that are slow
# or refuse what is not needed: it tells what is needed from what is not, in its time.
# shellcheck disable=SC1091,SC2030,SC2031  # files made here; variables that are to stay in their ( )
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

# checked STATUS ARGUMENTS...: the exit code of keyfence check; its JSON is left in $json.
checked ()
{
  local want=$1 status=0

  shift
  json=$(keyfence check --json "$@") || status=$?
  [ "$status" -eq "$want" ] || fail "check $*: exit status $status instead of $want: $json"
}

# ---- AWS: who may run one volume ---------------------------------------------------------------------------
aws_key
arn=$key
make_volume "$dir/disk" 16M
make_volume "$dir/other" 16M
uuid=$(keyfence inspect --json "$dir/disk" | jq -r .volume)
account=$(cut -d: -f5 <<<"$arn")
me=arn:aws:iam::$account:role/disk
ctl create-role disk --trust "arn:aws:iam::$account:root" >/dev/null
ctl access-key role/disk --lifetime 1h >"$dir/role"

# as_disk STATEMENTS COMMAND...: as the role, by these statements of what policy printed ($dir/policy).
as_disk ()
{
  local sids=$1

  shift
  ctl key-policy "$arn" "$(jq -c --arg sids "$sids" '.Statement |= map (select (.Sid as $s | $sids | split (" ") | index ($s)))' "$dir/policy")" >/dev/null
  (
    . "$dir/role"
    "$@"
  ) || exit 1
  ctl key-policy "$arn" default >/dev/null
}

bound_and_run_only ()
{
  checked 3 "$arn"
  line 'right to wrap' fail AccessDenied '--run-only'
  ctl log --clear >/dev/null
  checked 0 "$arn" --run-only --volume "$dir/disk"
  line 'right to unwrap' pass "the probe of the volume $uuid"
  no_line 'right to wrap'
  no_line 'right to make volume keys'
  # Nothing that running does not need is tried, but to look at the key.
  assert_eq "$(requests)" 'Decrypt=1 DescribeKey=1 GetCallerIdentity=1' "requests of --run-only"
  checked 3 "$arn" --run-only --volume "$dir/other"
  line 'right to unwrap' fail AccessDenied 'keyfence policy'
  # Without anything to unwrap, a denial can still be told from the absence of one.
  checked 0 "$arn" --run-only --volume "$uuid"
  line 'right to unwrap' warn 'not proven' '--volume PATH'
  checked 3 "$arn" --run-only
  line 'right to unwrap' fail AccessDenied .
}
keyfence policy "$arn" --principal "$me" --volume "$uuid" >"$dir/policy"
as_disk 'KeyfenceRun' bound_and_run_only

bound ()
{
  checked 3 "$arn"
  checked 0 "$arn" --volume "$uuid"
  checked 0 "$arn" --volume "$dir/disk"
  line 'right to unwrap' pass "the probe of the volume $uuid"
  line 'right to wrap' pass .
  assert_eq "$(jq -r .volume <<<"$json")" "$uuid" "the volume of the report"
  checked 3 "$arn" --volume "$dir/other"
}
as_disk 'KeyfenceRun KeyfenceCreateAndRewrap KeyfenceCheck' bound

# The whole document may take the place of a key's policy: it can be changed again afterwards.
ctl key-policy "$arn" "$(jq -c . "$dir/policy")" >/dev/null
checked 3 "$arn"
line enabled pass .
ctl key-policy "$arn" default >/dev/null

# RSA keys have no encryption context that a policy could ask for.
aws_key --spec RSA_3072
rsa=$key
for options in '' --rsa; do
  # shellcheck disable=SC2086  # none or one
  keyfence policy "$rsa" --principal "$me" $options >"$dir/policy"
  ctl key-policy "$rsa" "$(jq -c . "$dir/policy")" >/dev/null
  (
    . "$dir/role"
    if [ -n "$options" ]; then
      checked 0 "$rsa"
      line 'type and size' warn 'not bound' .
    else
      checked 3 "$rsa"
    fi
  ) || exit 1
done
expect_fail 2 'no encryption context' keyfence policy "$rsa" --rsa --volume "$uuid"
key=$arn

# A volume of another key.
expect_fail 2 "has no wrap by $rsa: .*its keys: $arn" keyfence check "$rsa" --volume "$dir/disk"
expect_fail 1 'does not exist' keyfence check "$arn" --volume "$dir/none"

# ---- AWS: what is not needed does not end the report -----------------------------------------------------------
for op in DescribeKey GetKeyRotationStatus GetCallerIdentity; do
  for fault in throttle deny outage garbage; do
    ctl fault "$fault" --op "$op" >/dev/null
    checked 0 "$arn"
    line 'right to unwrap' pass .
    assert_json "$json" 'any(.checks[]; .verdict == "warn" and (.detail | test ("identity may not look|'"$op"'")))' \
      "a warning about $op ($fault)"
    ctl clear >/dev/null
  done
done

# What fails tells the id by which AWS finds the request.
ctl fault deny --op Encrypt >/dev/null
ctl log --clear >/dev/null
checked 3 "$arn"
assert_eq "$(jq -r '.checks[] | select (.name == "right to wrap") | .request_id' <<<"$json")" \
  "$(ctl log --op Encrypt | jq -r .request_id)" "the request id of the line"
keyfence check "$arn" >"$dir/output" || true
grep -q "^fail  right to wrap: .* (request id $(ctl log --op Encrypt | jq -rs '.[-1].request_id'))\$" "$dir/output" ||
  fail "no request id: $(cat "$dir/output")"
ctl clear >/dev/null
ctl fault deny --op GenerateDataKey >/dev/null
ctl log --clear >/dev/null
expect_fail 3 '\(request id [0-9a-f-]+\)$' keyfence create --size 16M --key "$arn" "$dir/no"
ctl clear >/dev/null

# A name that was never a key's is a mistake, not a denial; what a volume depends on is denied.
none=${arn%:key/*}:key/00000000-0000-0000-0000-000000000000
checked 1 "$none"
line key fail NotFoundException 'its name'
expect_fail 1 NotFoundException keyfence create --size 16M --key "$none" "$dir/no"

# ---- AWS: slow ------------------------------------------------------------------------------------------------
took ()
{
  local start=$SECONDS

  "$@"
  [ $((SECONDS - start)) -le $((17 * patience)) ] || fail "$* took $((SECONDS - start)) s"
}
ctl fault delay 20s --op aws >/dev/null
took checked 1 "$arn"
line reachable warn 'no answer' .
line 'right to wrap' fail 'no answer' .
line 'right to make volume keys' fail 'used up' .
took checked 1 "$arn" --run-only --volume "$dir/disk"
line 'right to unwrap' fail 'no answer|within' .
ctl clear >/dev/null
ctl fault delay 20s --op DescribeKey >/dev/null
took checked 0 "$arn"
line reachable warn 'no answer' .
line 'right to unwrap' pass .
ctl clear >/dev/null

# ---- Azure ----------------------------------------------------------------------------------------------------
ctl create-vault small >/dev/null
ctl create-app runner >"$dir/app"
azure_key kek --vault small
make_volume "$dir/azure" 16M
version=$(keyfence inspect --json "$dir/azure" | jq -r '.wraps[0].key')
as_runner ()
{
  (
    . "$dir/app"
    "$@"
  ) || exit 1
}
run_only ()
{
  checked 3 "$key"
  line 'right to wrap' fail Forbidden '--run-only'
  ctl log --clear >/dev/null
  checked 0 "$key" --run-only --volume "$dir/azure"
  line 'right to unwrap' pass 'the probe of the volume'
  line properties warn Forbidden 'running does not need it'
  [[ "$(requests)" != *Wrap* || "$(requests)" == *UnwrapKey=1* ]] || fail "requests of --run-only: $(requests)"
  checked 0 "$key" --run-only
  line 'right to unwrap' warn 'not proven' '--volume PATH'
}
ctl grant small runner unwrap >/dev/null
as_runner run_only
denied ()
{
  checked 3 "$key" --run-only
  line 'right to unwrap' fail Forbidden 'keyfence policy'
  checked 3 "$key" --run-only --volume "$dir/azure"
}
ctl grant small runner get >/dev/null
as_runner denied

for fault in throttle outage garbage; do
  ctl fault "$fault" --op GetRotationPolicy >/dev/null
  checked 0 "$key"
  line 'right to unwrap' pass .
  [ "$fault" = garbage ] || line rotation warn 'answers' 'try again'
  ctl clear >/dev/null
  ctl fault "$fault" --op GetKey >/dev/null
  checked 0 "$key"
  line reachable pass .
  line properties warn . .
  line 'right to unwrap' pass .
  ctl clear >/dev/null
done
# A clock that is wrong is told, and does not end the report.
ctl fault skew 2h --op azure-vault >/dev/null
checked 1 "$key"
line clock warn '7[12][0-9][0-9] s' NTP
line 'right to wrap' fail 'clock' NTP
ctl clear >/dev/null
ctl fault skew 2m --op azure-vault >/dev/null
checked 0 "$key"
line clock warn '1[12][0-9] s' NTP
ctl clear >/dev/null
checked 1 "${key%/*}/none"
line key fail KeyNotFound 'name'
ctl disable "$version" >/dev/null
checked 3 "$key" --run-only --volume "$dir/azure"
line enabled fail disabled "enabled true --id $version"
ctl enable "$version" >/dev/null
ctl fault delay 20s --op azure >/dev/null
took checked 1 "$key"
ctl clear >/dev/null

# ---- a key file ---------------------------------------------------------------------------------------------------
make_kek "$dir/kek"
make_volume "$dir/file" 16M
checked 0 "$key" --run-only --volume "$dir/file"
line 'right to unwrap' pass .
checked 0 "$key" --run-only
