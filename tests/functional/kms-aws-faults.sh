#!/bin/bash
# Every fault of the simulator on every request to AWS has the class that the tables say, within the
# time-out; the whole product is walked, and the matrix printed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
aws_start

timeout_ms=1500
aws_key
kms_open
expect_outcome ok - generate "$key" "$dir/wrap"
kms_close

# A role for AssumeRole, which the user demo may have.
account=$(cut -d: -f5 <<<"$key")
ctl create-role disk --trust "arn:aws:iam::$account:user/demo" >/dev/null
ctl policy role/disk everything >/dev/null
printf '[profile base]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
  "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$HOME/.aws/config"
printf '[profile role]\nrole_arn = arn:aws:iam::%s:role/disk\nsource_profile = base\n' "$account" >>"$HOME/.aws/config"
for source in env container imds web-identity; do
  ctl env --aws "$source" >"$dir/env-$source"
done
grep -v AWS_ACCESS_KEY_ID= "$dir/env-env" >"$dir/env-role"
echo 'unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; export AWS_PROFILE=role' >>"$dir/env-role"

# The columns: a request, the credentials with which it is met, the command that meets it.
columns='
GenerateDataKey            env           generate KEY OTHER
Encrypt                    env           wrap KEY OTHER
Decrypt                    env           check WRAP
Decrypt(child)             env           unwrap WRAP
AssumeRole                 role          check WRAP
AssumeRoleWithWebIdentity  web-identity  check WRAP
PutToken                   imds          check WRAP
GetRole                    imds          check WRAP
GetCredentials             imds          check WRAP
GetCredentials(container)  container     check WRAP
'

# What each fault comes to, for requests to KMS, to STS, for the instance's token, for what the token
# opens, and to a container's agent.  A name that is not AWS' own (a proxy's page) is never a denial,
# whatever its status.
matrix='
outage      outage/service_error             outage/service_error             credentials/instance_metadata  credentials/instance_metadata  credentials/container
throttle    outage/throttled                 outage/throttled                 credentials/instance_metadata  credentials/instance_metadata  credentials/container
delay:10s   outage/timeout                   outage/timeout                   credentials/no_credentials     credentials/instance_metadata  credentials/container
reset       outage/broken                    outage/broken                    credentials/no_credentials     credentials/instance_metadata  credentials/container
truncate    outage/broken                    outage/broken                    credentials/no_credentials     credentials/instance_metadata  credentials/container
garbage     outage/bad_answer                outage/bad_answer                credentials/instance_metadata  credentials/instance_metadata  credentials/bad_credentials
expired     credentials/credentials_expired  credentials/credentials_expired  credentials/instance_metadata  credentials/instance_metadata  credentials/container
firewall    denied/access_denied             config/role_denied               credentials/instance_metadata  credentials/instance_metadata  credentials/container
deny        denied/access_denied             config/role_denied               credentials/instance_metadata  credentials/no_role            credentials/container
status:403  outage/bad_answer                outage/bad_answer                credentials/instance_metadata  credentials/instance_metadata  credentials/container
status:404  outage/bad_answer                outage/bad_answer                credentials/instance_metadata  credentials/no_role            credentials/container
status:302  outage/bad_answer                outage/bad_answer                credentials/instance_metadata  credentials/instance_metadata  credentials/container
status:429  outage/throttled                 outage/throttled                 credentials/instance_metadata  credentials/instance_metadata  credentials/container
status:500  outage/service_error             outage/service_error             credentials/instance_metadata  credentials/instance_metadata  credentials/container
status:503  outage/service_error             outage/service_error             credentials/instance_metadata  credentials/instance_metadata  credentials/container
skew:2h     clock/clock_skew                 clock/clock_skew                 ok/-                           ok/-                           ok/-
wrong-plaintext  corrupt/bad_wrap            ok/-                             ok/-                           ok/-                           ok/-
'

# expected_of FAULT COLUMN CELLS...: the cell that counts; the exceptions have their reasons.
expected_of ()
{
  case $1:$2 in
  wrong-plaintext:Encrypt) echo ok/- ;;                   # nothing is decrypted wrongly
  "wrong-plaintext:Decrypt(child)") echo corrupt/other_key ;; # the volume's digest finds it, here kms-call
  skew:*:AssumeRoleWithWebIdentity) echo ok/- ;;          # nothing is signed
  *:Assume*) echo "$4" ;;
  *:PutToken) echo "$5" ;;
  *:GetRole | *:GetCredentials) echo "$6" ;;
  *container\)) echo "$7" ;;
  *) echo "$3" ;;
  esac
}

