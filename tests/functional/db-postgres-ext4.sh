#!/bin/bash
# PostgreSQL on ext4, under load, loses its key: it stops within the bound, and when the key is back, so are
# the file system, the database and every commit that it had acknowledged.
# shellcheck disable=SC2016  # a command that fence_database evaluates
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs
database_start postgres
make_volume "$dir/disk" 640M
start_server "$dir/disk" "${fast[@]}"
disk_format ext4
# With PostgreSQL's default: it tries a start of its own, which the disk must fail.
db_create -c restart_after_crash=on
"$pg_bin/pgbench" -i -q -s 2 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"

pgbench_load
commits_start
commits_run 300
fence_database 'mv "$kek" "$dir/away"'
pgbench_end
grep -E 'PANIC: ' "$dir/postgres.log" | head -n 3 || fail "no PANIC in PostgreSQL's log"
disk_unmount
mv "$dir/away" "$kek"
await_state active

disk_mount ext4
db_start
assert_committed
# It is a database to work with.
commits_start
commits_run 100
commits_stop
assert_committed
assert_postgres_whole
disk_finish ext4
