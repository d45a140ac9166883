#!/bin/bash
# A reload whose header the disk does not give, while everything else is served, holds up no check: what
# is revoked meanwhile fences within the bound, the reload is told why it failed, and recovery waits for
# the disk and no longer.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 16M
faults_below "$dir/disk"
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
bound_ms=$(server_status_json | jq '.fence_bound_s * 1000 | floor')

arm read hang 0 1 # the header is what is read first
assert_json "$(server_command reload)" '.result.class == "config" and .result.reason == "header_unreadable"'
nbd_io "read 0 1M 0x41"
mv "$dir/kek" "$dir/kek.away"
start=$(date +%s%3N)
wait_for 30 reads_fail || fail "it is served for as long as the header hangs: $(server_status_json)"
took_ms=$(($(date +%s%3N) - start))
[ "$took_ms" -le $((bound_ms + 500 * patience)) ] || fail "refused only after $took_ms ms"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "not_found"'
mv "$dir/kek.away" "$dir/kek"
await_status 15 '.detail | contains ("the disk hangs")' # told with what led to the fence, or instead
assert_refused
disarm
await_state active
nbd_io "read 0 1M 0x41"
assert_json "$(server_command reload)" '.result.class == "ok"'
stop_server
