#!/bin/bash
# With key-expiry=fence the date that has passed fences, but not one that the owner has moved since it
# was last asked for; and a volume that is fenced for its date comes back by itself once it is moved.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
azure_start
azure_key kek
make_volume "$dir/disk" 16M

# expires_in SECONDS: the key's date, as Unix time, in $date.
expires_in ()
{
  date=$(($(date +%s) + $1))
  ctl key-dates "$key" --expires "$1s" >/dev/null || fail "the key's date can't be set"
}

expires_in $((12 * patience))
start_server "$dir/disk" "${fast[@]}" key-expiry=fence
await_status 10 '.key_expires != null'
nbd_io "write 0 1M 0x41" flush

# Moved before it passes: the server does not know that yet, and has to ask.
ctl key-dates "$key" --expires none >/dev/null
wait_for $((20 * patience)) test "$date" -lt "$(date +%s)" || true
while [ "$(date +%s)" -le $((date + 4 * patience)) ]; do
  nbd_io "read 0 64k 0x41"
  status_is '.state == "active"' || fail "a date that was moved has fenced: $(server_status_json)"
  sleep 0.2
done
assert_json "$(server_status_json)" '.fences == 0 and .key_expires == null and .checks.denied == 0'
stop_server

# Not moved: it fences; and moved then: it opens.
expires_in $((6 * patience))
start_server "$dir/disk" "${fast[@]}" key-expiry=fence
await_status 20 '.state == "fenced" and .reason == "key_expired"'
[ "$(date +%s)" -ge "$date" ] || fail "fenced before the date"
assert_refused
ctl key-dates "$key" --expires 48h >/dev/null
await_state active 15
nbd_io "read 0 1M 0x41"
assert_json "$(server_status_json)" '.key_expires != null'
stop_server

# Latched until the operator says so, and then as well.
expires_in $((6 * patience))
start_server "$dir/disk" "${fast[@]}" key-expiry=fence recover=manual
await_status 20 '.state == "fenced" and .latch == "manual"'
ctl key-dates "$key" --expires none >/dev/null
server_command unfence >/dev/null
await_state active 15
nbd_io "read 0 1M 0x41"
stop_server
