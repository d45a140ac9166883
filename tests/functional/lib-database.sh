# shellcheck shell=bash
# lib-database.sh owns what the tests of databases share: a file system on the disk, PostgreSQL and MariaDB
# servers on it that run as users without rights, clients that keep a journal of what was acknowledged
# (commit-journal.py), and the verdict on it.  Source it after lib.sh and lib-fence.sh.
#
# A database is a set of functions, named by $database: postgres or mariadb.
#
#   NAME_require   the test is skipped where it is not installed
#   NAME_create    a new one in $db_data
#   NAME_serve     becomes its server (exec), as $db_user
#   NAME_client    a client that reads SQL from its stdin, ends at the first error, and prints bare values
# shellcheck disable=SC2034,SC2154,SC2164  # variables for those who source this, and of lib.sh
commit_clients=4
database=''
db_user='' db_group=''
db_mnt=$dir/mnt           # where the disk is mounted
db_data=$dir/mnt/data     # on the disk
db_run=$dir/db            # socket and pid file of the database: not on the disk
db_pid='' commits_pid='' attach_pids=()
journal=$dir/journal      # what was acknowledged
report=$dir/commits.json  # what the clients saw
commit_round=0
declare -A mount_options=([ext4]='noatime,errors=remount-ro,data_err=abort' [xfs]='noatime') # of docs/guides/database-disk.md

now_ms ()
{
  date +%s%3N
}

# ---- the disk ---------------------------------------------------------------------------------------

# database_start NAME: the database of this test, and what every test of it needs.
database_start ()
{
  database=$1
  require fuser jq mountpoint nc pgrep python3 setpriv unshare
  require_fuse
  require_loop
  "${database}_require"
  # The users of databases have no other way to what is theirs.
  chmod 711 "$dir"
  mkdir -p "$db_mnt"
  install -d -o "$db_user" -g "$db_group" -m 700 "$db_run"
  : >"$journal"
  ulimit -c 0
}

# disk_attach: the disk of the server named main becomes $device, unless it is; sets $attach_pids, the processes
# behind it.
disk_attach ()
{
  [ -z "$device" ] || return 0
  # Not with a sanitizer's runtime preloaded, which mount and others would get, too.
  timeout $((60 * patience)) "$KEYFENCE" attach --socket "$dir/main.nbd" --json "$dir/disk" "$dir/dev" \
    >"$dir/attach.json" 2>"$dir/attach.log" || fail "keyfence attach: $(cat "$dir/attach.log")"
  device=$dir/dev
  at_exit disk_abandon
  mapfile -t attach_pids < <(jq '.pid, .helper_pid // empty' "$dir/attach.json")
}

disk_detach ()
{
  timeout $((60 * patience)) "$KEYFENCE" detach "$device" >"$dir/detach.log" 2>&1 ||
    fail "keyfence detach: $(cat "$dir/detach.log")"
  device=''
}

# disk_abandon: also when all that was behind the device has died.
disk_abandon ()
{
  ! mountpoint -q "$db_mnt" || umount "$db_mnt" 2>"$dir/umount.log" || umount -l "$db_mnt"
  [ -z "$device" ] || timeout $((60 * patience)) "$KEYFENCE" detach --force "$device" >"$dir/detach.log" 2>&1 ||
    { cat "$dir/detach.log" >&2; return 1; }
  device=''
}

# disk_mount TYPE: with what a boot does before, the journal's replay and what a failed disk left to mend.
disk_mount ()
{
  disk_attach
  [ "$1" != ext4 ] || e2fsck -p "$device" >"$dir/fsck.log" 2>&1 || [ $? -eq 1 ] ||
    fail "e2fsck -p is not content: $(cat "$dir/fsck.log")"
  mount -t "$1" -o "${mount_options[$1]}" "$device" "$db_mnt" 2>"$dir/mount.log" || {
    disk_detach
    skip "$1 can't be mounted here: $(cat "$dir/mount.log")"
  }
}

disk_unmount ()
{
  wait_for 20 umount "$db_mnt" 2>"$dir/umount.log" || fail "umount: $(cat "$dir/umount.log")"
}

# disk_format TYPE: a new file system, and on it a folder for the database.
disk_format ()
{
  disk_attach
  case $1 in
    ext4) mke2fs -q -t ext4 -E nodiscard "$device" >"$dir/mkfs.log" 2>&1 ;;
    xfs) mkfs.xfs -q -K "$device" >"$dir/mkfs.log" 2>&1 ;;
  esac || fail "mkfs: $(cat "$dir/mkfs.log")"
  disk_mount "$1"
  install -d -o "$db_user" -g "$db_group" -m 700 "$db_data"
}

