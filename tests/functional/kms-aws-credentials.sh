#!/bin/bash
# Every kind of credentials for AWS that a machine may have opens a wrap, over TLS.
# shellcheck disable=SC1091,SC2030,SC2031  # files made here; variables that are to stay in their ( )
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

aws_key
kms_open
expect_outcome ok - generate "$key" "$dir/wrap"
kms_close

# opens SOURCE IDENTITY: a check and an unwrap succeed, and `keyfence check` says by what and as whom.
opens ()
{
  kms_open
  expect_outcome ok - check "$dir/wrap"
  expect_outcome ok - unwrap "$dir/wrap"
  kms_close
  keyfence check "$key" >"$dir/output" || fail "$(cat "$dir/output")"
  grep -qE "credentials: $1" "$dir/output" || fail "not by $1: $(cat "$dir/output")"
  grep -qE "identity: arn:aws:[a-z]+::[0-9]{12}:$2" "$dir/output" || fail "not as $2: $(cat "$dir/output")"
}

fails ()
{
  kms_open
  expect_outcome "$1" "$2" check "$dir/wrap"
  kms_close
}

# ---- keys ------------------------------------------------------------------------------------------------
opens environment user/demo
(
  ctl access-key user/demo --lifetime 1h >"$dir/session"
  . "$dir/session"
  [ -n "$AWS_SESSION_TOKEN" ] || fail "no session token"
  opens environment assumed-role/demo
  AWS_SESSION_TOKEN=${AWS_SESSION_TOKEN%?????}wrong
  fails credentials credentials_invalid
)
(
  export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
  fails credentials credentials_invalid
)
(
  export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
  fails credentials bad_signature
)
demo_id=$AWS_ACCESS_KEY_ID demo_secret=$AWS_SECRET_ACCESS_KEY
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fails credentials no_credentials

# ---- profiles ----------------------------------------------------------------------------------------------
account=$(cut -d: -f5 <<<"$key")
ctl create-role disk --trust "arn:aws:iam::$account:user/demo" --external-id 'e/x t' >/dev/null
ctl policy role/disk everything >/dev/null
ctl create-role last --trust "arn:aws:iam::$account:role/disk" >/dev/null
ctl policy role/last everything >/dev/null
cat >"$HOME/.aws/credentials" <<EOF
[default]
aws_access_key_id = $demo_id
aws_secret_access_key = $demo_secret
EOF
cat >"$HOME/.aws/config" <<EOF
[profile role]
role_arn = arn:aws:iam::$account:role/disk
source_profile = default
external_id = e/x t
role_session_name = tester
[profile chain]
role_arn = arn:aws:iam::$account:role/last
source_profile = role
[profile forgot]
role_arn = arn:aws:iam::$account:role/disk
source_profile = default
[profile process]
credential_process = "$dir/tool" 'one word'
[profile sso]
sso_session = x
EOF
# shellcheck disable=SC2016  # for the tool's own shell
printf '#!/bin/sh\n[ "$1" = "one word" ] || exit 1\necho "{\\"Version\\":1,\\"AccessKeyId\\":\\"%s\\",\\"SecretAccessKey\\":\\"%s\\"}"\n' \
  "$demo_id" "$demo_secret" >"$dir/tool"
chmod 700 "$dir/tool"
opens 'profile default \(credentials file\)' user/demo
AWS_PROFILE=role opens 'profile role, role arn:aws:iam::[0-9]*:role/disk' assumed-role/disk/tester
AWS_PROFILE=chain opens 'profile chain, role arn:aws:iam::[0-9]*:role/last' assumed-role/last/keyfence
AWS_PROFILE=process opens 'profile process \(credential_process\)' user/demo
AWS_PROFILE=forgot fails config role_denied
AWS_PROFILE=sso fails credentials interactive
AWS_PROFILE=none fails credentials profile_not_found
unset AWS_PROFILE # a variable before a function may outlive it

# One role for many checks: it is asked for once.
(
  export AWS_PROFILE=chain
  kms_open
  expect_outcome ok - check "$dir/wrap"
  ctl log --clear >/dev/null
  for _ in 1 2 3; do expect_outcome ok - check "$dir/wrap"; done
  expect_outcome ok - unwrap "$dir/wrap"
  assert_eq "$(requests)" Decrypt=4 "requests of three checks and an unwrap with a role"
  # Taken away: the session goes on for a while in AWS, but a denial is confirmed afresh.
  ctl remove-principal role/last >/dev/null
  kms check "$dir/wrap"
  kms check "$dir/wrap"
  [ "$class" != ok ] || fail "a role that was removed still opens"
  kms_close
)
rm "$HOME/.aws/credentials" "$HOME/.aws/config"

# ---- what platforms hand out ---------------------------------------------------------------------------------
(
  aws_use web-identity
  opens 'web identity, role ' assumed-role/
  cp "$AWS_WEB_IDENTITY_TOKEN_FILE" "$dir/token"
  printf '[profile web]\nrole_arn = %s\nweb_identity_token_file = %s\n' "$AWS_ROLE_ARN" "$dir/token" >"$HOME/.aws/config"
  unset AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE
  AWS_PROFILE=web opens 'web identity, role ' assumed-role/
  echo nonsense >"$dir/token"
  AWS_PROFILE=web fails credentials token_invalid
  rm "$dir/token"
  AWS_PROFILE=web fails credentials token_file
)
(
  aws_use container
  opens 'container' assumed-role/
  printf '%s\n' "$AWS_CONTAINER_AUTHORIZATION_TOKEN" >"$dir/token"
  AWS_CONTAINER_AUTHORIZATION_TOKEN=wrong
  fails credentials container
  export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$dir/token
  opens 'container' assumed-role/
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/ fails credentials bad_credentials
)
(
  aws_use imds
  AWS_EC2_METADATA_DISABLED=false
  opens 'instance role .* \(IMDSv2\)' assumed-role/
  printf '[profile by-instance]\nrole_arn = arn:aws:iam::%s:role/disk\nexternal_id = e/x t\ncredential_source = Ec2InstanceMetadata\n' \
    "$account" >"$HOME/.aws/config"
  AWS_PROFILE=by-instance fails config role_denied # the role trusts the user demo only
  unset AWS_PROFILE
  rm "$HOME/.aws/config"
  ctl machine-role instance none >/dev/null
  fails credentials no_role
)
