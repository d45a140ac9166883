# shellcheck shell=bash
# lib-fence.sh owns what the tests of the fence share: commands to the server, and waiting for states.
# Source it after lib.sh.
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh

# Seconds matter in these tests; valgrind and sanitizers stretch them.
pace=$(((patience + 1) / 2)) # a sanitizer's slowness does not add up in waiting
fast=("check-interval=${pace}s" "confirm-delay=${pace}s" "check-timeout=${pace}s")

# server_command "COMMAND [TEXT]": the answer, in one line, by the control socket itself.
server_command ()
{
  printf '%s\n' "$1" | timeout $((30 * patience)) nc -U -N "$control"
}

# status_is 'jq expression'
status_is ()
{
  local status

  status=$(server_status_json)
  [ -n "$status" ] && jq -e "$1" >/dev/null <<<"$status"
}

# await_status SECONDS 'jq expression'
await_status ()
{
  wait_for "$1" status_is "$2" || fail "not so within $1 s: $2 in $(server_status_json)"
}

await_state ()
{
  await_status "${2:-15}" ".state == \"$1\""
}

# assert_refused: every kind of request fails with $1 (EIO).
assert_refused ()
{
  nbd_io "!${1:-EIO} read 0 4k 0" "!${1:-EIO} write 0 4k 0" "!${1:-EIO} zero 0 4k" \
    "!${1:-EIO} trim 0 4k" "!${1:-EIO} flush"
}

# ---- load that must not see an error ------------------------------------------------------------------

# load_start: random reads and writes, verified, until load_stop; the first error ends it.
load_start ()
{
  local seed=1

  rm -f "$dir/load.stop"
  while [ ! -e "$dir/load.stop" ]; do
    nbd_model own "$uri" $((seed++)) 300 4 || exit 1
  done >"$dir/load.log" 2>&1 &
  load_pid=$!
}

# load_stop: nothing may have gone wrong.
load_stop ()
{
  touch "$dir/load.stop"
  wait "$load_pid" || fail "a client saw an error: $(tail -n 3 "$dir/load.log")"
}

# ---- denials ---------------------------------------------------------------------------------------------

reads_fail ()
{
  nbd_io "!EIO read 0 4k 0" 2>/dev/null
}

# denial REASON 'revoke' 'restore': served, revoked, refused within the bound with that reason and the
# service's request id, given back, served again with the same data.
denial ()
{
  local reason=$1 revoke=$2 restore=$3 bound_ms took_ms start status

  nbd_io "write 1M 64k 0x$((++denials))" flush
  bound_ms=$(server_status_json | jq '.fence_bound_s * 1000 | floor')
  eval "$revoke" >/dev/null || fail "$revoke"
  start=$(date +%s%3N)
  wait_for 30 reads_fail || fail "after $revoke it is still served: $(server_status_json)"
  took_ms=$(($(date +%s%3N) - start))
  status=$(server_status_json)
  assert_json "$status" ".state == \"fenced\" and .reason == \"$reason\" and .last_wipe_us < 10000" "after $revoke"
  # A client's start is in the figure: the bound is the server's.
  [ "$took_ms" -le $((bound_ms + 500 * patience)) ] || fail "refused only after $took_ms ms"
  [ "${4:-}" = no-id ] || assert_json "$status" '.request_id != ""' "the service's request id after $revoke"
  assert_refused
  eval "$restore" >/dev/null || fail "$restore"
  start=$(date +%s%3N)
  await_state active 30
  printf '%-22s refused after %5d ms, wiped in %3d us, back after %5d ms\n' "$reason" "$took_ms" \
    "$(jq .last_wipe_us <<<"$status")" $(($(date +%s%3N) - start))
  nbd_io "read 1M 64k 0x$denials" "read 0 1M 0x41"
}

# outage 'break' 'mend': I/O goes on in grace, and the next good check ends that.
outage ()
{
  eval "$1" >/dev/null || fail "$1"
  await_status 20 '.state == "grace" and .lease_left_s > 0'
  printf '%-40s grace, %s\n' "$1" "$(server_status_json | jq -r .reason)"
  eval "$2" >/dev/null || fail "$2"
  await_state active 20
}

# agent_stopped: the agent hangs; it is killed and replaced, which may be over within milliseconds.
agent_stopped ()
{
  local outages

  outages=$(server_status_json | jq .checks.outage)
  kill -STOP "$(server_status_json | jq .agent_pid)"
  await_status 20 ".checks.outage > $outages"
  await_state active 20
  assert_json "$(server_command metrics)" '.transitions[-2].reason == "agent_timeout"'
}
