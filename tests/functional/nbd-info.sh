#!/bin/bash
# The export says what it can do: size, several connections, FUA, zero, trim, cache, block sizes.
. "$(dirname "$0")/lib.sh"
require nbdinfo
make_volume "$dir/disk" 16M --label "my disk"
start_server "$dir/disk"
nbdinfo --json "$uri" >"$dir/info"
info=$(jq -c '.exports[0]' "$dir/info")
assert_json "$info" '."export-size" == 16777216'
assert_json "$info" '.is_read_only == false'
assert_json "$info" '.can_multi_conn and .can_fua and .can_flush and .can_trim and .can_zero'
assert_json "$info" '.contexts | index ("base:allocation") != null'
assert_json "$info" '.block_size_minimum == 1 or .block_size_minimum == 512'
assert_json "$info" '.block_size_preferred >= 4096 and .block_size_maximum >= 1048576'
stop_server

# With the page cache there is something that a cache request can do.
start_server "$dir/disk" cache=writeback
assert_json "$(nbdinfo --json "$uri")" '.exports[0].can_cache'
nbd_io "write 0 64k 0x41" "cache 0 1M" "read 0 64k 0x41"
stop_server
