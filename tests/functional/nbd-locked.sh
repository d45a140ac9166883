#!/bin/bash
# One process a volume: a second one is refused and told who has it; readers share.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 4M
start_server "$dir/disk"
first=$server_pid
expect_no_start "\\b$first\\b" "$dir/disk"
expect_no_start "\\b$first\\b" "$dir/disk" read-only=yes
ln "$dir/disk" "$dir/another-name"
expect_no_start "\\b$first\\b" "$dir/another-name"
expect_fail any "\\b$first\\b" keyfence destroy --yes "$dir/disk"
nbd_io "write 0 4k 0x41" "read 0 4k 0x41"
# A crashed holder holds nothing.
kill_server
start_named reader1 "$dir/disk" read-only=yes control=none || fail "a reader did not start"
start_named reader2 "$dir/disk" read-only=yes control=none || fail "readers don't share"
nbd_io "read 0 4k 0x41"
expect_no_start "\\b(${server_pids[reader1]}|${server_pids[reader2]})\\b" "$dir/disk"
stop_server reader1
stop_server reader2
