#!/bin/bash
# A failing backing store gives one clear error to the request it hits, and nothing else is lost.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
faults_below "$dir/disk"

for cache in none writeback; do
  start_server "$dir/disk" cache=$cache
  nbd_io "write 0 1M 0x41" "flush"

  # Errors reach the client, and the next request works.
  arm read EIO 0 1
  nbd_io "!EIO read 0 64k 0x41" "read 0 64k 0x41"
  disarm
  arm write EIO 0 1
  nbd_io "!EIO write 1M 64k 0x42" "write 1M 64k 0x42" "read 1M 64k 0x42"
  disarm
  arm write ENOSPC 0 1
  nbd_io "!ENOSPC write 2M 4k 0x43" "write 2M 4k 0x43"
  disarm
  arm write EDQUOT 0 1
  nbd_io "!ENOSPC write 2M 4k 0x43"
  disarm
  arm write EIO 0 2
  nbd_io "!EIO write 2M 4k 0x44" "!EIO zero 2M 4k no-hole" "write 2M 4k 0x44 fua" "read 2M 4k 0x44"
  disarm

  # A read-modify-write that can't read changes nothing.
  arm read EIO 0 1
  nbd_io "!EIO write 100 10 0x45" "read 0 64k 0x41"
  disarm

  # Interrupted and short calls are finished.
  arm read EINTR 0 3
  nbd_io "read 0 64k 0x41"
  disarm
  arm write EINTR 0 3
  nbd_io "write 3M 64k 0x46"
  disarm
  arm read EAGAIN 0 3
  nbd_io "read 0 64k 0x41"
  disarm
  arm read short=8192 0 4
  nbd_io "read 0 512k 0x41"
  disarm
  arm write short=8192 0 4
  nbd_io "write 4M 512k 0x47" "read 4M 512k 0x47" "read 3M 64k 0x46"
  disarm
  # Nothing read at all, within the disk, is an error and not a loop.
  arm read short=0 0 1000000
  nbd_io "!EIO read 0 64k 0x41"
  disarm
  arm read EAGAIN 0 100000000
  nbd_io "!EIO read 0 4k 0x41"
  disarm
  nbd_io "read 0 1M 0x41" "flush"
  stop_server
done

start_server "$dir/disk" cache=writeback
arm write short=1000 0 5
nbd_io "write 5M 64k 0x48"
disarm
arm read short=1000 0 5
nbd_io "read 5M 64k 0x48"
disarm
stop_server

# A flush that has failed stays failed: the kernel says so only once, and what it lost stays lost.
start_server "$dir/disk" cache=writeback
nbd_io "write 6M 64k 0x49"
arm sync EIO 0 1
nbd_io "!EIO flush"
disarm
nbd_io "!EIO flush" "read 0 64k 0x41"
kill_server
start_server "$dir/disk" cache=writeback
nbd_io "flush" "read 0 64k 0x41"
arm write EIO 0 1
nbd_io "!EIO write 6M 4k 0x49 fua"
disarm
nbd_io "flush" # the write failed, and said so: nothing that was acknowledged is lost
arm sync EIO 0 1
nbd_io "!EIO write 6M 4k 0x49 fua"
disarm
nbd_io "!EIO flush"
kill_server

# Trim where the store can't punch holes is accepted; where it fails, it fails.
start_server "$dir/disk" discard=on
arm alloc EOPNOTSUPP 0 1
nbd_io "trim 0 64k"
disarm
arm alloc EIO 0 1
nbd_io "!EIO trim 64k 64k"
disarm
stop_server
