# shellcheck shell=bash
# lib-kms.sh owns what the tests of key services share: the simulator, and operations on its keys.
# Source it after lib.sh.
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh
sim=$KEYFENCE_BUILD/tools/sim/keyfence-kms-sim
agent=$KEYFENCE_BUILD/kms/keyfence-agent
sim_dir=$dir/sim # its state folder

# What this machine's own clouds have set must not take part.
while read -r name; do
  unset "$name"
done < <(compgen -e | grep -E '^(AWS|AZURE|IDENTITY|IMDS|MSI)_' || true)
unset SSL_CERT_FILE SSL_CERT_DIR https_proxy HTTPS_PROXY http_proxy all_proxy ALL_PROXY no_proxy

# start_sim: with a state folder of its own; sets the variables that it prints, and $sim_port.
start_sim ()
{
  [ -x "$sim" ] || skip "keyfence-kms-sim was not built"
  "$sim" --dir "$sim_dir" --port 0 --background --print-env >"$dir/sim.env" 2>"$dir/sim.log" ||
    fail "the simulator does not start: $(cat "$dir/sim.log")"
  at_exit "kill \$(cat '$sim_dir/pid') 2>/dev/null"
  # shellcheck disable=SC1091
  . "$dir/sim.env"
  sim_port=${AZURE_AUTHORITY_HOST##*:}
}

ctl ()
{
  "$sim" ctl --dir "$sim_dir" "$@"
}

# requests OPERATION...: how many of each the simulator has seen since the log was cleared.
requests ()
{
  ctl log | jq -r .operation | sort | uniq -c | awk '{print $2 "=" $1}' | xargs
}

# ---- Azure ------------------------------------------------------------------------------------------

# azure_start: the simulator, for Azure.
azure_start ()
{
  require jq
  start_sim
}

# azure_key NAME [options of create-key]: makes the key and sets $key to its versionless name.
azure_key ()
{
  key=$(ctl create-key azure "$@") || fail "the simulator makes no key $*"
}

# ---- AWS --------------------------------------------------------------------------------------------

# aws_start: the simulator, a home without settings, and the variables of the user demo.
aws_start ()
{
  require jq
  start_sim
  export HOME=$dir/home AWS_EC2_METADATA_DISABLED=true
  mkdir -p "$HOME/.aws"
}

# aws_use SOURCE: the variables of that source of credentials, and no others.
aws_use ()
{
  ctl env --aws "$1" >"$dir/env" || fail "$(cat "$dir/env")"
  # shellcheck disable=SC1091
  . "$dir/env"
}

# aws_key [arguments of ctl create-key aws...]: sets $key to a new key's ARN.
aws_key ()
{
  key=$(ctl create-key aws "$@")
}

# ---- operations -------------------------------------------------------------------------------------

# kms_open [TIMEOUT_MS]: an agent for kms; kms_close lets it go, and with it all it has kept.
kms_open ()
{
  coproc KMS { exec "$helpers/kms-call" "$agent" "${1:-5000}" 2>>"$dir/kms-call.log"; }
}

kms_close ()
{
  local pid=$KMS_PID

  eval "exec ${KMS[1]}>&-"
  wait "$pid" || fail "kms-call ended with status $?"
}

# kms COMMAND...: sets $class, $reason, $took_ms, $request_id and $text.
kms ()
{
  echo "$*" >&"${KMS[1]}"
  read -r -t $((60 * patience)) class reason took_ms request_id text <&"${KMS[0]}" ||
    fail "no outcome of $*: $(cat "$dir/kms-call.log")"
}

# expect_outcome CLASS REASON COMMAND...
expect_outcome ()
{
  local want="$1 $2"

  shift 2
  kms "$@"
  [ "$class $reason" = "$want" ] || fail "$*: $class $reason instead of $want: $text"
}

# ---- keyfence check, whose JSON is in $json ------------------------------------------------------------------

# line NAME VERDICT 'regex of the detail' ['regex of how to mend it']
line ()
{
  local found

  found=$(jq -c --arg name "$1" '.checks[] | select (.name == $name)' <<<"$json")
  [ -n "$found" ] || fail "there is no line $1: $json"
  assert_eq "$(jq -r .verdict <<<"$found")" "$2" "the verdict of $1 ($found)"
  assert_match "$(jq -r .detail <<<"$found")" "$3" "the detail of $1"
  assert_match "$(jq -r .mend <<<"$found")" "${4:-.*}" "how to mend $1"
}

no_line ()
{
  assert_json "$json" "all(.checks[]; .name != \"$1\")" "no line $1"
}
