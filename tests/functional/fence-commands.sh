#!/bin/bash
# What an operator can tell a server: check, fence, unfence, reload; and what it answers.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 4M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 64k 0x41"

answer=$(server_command check)
assert_json "$answer" '.state == "active" and .result == {"command":"check","class":"ok","reason":"ok","detail":"","request_id":""}'

# Fenced by hand: at once, all is refused, and it stays so though the key is there.
answer=$(server_command $'fence because \x01 I say so')
assert_json "$answer" '.state == "fenced" and .reason == "operator" and .latch == "operator" and .fences == 1'
assert_json "$answer" '.detail == "because ? I say so" and .last_wipe_us != null'
assert_refused
sleep 2
assert_json "$(server_status_json)" '.state == "fenced"' "it opened by itself"
assert_json "$(server_command check)" '.state == "fenced" and .result.class == "ok" and (.detail | test ("access is back"))'
assert_refused
assert_json "$(server_command reload)" '.state == "fenced" and .result.command == "reload"'

answer=$(server_command unfence)
assert_json "$answer" '.state == "active" and .result.class == "ok" and .latch == ""'
nbd_io "read 0 64k 0x41" "write 64k 64k 0x42"
assert_json "$(server_command unfence)" '.result.class == "not_fenced"'

# Unfenced without access: it says why, and opens when the key is back.
assert_json "$(server_command fence)" '.state == "fenced"'
mv "$kek" "$dir/away"
assert_json "$(server_command unfence)" '.state == "fenced" and .result.class == "denied" and .result.reason == "not_found" and .latch == ""'
mv "$dir/away" "$kek"
await_state active
nbd_io "read 64k 64k 0x42"

# A reload proves the header that is on the disk before its wraps are used.
assert_json "$(server_command reload)" '.state == "active" and .result.class == "ok"'
cp "$dir/disk" "$dir/copy"
make_volume "$dir/other" 4M
dd if="$dir/other" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
assert_json "$(server_command reload)" '.state == "active" and .result.class != "ok" and .result.reason == "header"'
dd if="$dir/copy" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
assert_json "$(server_command reload)" '.state == "active" and .result.class == "ok"'
nbd_io "read 0 64k 0x41"

# The last things that happened, in the metrics.
answer=$(server_command metrics)
assert_json "$answer" '[.transitions[] | .from + ">" + .state] == ["starting>active","active>fenced","fenced>active","active>fenced","fenced>active"]'
assert_json "$answer" '.check_latency.count == ([.checks_by_class[]] | add) and .check_latency.counts[-1] <= .check_latency.count'
assert_json "$answer" '[.key_operations[].operation] | unique | index ("check") and index ("unwrap") and index ("reload")'

# What is no command, or one too many.
assert_json "$(server_command "status now")" '.error'
assert_json "$(server_command "Fence")" '.error'
assert_json "$(printf 'check\nstatus\nunfence\nmetrics\n' | timeout 30 nc -U -N "$control" | jq -s .)" \
  'length == 4 and .[0].result.command == "check" and .[1].result == null and .[2].result.class == "not_fenced" and .[3].transitions'
stop_server
