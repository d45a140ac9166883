#!/bin/bash
# cache=none and cache=writeback serve the same bytes, and each sees what the other wrote.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
start_server "$dir/disk" cache=none
[[ $(server_status_json) == *'"cache":"none"'* ]] || skip "no direct I/O in ${dir%/*}"
nbd_model own "$uri" 1 300 4
nbd_io "write 5000 100 0x41"
stop_server

start_server "$dir/disk" cache=writeback
assert_json "$(server_status_json)" '.cache == "writeback"'
nbd_io "read 5000 100 0x41" "write 70000 9000 0x42"
stop_server

start_server "$dir/disk" cache=none
nbd_io "read 5000 100 0x41" "read 70000 9000 0x42"
nbd_model overlap "$uri" 2 100 4
stop_server
