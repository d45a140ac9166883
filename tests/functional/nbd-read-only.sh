#!/bin/bash
# A volume served read-only refuses every change with EPERM and is not touched.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 4M
start_server "$dir/disk"
nbd_io "write 0 64k 0x41"
stop_server
sha256sum <"$dir/disk" >"$dir/before"
read_only_server ()
{
  nbdinfo --json "$uri" >"$dir/info"
  assert_json "$(cat "$dir/info")" '.exports[0].is_read_only'
  nbd_io "read 0 64k 0x41" "!EPERM write 0 4k 0x42" "!EPERM zero 0 4k" "!EPERM trim 0 4k" \
    "read 0 64k 0x41"
  stop_server
  sha256sum <"$dir/disk" | cmp - "$dir/before" || fail "the backing file has changed"
}
start_server "$dir/disk" read-only=yes
assert_json "$(server_status_json)" '.read_only == true'
read_only_server
nbdkit_options=(-r)
start_server "$dir/disk"
read_only_server
nbdkit_options=()

# A file that may only be read can be served read-only.
if [ "$(id -u)" -ne 0 ]; then
  chmod 0400 "$dir/disk"
  start_server "$dir/disk" read-only=yes
  read_only_server
  expect_no_start 'read-only=yes' "$dir/disk"
fi
