#!/bin/bash
# When a fenced volume may open by itself: recover=manual, recover-window, and a header that was changed
# behind the fence.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
make_volume "$dir/disk" 4M

# revoke_and_restore: fenced by a key that is gone, which is then back.
revoke_and_restore ()
{
  mv "$kek" "$dir/away"
  await_state fenced
  sleep "${1:-0}"
  mv "$dir/away" "$kek"
}

start_server "$dir/disk" "${fast[@]}" recover=manual
nbd_io "write 0 64k 0x41"
revoke_and_restore
assert_json "$(server_status_json)" '.latch == "manual" and .next_check == null'
sleep 2
assert_json "$(server_status_json)" '.state == "fenced"' "it recovered by itself"
assert_json "$(server_command unfence)" '.state == "active"'
nbd_io "read 0 64k 0x41"
stop_server

# At the start too.
mv "$kek" "$dir/away"
start_server "$dir/disk" "${fast[@]}" recover=manual
mv "$dir/away" "$kek"
sleep 2
assert_json "$(server_status_json)" '.state == "fenced" and .latch == "manual"'
assert_json "$(server_command unfence)" '.state == "active"'
stop_server

start_server "$dir/disk" "${fast[@]}" recover-window=$((3 * patience))s
revoke_and_restore
await_state active
revoke_and_restore $((4 * patience))
assert_json "$(server_status_json)" '.state == "fenced" and .latch == "window"'
assert_json "$(server_command unfence)" '.state == "active"'
stop_server

# Behind the fence the header is exchanged for that of another volume with the same key: latched, not
# served, and not harmed; its own header back and unfenced: as before.
make_volume "$dir/other" 4M
cp "$dir/disk" "$dir/copy"
start_server "$dir/disk" "${fast[@]}"
mv "$kek" "$dir/away"
await_state fenced
dd if="$dir/other" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
mv "$dir/away" "$kek"
await_status 15 '.latch == "corrupt"'
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "header" and (.detail | test ("another volume"))'
assert_refused
assert_json "$(server_command unfence)" '.state == "fenced" and .latch == "corrupt"'
dd if="$dir/copy" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
sleep 2
assert_json "$(server_status_json)" '.state == "fenced"' "a corrupt volume recovered without its operator"
assert_json "$(server_command unfence)" '.state == "active"'
nbd_io "read 0 64k 0x41"
stop_server
