#!/bin/bash
# The wall clock is set by hours, forwards and backwards, in the server and its agent: it has no say in
# leases and bounds, so no client sees an error; and a key service that finds fault with it is a passing
# outage with a name of its own.
# shellcheck disable=SC2016  # commands are evaluated later
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
server_preload=$helpers/wall-clock.so
server_env+=("KEYFENCE_WALL_CLOCK=$dir/ahead")

# set_clock SECONDS: for the server and its agent.
set_clock ()
{
  echo "$1" >"$dir/ahead.new"
  mv "$dir/ahead.new" "$dir/ahead"
}

# checked: more checks are good than $1.
more_checks ()
{
  status_is ".checks.ok > $1"
}

# goes_on: two more checks are good, and the state is what it was.
goes_on ()
{
  local checks

  checks=$(server_status_json | jq .checks.ok)
  wait_for 20 more_checks $((checks + 1)) || fail "no check is good any more: $(server_status_json)"
  assert_json "$(server_status_json)" '.state == "active" and .fences == 0 and .io.refused == 0'
}

# off_by SECONDS: the server's idea of now, which shows that the clock has been set.
off_by ()
{
  local seconds

  seconds=$(($(date -d "$(server_status_json | jq -r .last_check)" +%s) - $(date +%s) - $1))
  [ "${seconds#-}" -le $((10 * patience)) ] || fail "the server's clock is off by $seconds s more than was set"
}

# ---- a file key: nothing happens ----------------------------------------------------------------------
# Also with a grace that is far shorter than the steps.
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}" grace=$((10 * patience))s
load_start
for seconds in 7200 -7200 86400000 -86400 0; do
  set_clock $seconds
  goes_on
  off_by $seconds
done
# Back and forth, in the middle of everything.
for _ in {1..40}; do
  set_clock $((RANDOM * 10 - 163840))
  sleep 0.1
done
goes_on
load_stop
set_clock 0
# A key that is taken away is refused in the same bound, whatever the clock says.
nbd_io "write 0 1M 0x41" flush
denials=10
set_clock -86400
denial not_found 'mv "$kek" "$dir/away"' 'mv "$dir/away" "$kek"' no-id
set_clock 86400
denial not_found 'mv "$kek" "$dir/away"' 'mv "$dir/away" "$kek"' no-id
set_clock -86400
mv "$kek" "$dir/away"
await_state fenced
set_clock 86400
mv "$dir/away" "$kek"
await_state active
set_clock 0
stop_server

# Stalled requests wait on a clock that nobody sets.
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=$((30 * patience))s
server_command fence >"$dir/output"
nbd_io "read 0 1M 0x41" >"$dir/io.log" 2>&1 &
client=$!
sleep 0.5
set_clock 86400
sleep 1.5
set_clock -86400
sleep 1.5
alive "$client" || fail "the stalled request did not wait: $(cat "$dir/io.log")"
server_command unfence >"$dir/output"
wait "$client" || fail "the stalled request failed: $(cat "$dir/io.log")"
stop_server

# ---- AWS: the signature's time is wrong, until the clock is right --------------------------------------
set_clock 0
aws_start
aws_key
make_volume "$dir/aws" 16M
start_server "$dir/aws" "${fast[@]}"
load_start
for seconds in 7200 -7200; do
  set_clock $seconds
  await_status 20 '.state == "grace" and .reason == "clock_skew" and .lease_left_s > 3000'
  printf 'AWS, %6d s: %s\n' "$seconds" "$(server_status_json | jq -r .detail)"
  sleep $((2 * patience))
  assert_json "$(server_status_json)" '.state == "grace" and .checks.other > 1'
  set_clock 0
  await_state active
done
load_stop
assert_json "$(server_status_json)" '.fences == 0 and .io.refused == 0'
# Fenced while the clock is wrong, and open again when it is right.
set_clock 7200
server_command fence >"$dir/output"
assert_json "$(server_command unfence)" '.state == "fenced" and .reason == "clock_skew" and .latch == ""'
set_clock 0
await_state active
stop_server
# The same at the start.
set_clock -7200
start_server "$dir/aws" "${fast[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "clock_skew"'
set_clock 0
await_state active
stop_server

# ---- Azure: tokens that are thought expired, and such that are and are not thought so --------------------
azure_key kek
make_volume "$dir/azure" 16M
start_server "$dir/azure" "${fast[@]}"
load_start
for seconds in 7200 -7200 86400 0; do
  set_clock $seconds
  goes_on
done
load_stop
stop_server
