#!/bin/bash
# A short fence with on-fence=stall is a pause to PostgreSQL, and so is a new start of the volume's server after
# a crash: under load, no client of it sees an error, and every commit is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs
database_start postgres
make_volume "$dir/disk" 640M
parameters=("${fast[@]}" on-fence=stall stall-limit=$((60 * patience))s)
start_server "$dir/disk" "${parameters[@]}"
disk_format ext4
db_create
"$pg_bin/pgbench" -i -q -s 1 >"$dir/pgbench-init.log" 2>&1 || fail "pgbench -i: $(cat "$dir/pgbench-init.log")"
pgbench_load

# pause WHAT command...: commits go on after it, and how long the longest took.
pause ()
{
  local what=$1

  shift
  commits_start
  commits_run 50
  "$@"
  commits_run 50
  commits_stop
  printf 'postgres: %s: the longest commit took %d ms\n' "$what" "$(jq .longest_ms "$report")"
}

# fence_for SECONDS: by its key.
fence_for ()
{
  local from

  mv "$kek" "$dir/away"
  await_state fenced
  from=$(wc -l <"$journal")
  sleep "$1"
  # What was acknowledged just before the gate closed may be noted behind it.
  ! commits_more_than $((from + commit_clients)) || fail "commits are acknowledged while the disk is fenced"
  mv "$dir/away" "$kek"
  await_state active
}

crash ()
{
  kill_server
  start_server "$dir/disk" "${parameters[@]}"
}

pause 'nothing happens' true
for seconds in 2 4; do
  pause "fenced for $seconds s and more" fence_for "$seconds"
done
assert_json "$(server_status_json)" '.fences == 2 and .io.refused == 0' "nothing was refused"
for round in 1 2; do
  pause "server killed and started again, $round" crash
done
alive "$pgbench_pid" || fail "pgbench saw an error: $(tail -n 3 "$dir/pgbench.log")"
! grep -E 'PANIC|ERROR|FATAL: .*(Input|Read-only)' "$dir/postgres.log" || fail "PostgreSQL has seen an error"
kill "$pgbench_pid"
wait "$pgbench_pid" || true
assert_committed
assert_postgres_whole
disk_finish ext4
