#!/bin/bash
# Requests of any size and alignment, from many connections: each client's own bytes are always as
# it left them, also where several share a sector.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 3M
make_volume "$dir/tiny" 16k
for cache in none writeback; do
  start_server "$dir/disk" cache=$cache
  nbd_model own "$uri" 1 400 1
  nbd_model own "$uri" 2 250 8
  stop_server
  # 16 writers in four sectors.
  start_server "$dir/tiny" cache=$cache
  nbd_model own "$uri" 3 250 16
  stop_server
done
