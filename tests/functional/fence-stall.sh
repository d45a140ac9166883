#!/bin/bash
# on-fence=stall: requests wait while the volume is fenced and are done when it opens; after the limit
# they fail; the server's end ends their connections at once; the keys are wiped all the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=60s
nbd_io "write 0 1M 0x41" flush
server_command fence >"$dir/output"
nbd_io "read 0 1M 0x41" "write 1M 1M 0x42" "read 1M 1M 0x42" flush >"$dir/io.log" 2>&1 &
client=$!
sleep 1
alive "$client" || fail "the request did not wait: $(cat "$dir/io.log")"
assert_json "$(server_status_json)" '.state == "fenced" and .last_wipe_us != null and .io.refused == 0'
server_command unfence >"$dir/output"
wait "$client" || fail "the stalled requests failed: $(cat "$dir/io.log")"
nbd_io "read 0 1M 0x41" "read 1M 1M 0x42"

# The server is told to end while requests wait.
server_command fence >"$dir/output"
nbd_io "read 0 4k 0" >"$dir/io.log" 2>&1 &
client=$!
sleep 0.5
stop_server
! wait "$client" || fail "the stalled request was done, though the volume was fenced"
! grep -F 'Input/output error' "$dir/io.log" || fail "the stalled request was answered with an error"

# The limit is of the fence, not of each request.
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=1s
server_command fence >"$dir/output"
nbd_io "!EIO read 0 4k 0"
start=$SECONDS
assert_refused
[ $((SECONDS - start)) -le $((2 * patience)) ] || fail "each request waited for the limit"
assert_json "$(server_status_json)" '.io.refused == 6'
stop_server
