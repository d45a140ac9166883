#!/bin/bash
# Starting without the key, and ending at the worst moments: fenced, with requests that wait, with an
# unlock that hangs, with an agent that answers nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc pgrep python3
aws_start
aws_key
make_volume "$dir/disk" 16M

# ends_within SECONDS: the server, told to end.
ends_within ()
{
  local start_ms took_ms

  start_ms=$(date +%s%3N)
  stop_server
  took_ms=$(($(date +%s%3N) - start_ms))
  [ "$took_ms" -le $(($1 * 1000 * patience)) ] || fail "$2: the server took $took_ms ms to end"
  printf '%-46s ended after %5d ms\n' "$2" "$took_ms"
}

start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
ends_within 2 "active"

# ---- no key at the start ------------------------------------------------------------------------------
# refused CLASS 'regex': with require-key=yes an exit with that message, from nbdkit and from the tool,
# whose exit status tells the classes apart.
refused ()
{
  expect_no_start "$2" "$dir/disk" "${fast[@]}" require-key=yes
  assert_eq "$server_status" 1 "exit status of nbdkit"
  expect_fail "$1" "$2" keyfence serve "$dir/disk" --socket "$dir/refused.nbd" "${fast[@]}" require-key=yes
  [ ! -e "$control" ] || fail "a control socket was left"
}
ctl disable "$key" >/dev/null
refused 3 'DisabledException|is disabled'
ctl enable "$key" >/dev/null
ctl delete "$key" >/dev/null
refused 3 'pending deletion'
ctl enable "$key" >/dev/null
ctl fault outage --op Decrypt >/dev/null
refused 1 'internal error'
ctl clear >/dev/null

# A service that hangs, with a time-out longer than the interval: each round is followed by the next at
# once, and the start is over after the first all the same.
ctl fault delay 1h --op Decrypt >/dev/null
timed_out=(check-interval=100ms confirm-delay=1s check-timeout=$((1 * patience))s)
expect_no_start 'no answer from' "$dir/disk" "${timed_out[@]}" require-key=yes
start_server "$dir/disk" "${timed_out[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "timeout"'
ctl clear >/dev/null
await_state active
stop_server

# Without require-key the disk is there, with its size, refuses, and opens by itself: to a client that
# came while it was fenced too.
ctl disable "$key" >/dev/null
start_server "$dir/disk" "${fast[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "key_disabled" and .io.refused == 0 and .fences == 0'
assert_eq "$(nbd_io size)" 16777216 "the size of a fenced disk"
assert_refused
nbd_io "read 0 1M 0x41" 2>"$dir/io.log" && fail "it was served"
python3 "$here/nbd-waiting.py" "$dir/main.nbd" "$dir" >"$dir/client.log" 2>&1 &
client=$!
wait_for 20 grep -qs connected "$dir/client.log" || fail "no client: $(cat "$dir/client.log")"
ctl enable "$key" >/dev/null
await_state active
touch "$dir/ask"
wait "$client"
assert_eq "$(tail -n 1 "$dir/client.log")" "error 0, 4096 bytes" "what the first client got"
nbd_io "read 0 1M 0x41"
ends_within 2 "active, after a start without the key"

# A storm: started, ended and killed again and again, while the key comes and goes.
for i in {1..12}; do
  [ $((i % 3)) -ne 0 ] || ctl disable "$key" >/dev/null
  [ $((i % 3)) -ne 1 ] || ctl enable "$key" >/dev/null
  start_server "$dir/disk" "${fast[@]}"
  [ $((i % 2)) -eq 0 ] && kill_server && continue
  stop_server
done
ctl enable "$key" >/dev/null
start_server "$dir/disk" "${fast[@]}" require-key=yes
nbd_io "read 0 1M 0x41"

# ---- ending ----------------------------------------------------------------------------------------------
ctl disable "$key" >/dev/null
await_state fenced
ends_within 2 "fenced"

start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=1h
nbd_io "!EIO read 0 4k 0" >"$dir/io.log" 2>&1 &
client=$!
sleep 1
ends_within 3 "stalled"
! wait "$client" || fail "the stalled request was answered: $(cat "$dir/io.log")"
grep -q 'another error.*\(not connected\|closed\|reset\)' "$dir/io.log" || fail "not the end of the connection: $(cat "$dir/io.log")"
ctl enable "$key" >/dev/null

# An unlock that hangs, for as long as it may.
start_server "$dir/disk" check-timeout=300s check-interval=1s
server_command fence >"$dir/output"
ctl fault delay 1h --op Decrypt >/dev/null
printf 'unfence\n' | nc -U "$control" >"$dir/output" &
client=$!
await_status 10 '.latch == "" and .next_check == null'
ends_within 3 "fenced, an unlock hangs"
wait "$client" || true

# begin parameters...: a server that is still in its start when this returns.
begin ()
{
  local preload=${KEYFENCE_PRELOAD:-}

  rm -f "$dir/main.pid" "$dir/main.nbd"
  # shellcheck disable=SC2086  # the wrapper is a command with its arguments
  env ${preload:+"LD_PRELOAD=$preload"} ${KEYFENCE_WRAPPER:-} "$NBDKIT" -f -P "$dir/main.pid" \
    -U "$dir/main.nbd" "$plugin" "$dir/disk" "$@" >>"$dir/main.log" 2>&1 </dev/null &
  server_pids[main]=$!
  wait_for 20 starts || fail "nbdkit does not start"
}
starts ()
{
  [ -s "$dir/main.pid" ] && pgrep -P "${server_pids[main]}" >/dev/null
}

begin check-timeout=300s
sleep 0.5
ends_within 3 "starting, the first unlock hangs"
begin check-timeout=300s require-key=yes
sleep 0.5
kill -TERM "${server_pids[main]}"
server_status=0
wait_for 5 dead "${server_pids[main]}" || fail "a start with require-key does not obey SIGTERM"
wait "${server_pids[main]}" || server_status=$?
unset "server_pids[main]"
assert_eq "$server_status" 1 "exit status of a start that was broken off with require-key"
grep -q 'broken off without the key' "$dir/main.log" || fail "it does not say why it ended"
ctl clear >/dev/null

# ---- an agent that answers nothing -------------------------------------------------------------------------
printf '#!/bin/sh\nexec sleep 1000\n' >"$dir/deaf-agent"
chmod +x "$dir/deaf-agent"
begin "agent=$dir/deaf-agent" check-timeout=300s
sleep 0.5
ends_within 3 "starting, the agent is deaf"
start_server "$dir/disk" "${fast[@]}" "agent=$dir/deaf-agent"
assert_json "$(server_status_json)" '.state == "fenced" and (.reason == "agent_timeout" or .reason == "agent_backoff")'
assert_refused
ends_within 3 "fenced, the agent is deaf"
start_server "$dir/disk" require-key=yes
nbd_io "read 0 1M 0x41"
ends_within 2 "active"
