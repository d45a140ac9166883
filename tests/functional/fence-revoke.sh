#!/bin/bash
# A key that is taken away from a running server: fenced within the bound that it prints, and not by
# one denial alone; given back: active again, with everything that was acknowledged.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 16M

# now_ms: for intervals.
now_ms ()
{
  date +%s%3N
}


start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
status=$(server_status_json)
assert_json "$status" '.state == "active" and .lease_left_s > 3500 and .lease_until != null and .held_by == "primary"'
[ "$patience" -gt 1 ] || assert_json "$status" '.fence_bound_s == 4.75'
bound_ms=$(jq '.fence_bound_s * 1000 | floor' <<<"$status")

for round in 1 2 3; do
  nbd_io "write 1M 1M 0x5$round"
  mv "$kek" "$dir/away"
  revoked_ms=$(now_ms)
  wait_for 15 reads_fail || fail "still served: $(server_status_json)"
  took_ms=$(($(now_ms) - revoked_ms))
  # A client's start is in the figure: the bound is the server's.
  [ "$took_ms" -le $((bound_ms + 500 * patience)) ] || fail "refused only after $took_ms ms"
  assert_refused
  status=$(server_status_json)
  assert_json "$status" '.state == "fenced" and .reason == "not_found" and .lease_until == null and .io.refused > 5'
  assert_json "$status" ".fences == $round and .last_wipe_us < 10000"
  mv "$dir/away" "$kek"
  await_state active
  nbd_io "read 0 1M 0x41" "read 1M 1M 0x5$round"
  printf 'round %d: refused after %d ms, wiped in %s us\n' "$round" "$took_ms" \
    "$(jq .last_wipe_us <<<"$status")"
done
# Each fence by its confirmation: two denials, the second with nothing in between.
assert_json "$(server_command metrics)" '[.key_operations[] | select (.operation == "check" and .class == "denied")] | length >= 2'

# A denial that its confirmation does not bear out disturbs nobody.
denied_once ()
{
  status_is '.checks.denied > '"$1"
}
denials=$(server_status_json | jq .checks.denied)
mv "$kek" "$dir/away"
wait_for 15 denied_once "$denials" || fail "no check was denied"
mv "$dir/away" "$kek"
sleep 2
assert_json "$(server_status_json)" '.state == "active" and .fences == 3'
nbd_io "read 0 1M 0x41"
stop_server

# The error that was asked for.
for errno in EPERM ENOSPC; do
  start_server "$dir/disk" "${fast[@]}" fence-errno=$errno
  server_command fence >"$dir/output"
  assert_refused $errno
  stop_server
done

# grace=0: the first check that is not good fences, also when nobody said no.
start_server "$dir/disk" "${fast[@]}" grace=0
nbd_io "read 0 1M 0x41"
kill -STOP "$(server_status_json | jq .agent_pid)"
await_status 15 '.fences == 1'
await_state active
nbd_io "read 0 1M 0x41"
stop_server
