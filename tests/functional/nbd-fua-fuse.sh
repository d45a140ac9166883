#!/bin/bash
# A write with FUA is synced before it is answered also on a file of FUSE, where the kernel takes the flag
# that makes a write durable, and does nothing.
. "$(dirname "$0")/lib.sh"
require jq nc
require_fuse
[ -x "$helpers/fuse-file" ] || skip "built without libfuse"
make_volume "$dir/store" 8M
mkdir "$dir/fuse"
"$helpers/fuse-file" "$dir/store" "$dir/fuse" "$dir/calls" >"$dir/fuse.log" 2>&1 &
at_exit "umount -l '$dir/fuse' 2>/dev/null"
wait_for 20 test -e "$dir/fuse/disk" || fail "fuse-file: $(cat "$dir/fuse.log")"

# assert_synced COMMAND: by one client, and its last write is followed by a sync.
assert_synced ()
{
  : >"$dir/calls"
  nbd_io "$1"
  assert_eq "$(tail -n 1 "$dir/calls")" sync "the last that the file hears of: $1"
}

for engine in sync auto uring; do
  start_server "$dir/fuse/disk" cache=none engine=$engine
  assert_json "$(server_status_json)" '.cache == "none"'
  assert_synced "write 0 4k 0x41 fua"
  assert_synced "write 100 10 0x42 fua"
  assert_synced "write 64k 256k 0x43 fua"
  assert_synced "write 1M 1M 0x44 fua"
  assert_synced "zero 2M 4k fua no-hole"
  nbd_io "read 200 3k 0x41" "read 100 10 0x42" "read 64k 256k 0x43" "read 1M 1M 0x44" "read 2M 4k 0"
  stop_server
done
