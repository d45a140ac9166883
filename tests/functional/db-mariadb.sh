#!/bin/bash
# MariaDB's InnoDB on ext4, under load, loses its key: it stops within the bound, and when the key is back, so
# are the file system, the database and every commit that it had acknowledged.  So they are when all is killed at
# once, and with it goes, as in a power loss, what was never made durable below.
# shellcheck disable=SC2016  # a command that fence_database evaluates
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-database.sh"
require e2fsck mke2fs
database_start mariadb
make_volume "$dir/disk" 640M
start_server "$dir/disk" "${fast[@]}"
disk_format ext4
db_create

commits_start
commits_run 500
fence_database 'mv "$kek" "$dir/away"'
grep -E '\[(ERROR|FATAL)\].*InnoDB' "$dir/mariadb.log" | head -n 3 || fail "InnoDB's log says nothing"
disk_unmount
mv "$dir/away" "$kek"
await_state active

disk_mount ext4
db_start
assert_committed
commits_start
commits_run 100
commits_stop
assert_committed
db_stop
disk_unmount
disk_detach
stop_server

power_loss_possible
start_server "$dir/disk"
disk_mount ext4
db_start
commits_start
commits_run 100
power_loss
assert_power_lost
start_server "$dir/disk"
disk_mount ext4
db_start
assert_committed
assert_eq "$(sql 'CHECK TABLE journal EXTENDED;' | cut -f 4)" OK "CHECK TABLE"
db_stop
disk_finish ext4
