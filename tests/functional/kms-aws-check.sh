#!/bin/bash
# keyfence check says of a key in AWS KMS what is right, what is wrong and how to mend it; keyfence
# policy prints what its owner has to grant, and that is enough and no more than needed.
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
  assert_eq "$(jq .usable <<<"$json")" "$([ "$want" -eq 0 ] && echo true || echo false)" "usable"
}

# ---- a good key ------------------------------------------------------------------------------------------
aws_key
arn=$key
checked 0 "$arn" --region us-east-1
for name in reachable credentials identity clock enabled deletion usage 'type and size' expiry owner multi-Region \
  'right to wrap' 'right to unwrap' 'right to make volume keys' region; do
  line "$name" pass .
done
line rotation warn 'not rotated' enable-key-rotation
line reachable pass 'https://localhost:[0-9]+/ answers'
checked 0 "$arn" --region eu-west-1
line region warn 'the key is in us-east-1, the data in eu-west-1'
checked 0 "$arn"
line region pass 'us-east-1, as AWS_REGION'
(
  aws_use imds
  AWS_EC2_METADATA_DISABLED=false
  checked 0 "$arn"
  line region pass 'as this instance'
)
(
  unset AWS_REGION AWS_DEFAULT_REGION
  checked 0 "$arn"
  line region warn 'not known' '--region'
)

# ---- keys of other kinds ---------------------------------------------------------------------------------
aws_key --spec RSA_3072
checked 0 "$key"
line 'type and size' warn 'RSA_3072'
line rotation pass 'does not rotate'
no_line 'right to make volume keys'
aws_key --multi-region
checked 0 "$key"
line multi-Region warn 'PRIMARY' 'disable it in every region'

# ---- keys that can't be used -----------------------------------------------------------------------------
ctl disable "$arn" >/dev/null
checked 3 "$arn"
line enabled fail 'disabled' enable-key
line 'right to unwrap' fail .
ctl enable "$arn" >/dev/null
ctl delete "$arn" >/dev/null
checked 3 "$arn"
line enabled fail 'will be deleted' cancel-key-deletion
line deletion fail 'lost for ever' cancel-key-deletion
ctl enable "$arn" >/dev/null
for state in PendingImport Unavailable; do
  ctl key-state "$arn" "$state" >/dev/null
  checked 3 "$arn"
  line enabled fail "state $state" .
done
ctl key-state "$arn" Enabled >/dev/null
checked 0 "$arn"
checked 1 "${arn%:key/*}:key/00000000-0000-0000-0000-000000000000"
line key fail NotFoundException 'check its name'

# ---- what is in the way ----------------------------------------------------------------------------------
ctl fault outage --op aws-kms >/dev/null
checked 1 "$arn"
ctl clear >/dev/null
ctl fault skew 2h --op aws >/dev/null
checked 1 "$arn"
line clock fail 'behind' NTP
ctl clear >/dev/null
(
  export AWS_ENDPOINT_URL=https://localhost:1
  checked 1 "$arn"
  line reachable fail 'no answer' 'routes'
)
(
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  checked 1 "$arn"
  line credentials fail 'no AWS credentials.*\(1\) AWS_ACCESS_KEY_ID.*\(6\) the instance' 'set up one'
)
(
  export AWS_CA_BUNDLE=/etc/hostname
  checked 1 "$arn"
  line reachable fail 'no answer' AWS_CA_BUNDLE
)
expect_fail any 'is not the name of an AWS KMS key' keyfence check "${arn%:key/*}:key/x"

# ---- what policy prints is what is needed ----------------------------------------------------------------
account=$(cut -d: -f5 <<<"$arn")
me=arn:aws:iam::$account:role/disk
ctl create-role disk --trust "arn:aws:iam::$account:root" >/dev/null
ctl access-key role/disk --lifetime 1h >"$dir/role"
keyfence policy "$arn" --principal "$me" >"$dir/policy"
jq -e '.Statement | length == 4' "$dir/policy" >/dev/null || fail "$(cat "$dir/policy")"

# with_policy JSON COMMAND...: as the role, which has no rights but those of the key's policy.
with_policy ()
{
  local policy=$1

  shift
  ctl key-policy "$arn" "$policy" >/dev/null
  (
    . "$dir/role"
    "$@"
  )
  ctl key-policy "$arn" default >/dev/null
}

only () { jq -c --arg sid "$1" '.Statement |= map (select (.Sid == $sid))' "${2:-$dir/policy}"; }

outcome ()
{
  local want=$1

  shift
  kms_open
  # shellcheck disable=SC2086  # two words
  expect_outcome $want "$@"
  kms_close
}
volume=01234567-89ab-cdef-0123-456789abcdef # kms-call's
outcome 'ok -' generate "$arn" "$dir/wrap"

with_policy "$(jq -c . "$dir/policy")" checked 0 "$arn"
with_policy "$(only KeyfenceCreateAndRewrap)" outcome 'ok -' generate "$arn" "$dir/other"
with_policy "$(only KeyfenceCreateAndRewrap)" outcome 'ok -' wrap "$arn" "$dir/other"
with_policy "$(only KeyfenceRun)" outcome 'ok -' check "$dir/wrap"
with_policy "$(only KeyfenceRun)" outcome 'ok -' unwrap "$dir/wrap"
with_policy "$(only KeyfenceRun)" outcome 'denied access_denied' generate "$arn" "$dir/other"
with_policy "$(only KeyfenceCheck)" outcome 'denied access_denied' check "$dir/wrap"

# Bound to a volume, it is of no use for another.
keyfence policy "$arn" --principal "$me" --volume "$volume" >"$dir/bound"
with_policy "$(only KeyfenceRun "$dir/bound")" outcome 'ok -' check "$dir/wrap"
keyfence policy "$arn" --principal "$me" --volume "${volume%?}0" >"$dir/bound"
with_policy "$(only KeyfenceRun "$dir/bound")" outcome 'denied access_denied' check "$dir/wrap"

# What check says to somebody who may only run volumes: what is missing, and that state is not known.
# shellcheck disable=SC2016  # for eval
with_policy "$(only KeyfenceRun)" eval 'checked 3 "$arn"; line state warn "may not look" "kms:DescribeKey"; line "right to wrap" fail AccessDenied "keyfence policy"'

for principal in 'a"b' '*' disk "arn:aws-cn:iam::$account:role/disk" "arn:aws:iam::$account:role/" "arn:aws:iam::$account:role/*" \
  "arn:aws:iam::123:role/disk" "arn:aws:s3::$account:role/disk"; do
  expect_fail 2 'no principal' keyfence policy "$arn" --principal "$principal"
done
keyfence policy "$arn" --principal "arn:aws:sts::$account:assumed-role/disk/i-0123" >/dev/null || fail "a session is no principal"
expect_fail 2 'no volume' keyfence policy "$arn" --volume nonsense
expect_fail 2 'no policies' keyfence policy "file://$dir/kek"
expect_fail 2 'KEY is missing' keyfence policy
