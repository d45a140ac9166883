#!/bin/bash
# What the fence asks of a key service besides plain checks: a denial is confirmed with credentials
# that are fetched anew, and the date on which a key expires is known before it comes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

# asks REQUESTS COMMAND...: it succeeds, by these requests of the simulator's log.
asks ()
{
  local want=$1

  shift
  ctl log --clear >/dev/null
  expect_outcome ok - "$@"
  assert_eq "$(requests)" "$want" "requests of $*"
}

# expires SECONDS FILE: the key expires that many seconds from now, give or take a minute.
expires ()
{
  expect_outcome ok - expiry "$2"
  (($1 - 60 < text - $(date +%s) && text - $(date +%s) < $1 + 60)) ||
    fail "expiry is $text, which is not $1 s from now"
}

# ---- AWS ---------------------------------------------------------------------------------------------
aws_key
arn=$key
account=$(cut -d: -f5 <<<"$arn")

# make_role USER: the role is (from now on) one that this user may take on.
make_role ()
{
  ctl create-role disk --trust "arn:aws:iam::$account:user/$1" >/dev/null
  ctl policy role/disk everything >/dev/null
}

make_role demo
cat >"$HOME/.aws/config" <<END
[default]
role_arn = arn:aws:iam::$account:role/disk
source_profile = base
[profile base]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = $AWS_SECRET_ACCESS_KEY
END
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

kms_open
expect_outcome ok - generate "$arn" "$dir/aws"
asks Decrypt=1 check "$dir/aws"
asks Decrypt=1 unwrap "$dir/aws"
asks "AssumeRole=1 Decrypt=1" check-fresh "$dir/aws"
asks "AssumeRole=1 Decrypt=1" unwrap-fresh "$dir/aws"
asks Decrypt=1 check "$dir/aws"

# A role that is taken away: what is kept goes on for a while, fresh credentials are denied.
make_role nobody
asks Decrypt=1 check "$dir/aws"
expect_outcome denied role_denied check-fresh "$dir/aws"
expect_outcome denied role_denied check "$dir/aws" # what was kept has been forgotten
make_role demo
asks "AssumeRole=1 Decrypt=1" check "$dir/aws"

asks DescribeKey=1 expiry "$dir/aws"
assert_eq "$text" 0 "expiry of a key whose material KMS has made"
ctl key-dates "$arn" --expires 1h
expires 3600 "$dir/aws"
ctl key-dates "$arn" --expires -1h
expect_outcome denied pending_import check "$dir/aws"
ctl key-dates "$arn" --expires none
expect_outcome ok - check "$dir/aws"
expect_outcome ok - expiry "$dir/aws"
assert_eq "$text" 0 "expiry of material that was imported without a date"
# Who may not describe the key is told so, and can use it.
ctl policy role/disk '{"Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}'
expect_outcome denied access_denied expiry "$dir/aws"
expect_outcome ok - check "$dir/aws"
kms_close

# ---- Azure -------------------------------------------------------------------------------------------
azure_key kek
kms_open
expect_outcome ok - generate "$key" "$dir/azure"
asks UnwrapKey=1 check "$dir/azure"
asks UnwrapKey=1 unwrap "$dir/azure"
asks "UnwrapKey=1 token=1" check-fresh "$dir/azure"
asks "UnwrapKey=1 token=1" unwrap-fresh "$dir/azure"
asks UnwrapKey=1 check "$dir/azure"
asks GetKey=1 expiry "$dir/azure"
assert_eq "$text" 0 "expiry of a key without a date"
ctl key-dates "$key" --expires 2h
expires 7200 "$dir/azure"
# A newer version has its own date; the wrap's counts.
ctl rotate "$key" >/dev/null
expires 7200 "$dir/azure"
kms_close

# ---- a file ------------------------------------------------------------------------------------------
kms_open
head -c 32 /dev/urandom >"$dir/kek"
chmod 600 "$dir/kek"
expect_outcome ok - generate "file://$dir/kek" "$dir/file"
expect_outcome ok - check-fresh "$dir/file"
expect_outcome ok - expiry "$dir/file"
assert_eq "$text" 0 "expiry of a file"
kms_close
