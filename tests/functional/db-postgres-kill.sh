#!/bin/bash
# PostgreSQL, what mounts its disk and the server of the volume are killed at once in the middle of commits, and
# with them goes, as in a power loss, all that was never made durable below: every commit that was
# acknowledged is there, each time.  KEYFENCE_KILLS says how often (5).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs pgrep
kills=${KEYFENCE_KILLS:-5}
database_start postgres
make_volume "$dir/disk" 640M
start_server "$dir/disk"
disk_format ext4
db_create
"$pg_bin/pgbench" -i -q -s 1 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"
db_stop
random_file "$dir/random" 8M
cp "$dir/random" "$db_mnt/beside"
disk_unmount
stop_server

faults_below "$dir/disk"
server_env+=("KEYFENCE_FAULT_UNDO=$dir/undo")
put_back=0
caches=(cache=none cache=writeback)

# writes_without_sync: something beside the database whose writes are under way, or done and not durable, at any
# moment; until the disk is gone.
writes_without_sync ()
{
  while dd if="$dir/random" of="$db_mnt/beside" bs=64k conv=notrunc oflag=direct status=none; do sleep 0.01; done 2>"$dir/beside.log" &
  beside_pid=$!
  at_exit "kill -KILL $beside_pid 2>/dev/null"
}

# power_loss: the whole stack is killed, and what was not durable is taken back.
power_loss ()
{
  local children=()

  # No new processes; those that are there go on committing until all die.
  kill -STOP "$db_pid"
  mapfile -t children < <(pgrep -P "$db_pid")
  kill -KILL "${server_pids[main]}" "$fuse_pid" "$db_pid" "${children[@]}"
  wait "${server_pids[main]}" "$fuse_pid" "$db_pid" 2>/dev/null || true
  unset "server_pids[main]"
  db_pid=''
  commits_end
  pgbench_end
  wait_for 30 dead "$beside_pid" || fail "what writes beside the database goes on"
  wait_for 30 nothing_on_disk || fail "processes are left: $(fuser -vm "$db_mnt" 2>&1)"
  wait_for 20 umount "$db_mnt" 2>"$dir/umount.log" || fail "umount: $(cat "$dir/umount.log")"
  losetup -d "$device"
  device=''
  wait_for 20 umount "$dir/fuse" 2>"$dir/umount.log" || fail "umount: $(cat "$dir/umount.log")"
  "$helpers/undo" "$dir/disk" "$dir/undo" >"$dir/undo.out"
  put_back=$((put_back + $(cut -d ' ' -f 1 "$dir/undo.out")))
}

for ((i = 0; i < kills; i++)); do
  rm -f "$dir/undo"
  start_server "$dir/disk" "${caches[i % 2]}"
  disk_mount ext4
  db_start
  assert_committed
  commits_start
  pgbench_load
  writes_without_sync
  commits_run $((50 + RANDOM % 200))
  power_loss
done
[ "$put_back" -gt 0 ] || fail "no power loss has taken anything back: nothing was proved"
printf '%d kills; %d sectors were written and not yet durable, and taken back\n' "$kills" "$put_back"

rm -f "$dir/undo"
start_server "$dir/disk"
disk_mount ext4
db_start
assert_committed
assert_postgres_whole
disk_unmount
assert_disk_whole ext4
stop_server
