#!/bin/bash
# With on-fence=stall, a short fence is a pause to PostgreSQL: under load, no client of it sees an error, and
# every commit is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs
database_start postgres
make_volume "$dir/disk" 640M
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=$((60 * patience))s
disk_format ext4
db_create
"$pg_bin/pgbench" -i -q -s 1 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"

pgbench_load
commits_start
commits_run 200
for seconds in 2 4; do
  mv "$kek" "$dir/away"
  await_state fenced
  from=$(wc -l <"$journal")
  sleep "$seconds"
  # What was acknowledged just before the gate closed may be noted behind it.
  ! commits_more_than $((from + commit_clients)) || fail "commits are acknowledged while the disk is fenced"
  mv "$dir/away" "$kek"
  await_state active
  commits_run 200
done
assert_json "$(server_status_json)" '.fences == 2 and .io.refused == 0' "nothing was refused"
commits_stop
alive "$pgbench_pid" || fail "pgbench saw an error: $(tail -n 3 "$dir/pgbench.log")"
printf 'postgres: fenced for more than 4 s, the longest pause of a commit was %d ms\n' "$(jq .longest_ms "$report")"
! grep -E 'PANIC|ERROR|FATAL' "$dir/postgres.log" || fail "PostgreSQL has seen an error"
kill "$pgbench_pid"
wait "$pgbench_pid" || true
assert_committed
assert_postgres_whole
disk_unmount
assert_disk_whole ext4
stop_server
