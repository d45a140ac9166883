#!/bin/bash
# Without its key a volume shows its size and refuses I/O with EIO; when the key is back, so are the
# data, by themselves; with require-key=yes there is no start at all.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 4M
start_server "$dir/disk"
nbd_io "write 0 64k 0x41"
stop_server
mv "$kek" "$dir/away"
expect_no_start "$kek" "$dir/disk" require-key=yes

start_server "$dir/disk" check-interval=100ms
assert_eq "$(nbd_io size)" $((4 << 20)) "size without a key"
nbd_io "!EIO read 0 4k 0" "!EIO write 0 4k 0x42" "!EIO zero 0 4k" "!EIO flush" "!EIO trim 0 4k"
status=$(server_status_json)
assert_json "$status" '.state == "fenced" and .reason == "not_found" and .io.refused > 0'

# Another KEK does not do, and is told apart.
(umask 077; head -c 32 /dev/urandom >"$kek")
reason_is ()
{
  [ "$(server_status_json | jq -r .reason)" = "$1" ]
}
wait_for 20 reason_is wrong_key || fail "the reason is $(server_status_json)"
nbd_io "!EIO read 0 4k 0"

mv "$dir/away" "$kek"
state_is ()
{
  [ "$(server_status_json | jq -r .state)" = "$1" ]
}
wait_for 20 state_is active || fail "the state is $(server_status_json)"
nbd_io "read 0 64k 0x41" "write 1M 4k 0x42" "read 1M 4k 0x42"
stop_server
