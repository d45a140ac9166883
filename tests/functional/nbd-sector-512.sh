#!/bin/bash
# A volume with 512-byte sectors is served as one with 4096.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 2M --sector-size 512
assert_eq "$(cryptsetup luksDump --dump-json-metadata "$dir/disk" | jq '.segments["0"].sector_size')" 512 \
  "sector size"
start_server "$dir/disk"
nbd_model own "$uri" 1 200 6
nbd_model overlap "$uri" 2 150 4
nbd_io "write 512 512 0x41" "write 1M 64k 0x42" "flush"
stop_server
start_server "$dir/disk" cache=writeback
nbd_io "read 512 512 0x41" "read 1M 64k 0x42"
nbd_model own "$uri" 3 200 6
stop_server