# disk_finish TYPE: unmounted, the file system has nothing to mend; and the server has nothing to complain about.
disk_finish ()
{
  disk_unmount
  case $1 in
    ext4) e2fsck -fn "$device" ;;
    xfs) xfs_repair -n "$device" ;;
  esac >"$dir/fsck.log" 2>&1 || fail "the file system is damaged: $(cat "$dir/fsck.log")"
  disk_detach
  stop_server
}

# ---- the database -----------------------------------------------------------------------------------

# as_user COMMAND...: without root's rights.
as_user ()
{
  (cd "$db_run" && exec setpriv --reuid "$db_user" --regid "$db_group" --init-groups -- "$@")
}

answers ()
{
  echo 'SELECT 1;' | "${database}_client" >/dev/null 2>&1
}

answers_or_dead ()
{
  dead "$db_pid" || answers
}

# db_start [options of the server]: it recovers by itself what a crash has left.
db_start ()
{
  "${database}_serve" "$@" >>"$dir/$database.log" 2>&1 </dev/null &
  db_pid=$!
  at_exit db_kill
  wait_for 60 answers_or_dead || fail "$database does not answer"
  alive "$db_pid" || fail "$database did not start"
}

db_stop ()
{
  local status=0

  kill -"$("${database}_stop_signal")" "$db_pid"
  wait_for 60 dead "$db_pid" || fail "$database does not stop"
  wait "$db_pid" || status=$?
  db_pid=''
  [ "$status" -eq 0 ] || fail "$database ended with status $status"
}

# The server and its children, at once; the server is kept from starting others meanwhile.
db_kill ()
{
  local children=()

  [ -n "$db_pid" ] || return 0
  kill -STOP "$db_pid" 2>/dev/null
  mapfile -t children < <(pgrep -P "$db_pid")
  kill -KILL "$db_pid" "${children[@]}" 2>/dev/null
  wait "$db_pid" 2>/dev/null
  db_pid=''
}

# sql TEXT: the values that it gives.
sql ()
{
  "${database}_client" <<<"$1" 2>"$dir/client.log" || fail "$1: $(cat "$dir/client.log")"
}

# db_create: a new database with the table of commits, running.
db_create ()
{
  "${database}_create" >"$dir/create.log" 2>&1 || { cat "$dir/create.log" >&2; fail "can't make a database"; }
  db_start "$@"
  sql 'CREATE TABLE journal (r int, c int, n int, payload text, PRIMARY KEY (r, c, n));'
}

# ---- commits ----------------------------------------------------------------------------------------

# commits_start: clients that commit until they are stopped or fail.
commits_start ()
{
  commit_round=$((commit_round + 1))
  rm -f "$report"
  "${database}_client_command"
  python3 "$here/commit-journal.py" "$journal" "$report" "$commit_round" "$commit_clients" \
    "${client_command[@]}" >"$dir/commits.log" 2>&1 &
  commits_pid=$!
  at_exit "kill -KILL $commits_pid 2>/dev/null"
}

commits_more_than ()
{
  [ "$(wc -l <"$journal")" -gt "$1" ]
}

# commits_run N: until so many more were acknowledged.
commits_run ()
{
  local from

  from=$(wc -l <"$journal")
  wait_for 60 commits_more_than $((from + $1)) || fail "no more commits: $(tail -n 3 "$dir/commits.log")"
}

# commits_end: every client has failed by itself.
commits_end ()
{
  wait_for 60 dead "$commits_pid" || fail "a client hangs"
  wait "$commits_pid" || fail "commit-journal.py: $(cat "$dir/commits.log")"
  assert_json "$(cat "$report")" "(.errors | length) == $commit_clients" "every client has an error"
}

# commits_stop: none of the clients may have seen an error.
commits_stop ()
{
  kill -TERM "$commits_pid"
  wait_for 60 dead "$commits_pid" || fail "a client hangs"
  wait "$commits_pid" || fail "commit-journal.py: $(cat "$dir/commits.log")"
  assert_json "$(cat "$report")" '.errors == []' "no client saw an error"
}