# cell FAULT COLUMN SOURCE COMMAND...: sets class, reason and the rest as kms does.
cell ()
{
  local fault=$1 operation=${2%(*} source=$3

  shift 3
  ctl clear >/dev/null
  # shellcheck disable=SC2086  # the fault and its value are two words
  ctl fault ${fault/:/ } --op "$operation" >/dev/null
  # In a shell of its own, which keeps the variables of the source to itself; with a new agent, which
  # knows neither credentials nor roles.
  (
    # shellcheck disable=SC1090
    . "$dir/env-$source"
    export AWS_EC2_METADATA_DISABLED=false
    kms_open "$timeout_ms"
    kms "$@"
    kms_close
    printf '%s %s %s\n' "$class/$reason" "$took_ms" "$text"
  )
}

mapfile -t columns < <(sed '/^$/d' <<<"$columns")
wrong=0
printf '%-16s' fault
printf '%-32s' "${columns[@]%% *}"
printf '\n'
while read -r fault cells; do
  [ -n "$fault" ] || continue
  printf '%-16s' "$fault"
  for column in "${columns[@]}"; do
    read -r name source command <<<"$column"
    command=${command/KEY/$key} command=${command/WRAP/$dir/wrap} command=${command/OTHER/$dir/other}
    # shellcheck disable=SC2086  # words
    expected=$(expected_of "$fault" "$name" $cells)
    # shellcheck disable=SC2086
    cell "$fault" "$name" "$source" $command >"$dir/cell"
    read -r found took_ms text <"$dir/cell"
    printf '%-32s' "$found"
    [ "$found" = "$expected" ] || { wrong=$((wrong + 1)); printf '(not %s: %s) ' "$expected" "$text"; }
    [ "$took_ms" -le $(((timeout_ms + 1000) * patience)) ] || { wrong=$((wrong + 1)); printf '(%s ms) ' "$took_ms"; }
  done
  printf '\n'
done <<<"$matrix"
ctl clear >/dev/null
[ "$wrong" -eq 0 ] || fail "$wrong cells of the matrix are not as they must be"

# ---- what passes by itself -------------------------------------------------------------------------------
kms_open
for fault in outage throttle reset truncate garbage 'status 503' expired; do
  # shellcheck disable=SC2086
  ctl fault $fault --op Decrypt --count 1 >/dev/null
  expect_outcome ok - check "$dir/wrap"
done
kms_close

# A role that was granted once and is refused now is a denial.
(
  # shellcheck disable=SC1091
  . "$dir/env-role"
  kms_open
  expect_outcome ok - check "$dir/wrap"
  ctl fault deny --op aws >/dev/null
  kms check "$dir/wrap"
  assert_eq "$class/$reason" denied/access_denied "the first denial"
  expect_outcome denied role_denied check "$dir/wrap" # confirmed with fresh credentials
  ctl clear >/dev/null
  expect_outcome ok - check "$dir/wrap"
  # While the role's session runs, STS is not needed.
  ctl fault outage --op aws-sts >/dev/null
  expect_outcome ok - check "$dir/wrap"
  ctl clear >/dev/null
  kms_close
)

# ---- names, trust ----------------------------------------------------------------------------------------
# Another certificate than one of our authorities'.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 1 -keyout /dev/null -out "$dir/other.pem" 2>/dev/null
AWS_CA_BUNDLE=$dir/other.pem kms_open "$timeout_ms"
expect_outcome outage tls_verify check "$dir/wrap"
kms_close
AWS_CA_BUNDLE=$dir/missing.pem kms_open "$timeout_ms"
expect_outcome outage tls_verify check "$dir/wrap"
kms_close

# A name below a top-level domain that never exists: by which resolver, and whether there is one, is
# this machine's business, so that only what must hold on every machine is asked for.
AWS_ENDPOINT_URL=https://kms.invalid:1 kms_open "$timeout_ms"
kms check "$dir/wrap"
assert_match "$class/$reason" '^outage/(nxdomain|dns|timeout)$' "the outcome for a name that does not exist"
kms_close

# Nobody there.
kill "$(cat "$sim_dir/pid")"
wait_for 10 test ! -e "$sim_dir/pid" || true
kms_open "$timeout_ms"
expect_outcome outage connect check "$dir/wrap"
kms_close
