#!/bin/bash
# The agent with a key in AWS KMS: small, silent between checks, and without what it should not keep.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
not_under_wrapper "a sanitizer's memory is not the agent's"
grep -q __asan "$KEYFENCE_BUILD/kms/keyfence-agent" && skip "a sanitizer's memory is not the agent's"
require gdb
unset MALLOC_PERTURB_ # meson's; its pattern may be that of the volume key, below
aws_start

# A role, so that there is a session that the agent got by itself, and keeps.
aws_key
arn=$key
account=$(cut -d: -f5 <<<"$key")
ctl create-role disk --trust "arn:aws:iam::$account:user/demo" >/dev/null
ctl policy role/disk everything >/dev/null
cat >"$HOME/.aws/config" <<EOF
[default]
role_arn = arn:aws:iam::$account:role/disk
source_profile = base
[profile base]
aws_access_key_id = $AWS_ACCESS_KEY_ID
aws_secret_access_key = $AWS_SECRET_ACCESS_KEY
EOF
planted=$AWS_SECRET_ACCESS_KEY
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

export SSLKEYLOGFILE=$dir/tls-keys # what would decrypt its connections is written nowhere
export KEYFENCE_DEBUG_DUMPABLE=1 # so that its memory can be searched
kms_open
expect_outcome ok - wrap "$arn" "$dir/wrap"
expect_outcome ok - unwrap "$dir/wrap"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  expect_outcome ok - check "$dir/wrap"
done
agent_pid=$(pgrep -P "$KMS_PID")

# ---- nothing of the volume key ----------------------------------------------------------------------------
printf '\7%.0s' {1..64} >"$dir/volume-key" # kms-call's
gcore -a -o "$dir/core" "$agent_pid" >/dev/null 2>&1 || skip "gdb can't read the agent's memory"
core=$dir/core.$agent_pid
grep -qaF "role/disk" "$core" || fail "the search finds nothing at all"
! "$helpers/find-bytes" "$core" "$dir/volume-key" 64 || fail "the agent has the volume key"
! grep -qaF "$(base64 -w 0 "$dir/volume-key" | head -c 80)" "$core" || fail "the agent has the volume key in base64"
rm "$core"

# ---- small and silent --------------------------------------------------------------------------------------
rollup () { awk -v name="$1:" '$1 == name {print $2}' "/proc/$agent_pid/smaps_rollup"; }
# rests WHAT OWN_KB: at most 16 MiB resident and 4 MiB of its own are promised; it has less.
rests ()
{
  local resident own

  resident=$(rollup Rss)
  own=$(($(rollup Private_Clean) + $(rollup Private_Dirty)))
  printf '%s: resident %d kB, private %d kB\n' "$1" "$resident" "$own"
  [ "$resident" -lt 8192 ] || fail "the agent has $resident kB resident"
  [ "$own" -lt "$2" ] || fail "the agent has $own kB of its own"
}
sleep 0.5 # it answers before it rests
rests "after checks over TLS" 3072
switches () { awk '/ctxt_switches/ {n += $2} END {print n}' "/proc/$agent_pid/status"; }
assert_eq "$(find "/proc/$agent_pid/task" -mindepth 1 -maxdepth 1 | wc -l)" 1 "threads of the agent"
before=$(switches)
sleep 2
assert_eq "$(switches)" "$before" "context switches of the agent at rest"
kms_close

# The same with all the authorities of a system to choose from.
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
  cat /etc/ssl/certs/ca-certificates.crt "$AWS_CA_BUNDLE" >"$dir/bundle.pem"
  ours=$AWS_CA_BUNDLE
  export AWS_CA_BUNDLE=$dir/bundle.pem
  kms_open
  expect_outcome ok - check "$dir/wrap"
  expect_outcome ok - unwrap "$dir/wrap"
  expect_outcome ok - check "$dir/wrap"
  agent_pid=$(pgrep -P "$KMS_PID")
  sleep 0.5
  rests "with $(grep -c BEGIN "$dir/bundle.pem") authorities" 4096
  kms_close
  export AWS_CA_BUNDLE=$ours
fi

[ ! -e "$SSLKEYLOGFILE" ] || fail "the agent writes its TLS keys to \$SSLKEYLOGFILE"

# ---- a credential process does not outlive it --------------------------------------------------------------
printf '#!/bin/sh\necho $$ >"%s"\nexec sleep 1000\n' "$dir/tool.pid" >"$dir/tool"
chmod +x "$dir/tool"
printf '[default]\ncredential_process = %s\n' "$dir/tool" >"$dir/tool-config"
tool_runs () { [ -s "$dir/tool.pid" ]; }
export AWS_CONFIG_FILE=$dir/tool-config
kms_open 60000
unset AWS_CONFIG_FILE
echo "check $dir/wrap" >&"${KMS[1]}"
wait_for 30 tool_runs || fail "the credential process was not started"
tool_pid=$(cat "$dir/tool.pid")
at_exit "kill -KILL $tool_pid 2>/dev/null"
agent_pid=$(pgrep -P "$KMS_PID")
assert_eq "$(ps -o ppid= -p "$tool_pid" | tr -d ' ')" "$agent_pid" "parent of the credential process"
kill -KILL "$agent_pid"
wait_for 10 dead "$tool_pid" || fail "the credential process outlives its agent"
# shellcheck disable=SC2034  # of a whole line the first two words count
read -r -t 30 class reason took_ms request_id text <&"${KMS[0]}" || fail "no outcome"
assert_eq "$class $reason" "outage agent_died" "the check's outcome"
kms_close

# ---- secrets of the cloud are nowhere to be read -----------------------------------------------------------
make_volume "$dir/disk" 16M
start_server "$dir/disk" check-interval=1s
nbd_io size >/dev/null
ps -eo args >"$dir/ps.txt"
stop_server
keyfence inspect "$dir/disk" >"$dir/inspect.txt"
keyfence check "$arn" >"$dir/check.txt"
for f in "$dir"/*.log "$dir"/*.txt "$dir/disk"; do
  assert_absent "$f" "$planted"
done
ctl log >"$dir/requests.txt"
assert_absent "$dir/requests.txt" "$planted"