# assert_committed: everything that was acknowledged is there and right, and of the rest no more than
# each client had sent when it ended.
assert_committed ()
{
  local lost unknown

  sort "$journal" >"$dir/acknowledged"
  sql "SELECT concat(r, ' ', c, ' ', n) FROM journal;" | sort >"$dir/there"
  lost=$(comm -23 "$dir/acknowledged" "$dir/there" | wc -l)
  [ "$lost" -eq 0 ] ||
    fail "$lost commits were acknowledged and are lost, the first: $(comm -23 "$dir/acknowledged" "$dir/there" | head -n 1)"
  unknown=$(comm -13 "$dir/acknowledged" "$dir/there" | wc -l)
  [ "$unknown" -le $((commit_round * commit_clients)) ] || fail "$unknown rows that nobody was told of"
  assert_eq "$(sql "SELECT count(*) FROM journal WHERE payload <> repeat(md5(concat(r, ', ', c, ', ', n)), 8);")" 0 "rows with a wrong payload"
  printf '%s: %d acknowledged commits, all there; %d more that were on their way\n' "$database" \
    "$(wc -l <"$dir/acknowledged")" "$unknown"
}

# ---- the fence --------------------------------------------------------------------------------------

nothing_on_disk ()
{
  ! fuser -sm "$db_mnt" 2>/dev/null
}

# fence_database 'revoke': the key is taken away under load; no commit is acknowledged after the bound, and the
# server ends by itself and leaves no process behind, stuck or not.
fence_database ()
{
  local bound_ms start last_ms ended_ms status=0

  bound_ms=$(server_status_json | jq '.fence_bound_s * 1000 | floor')
  start=$(now_ms)
  eval "$1" >/dev/null || fail "$1"
  await_state fenced 30
  wait_for 60 dead "$db_pid" || fail "$database goes on without a disk: $(tail -n 5 "$dir/$database.log")"
  ended_ms=$(($(now_ms) - start))
  { wait "$db_pid" || status=$?; } 2>/dev/null # bash tells of signals
  db_pid=''
  commits_end
  last_ms=$(($(jq .last_ms "$report") - start))
  printf '%s: last commit %d ms after the revocation (bound: %d ms), ended after %d ms with status %d\n' \
    "$database" "$last_ms" "$bound_ms" "$ended_ms" "$status"
  printf '%s: clients saw: %s\n' "$database" \
    "$(jq -r '.errors[]' "$report" | { grep -E 'PANIC|FATAL|ERROR|closed' || true; } | sort -u | sed -n 1p)"
  [ "$last_ms" -le $((bound_ms + 500 * patience)) ] || fail "commits were acknowledged after the bound"
  [ "$status" -ne 0 ] || fail "$database says that it ended well"
  wait_for 30 nothing_on_disk || fail "processes are left: $(fuser -vm "$db_mnt" 2>&1)"
}

