#!/bin/bash
# Where the server may not write files as large as the volume (ulimit -f), a write there is refused as one
# without space, and the server goes on.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 256M
ulimit -f $((200 * 1024)) # KiB; the private copy of the header needs 136 MiB
for engine in sync auto uring; do
  start_server "$dir/disk" engine=$engine
  nbd_io "write 0 64k 0x41" "!ENOSPC write 240M 64k 0x42" "!ENOSPC write 198M 4M 0x42" "!ENOSPC zero 240M 4k no-hole" \
    "write 1M 4k 0x43 fua" "flush" "read 0 64k 0x41" "read 1M 4k 0x43"
  stop_server
done
ulimit -f 1024
expect_no_start 'too large' "$dir/disk"
