#!/bin/bash
# Overlapping requests in flight at once leave what one of them wrote, byte for byte, and lose none.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 2M
for cache in none writeback; do
  start_server "$dir/disk" cache=$cache
  nbd_model overlap "$uri" 1 300 1
  nbd_model overlap "$uri" 2 300 4
  stop_server
done