# guide_settings GUIDE LINE: the block in docs/guides/GUIDE.md that begins with this line: what is recommended
# there is what is tested here.
guide_settings ()
{
  local settings

  settings=$(awk -v first="$2" '/^```/ { inside = 0; start = !start; next } start && $0 == first { inside = 1 }
    inside { print }' "$here/../../docs/guides/$1.md")
  [ -n "$settings" ] || fail "docs/guides/$1.md has no settings for $2"
  printf '%s\n' "$settings"
}

# ---- power loss -------------------------------------------------------------------------------------

# power_loss_possible: with servers that are started from now on.
power_loss_possible ()
{
  faults_below "$dir/disk"
  server_env+=("KEYFENCE_FAULT_UNDO=$dir/undo")
  power_losses=0 put_back=0
  random_file "$dir/random" 4M
}

# Something beside the database whose writes are under way, or done and not durable, at any moment; until the
# disk is gone.
writes_without_sync ()
{
  while dd if="$dir/random" of="$db_mnt/beside" bs=64k conv=notrunc oflag=direct status=none; do sleep 0.01; done 2>"$dir/beside.log" &
  beside_pid=$!
  at_exit "kill -KILL $beside_pid 2>/dev/null"
}

# power_loss: the database, what mounts its disk and the server of the volume are killed at once, and what was not
# durable below is taken back.  The clients are told nothing.
power_loss ()
{
  local children=()

  writes_without_sync
  commits_run 20
  # No new processes; those that are there go on committing until all die.
  kill -STOP "$db_pid"
  mapfile -t children < <(pgrep -P "$db_pid")
  kill -KILL "${server_pids[main]}" "${attach_pids[@]}" "$db_pid" "${children[@]}"
  wait "${server_pids[main]}" "$db_pid" 2>/dev/null || true
  unset "server_pids[main]"
  db_pid=''
  commits_end
  wait_for 30 dead "$beside_pid" || fail "what writes beside the database goes on"
  wait_for 30 nothing_on_disk || fail "processes are left: $(fuser -vm "$db_mnt" 2>&1)"
  disk_unmount
  disk_abandon
  "$helpers/undo" "$dir/disk" "$dir/undo" >"$dir/undo.out"
  rm "$dir/undo"
  power_losses=$((power_losses + 1))
  put_back=$((put_back + $(cut -d ' ' -f 1 "$dir/undo.out")))
}

assert_power_lost ()
{
  [ "$put_back" -gt 0 ] || fail "no power loss has taken anything back: nothing was proved"
  printf '%s: %d kills of everything; %d sectors were written and not yet durable, and taken back\n' "$database" \
    "$power_losses" "$put_back"
}

# ---- PostgreSQL -------------------------------------------------------------------------------------

pg_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

postgres_require ()
{
  require "$pg_bin/initdb" "$pg_bin/pg_amcheck" psql stdbuf
  getent passwd postgres >/dev/null || skip "there is no user postgres"
  db_user=postgres db_group=postgres
  export PGHOST=$db_run PGUSER=postgres PGDATABASE=postgres
}

postgres_create ()
{
  as_user "$pg_bin/initdb" --data-checksums --no-locale --encoding=UTF8 --auth=trust --no-sync -D "$db_data" || return 1
  { guide_settings postgresql '# postgresql.conf' && cat <<END; } | as_user tee -a "$db_data/postgresql.conf"
# the test's own
listen_addresses = ''
unix_socket_directories = '$db_run'
shared_buffers = 32MB
min_wal_size = 32MB
max_wal_size = 64MB
checkpoint_timeout = 30s
END
  sync -f "$db_data"
}

postgres_serve ()
{
  cd "$db_run"
  exec setpriv --reuid "$db_user" --regid "$db_group" --init-groups -- "$pg_bin/postgres" -D "$db_data" "$@"
}

postgres_stop_signal ()
{
  echo INT
}

postgres_client_command ()
{
  client_command=(stdbuf -oL psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1)
}

postgres_client ()
{
  local client_command

  postgres_client_command
  "${client_command[@]}"
}

# pgbench_load: the usual load, until the database goes.
pgbench_load ()
{
  "$pg_bin/pgbench" --client 4 --time 600 --no-vacuum >"$dir/pgbench.log" 2>&1 &
  pgbench_pid=$!
  at_exit "kill -KILL $pgbench_pid 2>/dev/null"
}

# pgbench_end: its clients were cut off.
pgbench_end ()
{
  local status=0

  wait_for 60 dead "$pgbench_pid" || fail "pgbench hangs"
  wait "$pgbench_pid" || status=$?
  [ "$status" -ne 0 ] || fail "pgbench saw no error: $(tail -n 3 "$dir/pgbench.log")"
}

# assert_postgres_whole: stops the server for it.  Balances agree with each other, indexes with tables, pages
# with their checksums.
assert_postgres_whole ()
{
  assert_eq "$(sql 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
    AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
    AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history);')" t \
    "the balances of pgbench agree"
  "$pg_bin/pg_amcheck" --all --install-missing --heapallindexed --parent-check >"$dir/amcheck.log" 2>&1 ||
    fail "pg_amcheck: $(cat "$dir/amcheck.log")"
  db_stop
  as_user "$pg_bin/pg_checksums" --check -D "$db_data" >"$dir/checksums.log" 2>&1 ||
    fail "pg_checksums: $(cat "$dir/checksums.log")"
  grep 'Bad checksums: *0$' "$dir/checksums.log" >/dev/null || fail "pg_checksums: $(cat "$dir/checksums.log")"
}

# ---- MariaDB ----------------------------------------------------------------------------------------

mariadb_require ()
{
  require mariadb mariadbd mariadb-install-db
  # mariadb-server makes the user mysql; mariadb-server-core, which starts no service, none.
  db_user=nobody
  getent passwd mysql >/dev/null && db_user=mysql
  db_group=$(id -gn "$db_user")
  db_socket=$db_run/mariadb.sock
}

mariadb_create ()
{
  guide_settings mysql-mariadb '[mariadb]' >"$db_run/mariadb.cnf"
  as_user mariadb-install-db --no-defaults --datadir="$db_data" --auth-root-authentication-method=normal
}

mariadb_serve ()
{
  cd "$db_run"
  exec setpriv --reuid "$db_user" --regid "$db_group" --init-groups -- mariadbd \
    --defaults-file="$db_run/mariadb.cnf" --datadir="$db_data" --socket="$db_socket" \
    --pid-file="$db_run/mariadb.pid" --skip-networking --innodb-log-file-size=32M \
    --innodb-buffer-pool-size=64M "$@"
}

mariadb_stop_signal ()
{
  echo TERM
}

mariadb_client_command ()
{
  client_command=(mariadb --no-defaults --socket="$db_socket" --user=root --batch --skip-column-names
    --unbuffered test)
}

mariadb_client ()
{
  local client_command

  mariadb_client_command
  "${client_command[@]}"
}
