#!/bin/bash
# A device tells once that it has lost writes.  While the thread that was told has not said so yet, nobody
# else's flush is acknowledged; and when it has, no forced write is either.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
faults_below "$dir/disk"

# told OP COMMAND: COMMAND, whose call OP is told of the loss, takes its time; others come meanwhile.
told ()
{
  local clients=() client

  start_server "$dir/disk" engine=sync
  nbd_io "write 0 1M 0x41" "flush"
  arm "$1" late=EIO 0 1
  nbd_io "!EIO $2" &
  clients+=($!)
  wait_for 20 test -s "$dir/rule.hits" || fail "nobody was told: $2"
  nbd_io "!EIO flush" &
  clients+=($!)
  nbd_io "!EIO write 1M 1M 0x43 fua" &
  clients+=($!)
  sleep 0.5
  nbd_io "write 2M 64k 0x44" "read 2M 64k 0x44" "read 0 4k 0x41" # these wait for nobody
  disarm
  for client in "${clients[@]}"; do
    wait "$client" || fail "$1: a client was not told"
  done
  nbd_io "!EIO write 8k 4k 0x43 fua"
  kill_server
  start_server "$dir/disk" engine=sync
  nbd_io "write 4k 4k 0x45 fua" "flush"
  stop_server
}

told sync flush
told write "write 4k 4k 0x42 fua"
