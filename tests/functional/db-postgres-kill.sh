#!/bin/bash
# PostgreSQL, what mounts its disk and the server of the volume are killed at once in the middle of commits, and
# with them goes, as in a power loss, all that was never made durable below: every commit that was
# acknowledged is there, each time.  KEYFENCE_KILLS says how often (5).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs
kills=${KEYFENCE_KILLS:-5}
database_start postgres
make_volume "$dir/disk" 640M
start_server "$dir/disk"
disk_format ext4
db_create
"$pg_bin/pgbench" -i -q -s 1 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"
db_stop
disk_unmount
disk_detach
stop_server

power_loss_possible
caches=(cache=none cache=writeback)
for ((i = 0; i < kills; i++)); do
  start_server "$dir/disk" "${caches[i % 2]}"
  disk_mount ext4
  db_start
  assert_committed
  commits_start
  pgbench_load
  commits_run $((50 + RANDOM % 200))
  power_loss
  pgbench_end
done
assert_power_lost
start_server "$dir/disk"
disk_mount ext4
db_start
assert_committed
assert_postgres_whole
disk_finish ext4
