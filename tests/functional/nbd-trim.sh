#!/bin/bash
# Trim changes nothing with discard=off; with discard=on whole sectors go and nothing beside them.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
start_server "$dir/disk" cache=writeback
nbd_io "write 0 8M 0x41" "flush" "trim 1M 2M" "trim 4M 1M fua" "trim 5000001 7" "flush" "read 0 8M 0x41"
stop_server
full=$(stat -c %b "$dir/disk")

start_server "$dir/disk" discard=on
nbd_io "trim 1M 2M" "flush"
[ "$(stat -c %b "$dir/disk")" -lt "$full" ] || { stop_server; skip "no holes can be punched in ${dir%/*}"; }
nbd_io "read 0 1M 0x41" "read 3M 5M 0x41"
nbd_io "extents 1M 2M" >"$dir/extents"
assert_eq "$(cut -d ' ' -f 3 "$dir/extents" | sort -u)" hole "extents of what was trimmed"
# Heads and tails that are no whole sector stay.
nbd_io "trim 5242881 20000 fua" "read 5M 1 0x41" "read 5262881 4000 0x41" "read 3M 2M 0x41"
# A hole takes data again.
nbd_io "write 1M 2M 0x42" "read 1M 2M 0x42" "write 1500001 10 0x43" "read 1500001 10 0x43"
stop_server
