#!/bin/bash
# A key service whose answers change late denies when the key has been given back already: the drill stays
# until that is over, also one that was interrupted before anything was denied, and says it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-drill.sh"
require jq nc
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 16M 0x41" flush

# The revocation takes effect only after the restore, which is to have no say in it.
late="(sleep $((2 * pace)); mv $kek $dir/away; sleep $((4 * pace)); mv $dir/away $kek) >/dev/null 2>&1 </dev/null &"

# it_is_over: what came late has been, and has gone.
it_is_over ()
{
  [ -e "$kek" ] || fail "the drill ended while the key was away"
  assert_json "$(server_status_json)" '.state == "active" and .fences > 0' "the volume when the drill ended"
}

# After a fence and a recovery.
hold=$((3 * pace))s # longer than what comes late takes
drill 1 --hold "$hold" --revoke "mv $kek $dir/away" --restore "mv $dir/away $kek; $late"
assert_json "$report" '[.checks[] | select (.verdict == "failed").check] == ["settled"]'
assert_json "$report" '[.states[].state] == ["fenced", "active", "fenced", "active"]'
assert_json "$report" '.moments | .late_denial_ms > .first_served_ms and .settled_ms > .late_denial_ms'
verdict settled failed
verdict data passed
it_is_over
stop_server

# Interrupted before anything was denied: the volume is active all the time until then.
start_server "$dir/disk" "${fast[@]}"
env --default-signal=INT "$KEYFENCE" drill --json --uri "$uri" --hold "$hold" --give-up $((30 * patience))s \
  --revoke "touch $dir/revoking; sleep 60" --restore "$late" "$dir/disk" \
  >"$dir/report.json" 2>"$dir/stderr" </dev/null &
pid=$!
wait_for 20 test -e "$dir/revoking" || fail "the drill never revoked: $(cat "$dir/stderr")"
kill -INT "$pid"
status=0
wait "$pid" || status=$?
report=$(cat "$dir/report.json")
assert_eq "$status" 1 'status of an interrupted drill'
assert_json "$report" '.result == "interrupted" and .moments.late_denial_ms != null'
verdict settled failed
it_is_over
stop_server

# A denial that its confirmation takes back harms nobody: it is told, and the drill has passed.
start_server "$dir/disk" check-interval="${pace}s" check-timeout="${pace}s" confirm-delay="$((3 * pace))s"
blip="(sleep $((2 * pace)); mv $kek $dir/away; sleep $((2 * pace)); mv $dir/away $kek) >/dev/null 2>&1 </dev/null &"
drill 0 --hold "$hold" --revoke "mv $kek $dir/away" --restore "mv $dir/away $kek; $blip"
assert_json "$report" '[.states[].state] == ["fenced", "active"] and .moments.late_denial_ms != null'
assert_json "$report" '[.checks[] | select (.check == "settled")][0] | .verdict == "passed" and (.text | test ("and then no more"))'
stop_server
