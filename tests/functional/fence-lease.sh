#!/bin/bash
# The lease holds with nobody to enforce it: a server that was stopped for longer serves nothing before
# it has asked again, and one whose watch over the key hangs closes by itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc python3
make_volume "$dir/disk" 16M

# agent: its pid.
agent ()
{
  server_status_json | jq .agent_pid
}

# freeze, thaw: the server and its agent, as a machine that is suspended, or a host that is out of CPU.
# The agent's child, should there be one, is gone with its parent's answer.
freeze ()
{
  frozen=$(agent)
  kill -STOP "$frozen" "$server_pid"
  wait_for 10 stopped "$frozen" || fail "the agent is not stopped"
  wait_for 10 stopped "$server_pid" || fail "the server is not stopped"
}
# stopped PID: with all its threads, which on a busy machine takes a while.
stopped ()
{
  ! ps -L -o state= -p "$1" | grep -qv T
}
thaw ()
{
  kill -CONT "$frozen" "$server_pid"
}

# ---- stopped for a shorter time than the lease --------------------------------------------------------
start_server "$dir/disk" "${fast[@]}"
load_start
for _ in 1 2 3; do
  freeze
  sleep 2
  thaw
  sleep 0.5
done
load_stop
nbd_io "write 0 1M 0x41" flush "read 0 1M 0x41"
assert_json "$(server_status_json)" '.fences == 0 and .io.refused == 0'
stop_server

# ---- stopped for longer ---------------------------------------------------------------------------------
# A client that has its request in the server's socket when the server wakes: on a connection that was
# there before.  python3 speaks the little NBD that is needed.
start_server "$dir/disk" "${fast[@]}" grace=$((6 * patience))s
for round in 1 2 3; do
  nbd_io "read 0 1M 0x41"
  rm -f "$dir/ask" "$dir/asked" "$dir/client.log"
  python3 "$here/nbd-waiting.py" "$dir/main.nbd" "$dir" >"$dir/client.log" 2>&1 &
  client=$!
  wait_for 20 grep -qs connected "$dir/client.log" || fail "no client: $(cat "$dir/client.log")"
  freeze
  touch "$dir/ask"
  wait_for 20 test -e "$dir/asked" || fail "the client did not ask: $(cat "$dir/client.log")"
  sleep $((7 * patience))
  assert_eq "$(cat "$dir/client.log")" connected "what the client has heard of a stopped server"
  # The server alone: no answer to a check can have a say in the first request's fate.
  kill -CONT "$server_pid"
  wait "$client" || fail "the client: $(cat "$dir/client.log")"
  assert_eq "$(tail -n 1 "$dir/client.log")" "error 5, 0 bytes" "the answer to the first request after the lease"
  await_status 10 '.state == "fenced"'
  assert_json "$(server_status_json)" ".reason == \"lease\" or .reason == \"no_answer\" or .reason == \"agent_timeout\""
  assert_json "$(server_command metrics)" ".fences == $round and ([.transitions[] | select (.state == \"fenced\")][-1].reason == \"lease\")"
  kill -CONT "$frozen" 2>/dev/null || true # the server may have killed it by now
  await_state active
done
nbd_io "read 0 1M 0x41" "write 1M 64k 0x42"
stop_server

# ---- a watch that hangs -----------------------------------------------------------------------------------
# hung PLACE: nobody closes the gate; its time does.
hung ()
{
  local start_ms took_ms lease_ms

  start_server "$dir/disk" "${fast[@]}" grace=$((6 * patience))s
  nbd_io "write 0 1M 0x41" flush
  rm -f "$dir/hang.hits"
  lease_ms=$(server_status_json | jq '.lease_left_s * 1000 | floor')
  printf '%s' "$1" >"$dir/hang.new"
  mv "$dir/hang.new" "$dir/hang"
  wait_for 20 test -e "$dir/hang.hits" || fail "the watch does not hang in $1"
  start_ms=$(date +%s%3N)
  nbd_io "read 0 1M 0x41"
  wait_for $((10 * patience)) reads_fail || fail "still served with a hanging watch"
  took_ms=$(($(date +%s%3N) - start_ms))
  assert_refused
  # The last lease may have been a check younger than the one that was seen.
  [ "$took_ms" -le $((6000 * patience + 500 * patience)) ] ||
    fail "refused only $took_ms ms after the watch had hung ($lease_ms ms of the lease were left)"
  printf 'a watch that hangs (%s): refused %d ms later\n' "$1" "$took_ms"
  rm "$dir/hang"
  await_state active
  assert_json "$(server_status_json)" '.fences == 1'
  nbd_io "read 0 1M 0x41"
  stop_server
}
server_preload=$helpers/hung-monitor.so
server_env+=("KEYFENCE_HANG_FILE=$dir/hang")
hung poll
hung busy
