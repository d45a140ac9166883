#!/bin/bash
# fence, unfence, reload and check of a served volume: what is sent, what is printed, exit codes.
. "$(dirname "$0")/lib.sh"
require jq python3

uuid=01234567-89ab-cdef-0123-456789abcdef
socket=$KEYFENCE_RUNDIR/$uuid.sock
told=$dir/told
mkdir "$told"
python3 "$here/control-double.py" "$socket" "$told" >"$dir/double.log" 2>&1 &
double=$!
at_exit "kill $double 2>/dev/null"
wait_for 20 test -S "$socket" || fail "the played server does not listen"

# plays COMMAND STATE CLASS [REASON]: what the server answers from now on.
plays ()
{
  jq -cn --arg u "$uuid" --arg command "$1" --arg state "$2" --arg class "$3" --arg reason "${4:-$3}" '
    {volume: $u, label: "data", state: $state, reason: $reason, detail: "", since: "2026-01-31T23:59:59Z",
     latch: (if $state == "fenced" then "operator" else "" end),
     result: {command: $command, class: $class, reason: $reason, detail: "what the service said",
              request_id: "req-1234"}}' >"$told/$1.json"
}

# expect CODE COMMAND...: the exit code; what was printed is in $dir/output.
expect ()
{
  local code=$1 status=0

  shift
  : >"$told/commands"
  keyfence "$@" >"$dir/output" 2>"$dir/stderr" </dev/null || status=$?
  [ "$status" -eq "$code" ] || { cat "$dir/output" "$dir/stderr" >&2; fail "exit code $status, expected $code: $*"; }
}

sent () { grep -vx status "$told/commands" || true; }

# Each command goes to the server as one line; a reason goes with it.
jq -cn --arg u "$uuid" '{volume: $u, label: "data", state: "active"}' >"$told/status.json"
plays fence fenced ok operator
expect 0 fence "$uuid"
assert_eq "$(sent)" fence
expect 0 fence data --reason 'ticket 4711: laptop lost'
assert_eq "$(sent)" 'fence ticket 4711: laptop lost' "what is sent for a label, with a reason"
grep -qE '^state: +fenced since 2026-01-31T23:59:59Z$' "$dir/output" || fail "$(cat "$dir/output")"
grep -qE '^fence: +ok, operator: what the service said$' "$dir/output" || fail "$(cat "$dir/output")"
grep -qE '^request id: +req-1234$' "$dir/output" || fail "no request id: $(cat "$dir/output")"
grep -qE '^waits for: +keyfence unfence' "$dir/output" || fail "no word of unfence: $(cat "$dir/output")"
expect 0 fence "$socket" --json
assert_same <(jq -S . "$dir/output") <(jq -S . "$told/fence.json")

# Who is still not fenced has not been fenced.
plays fence active busy
expect 1 fence "$uuid"

# The exit code of the others is the state's, unless it was not done, or the owner said no.
while read -r state class code; do
  for command in unfence reload check; do
    plays $command "$state" "$class"
    expect "$code" $command "$uuid"
    assert_eq "$(sent)" $command
    grep -qE "^$command: +$class: what the service said\$" "$dir/output" || fail "$(cat "$dir/output")"
  done
done <<'EOF'
active ok 0
active not_fenced 0
grace ok 4
fenced ok 3
active denied 3
grace denied 3
fenced denied 3
grace outage 4
fenced outage 3
active outage 1
grace credentials 4
grace clock 4
fenced corrupt 3
active corrupt 1
active config 1
active busy 1
grace busy 1
active never-heard-of 1
EOF

# What can't be sent as a line is refused before it is.
expect_fail 2 '^keyfence: fence: --reason: one line' keyfence fence "$uuid" --reason $'a\nunfence'
expect_fail 2 '^keyfence: fence: --reason: it has 401 bytes' keyfence fence "$uuid" --reason "$(printf '%0401d' 0)"
: >"$told/commands"
expect 1 fence "$uuid" --reason "$(printf '%0400d' 0)"
assert_eq "$(sent | wc -c)" 407 "the longest reason's line"

# A server that takes some check-timeouts is waited for; one that knows no such command says so.
plays check active ok
echo 12 >"$told/check.wait"
expect 0 check "$uuid"
rm "$told/reload.json"
expect 1 reload "$uuid"
grep -q 'there is no such command' "$dir/stderr" || fail "$(cat "$dir/stderr")"
echo '{"state":"active"}' >"$told/reload.json"
expect 1 reload "$uuid"
grep -q 'does not say what came of it' "$dir/stderr" || fail "$(cat "$dir/stderr")"

# check tells keys from volumes: a key goes to its service, anything else to a server.
rm "$told/check.wait"
make_kek "$dir/kek"
expect 0 check "$key"
assert_eq "$(sent)" '' "what is sent to a server for a key"
expect 1 check "file://$dir/missing"
grep -q '^fail  exists' "$dir/output" || fail "$(cat "$dir/output")"
expect_fail 2 '"nowhere" is neither the name of a key .* nor a volume' keyfence check nowhere
expect_fail 1 'does not exist' keyfence check ./nowhere
expect_fail 2 '--region goes with a key' keyfence check "$uuid" --region eu-central-1
expect_fail 1 'is not served' keyfence unfence 01234567-89ab-cdef-0123-456789abcde0

# Without its server.
kill $double
wait $double 2>/dev/null || true
expect_fail 1 'is not served' keyfence fence "$uuid"
