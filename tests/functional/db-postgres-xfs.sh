#!/bin/bash
# PostgreSQL on XFS, under load, on a volume whose key is in (simulated) AWS KMS: the key is disabled, the server
# stops within the bound; the key is enabled, and every commit that was acknowledged is there.
# shellcheck disable=SC2016  # a command that fence_database evaluates
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require mkfs.xfs xfs_repair
database_start postgres
aws_start
aws_key
make_volume "$dir/disk" 640M
start_server "$dir/disk" "${fast[@]}"
disk_format xfs
db_create
"$pg_bin/pgbench" -i -q -s 2 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"

for round in 1 2; do
  pgbench_load
  commits_start
  commits_run 300
  fence_database 'ctl disable "$key"'
  assert_json "$(server_status_json)" '.reason == "key_disabled" and .request_id != ""' "what the service said in round $round"
  pgbench_end
  grep -E 'PANIC: ' "$dir/postgres.log" | tail -n 1 || fail "no PANIC in PostgreSQL's log"
  disk_unmount
  # Once the device goes as well, once it stays.
  [ "$round" = 2 ] || disk_detach
  ctl enable "$key" >/dev/null
  await_state active
  disk_mount xfs
  db_start
  assert_committed
done
assert_postgres_whole
disk_finish xfs
