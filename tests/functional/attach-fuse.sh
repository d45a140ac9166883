#!/bin/bash
# keyfence attach by FUSE and a loop device: a file system on it lives through the end and the return of its
# server, and through everything that is killed; a fence reaches it as an error, and it comes back whole.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require e2fsck fuser jq mkfs.ext4 mountpoint nbdcopy nc
require_fuse
require_loop
make_volume "$dir/disk" 64M --label wages
uuid=$(volume_uuid "$dir/disk")
mkdir "$dir/mnt"
at_exit 'end_attachment'

# Not with the sanitizer's runtime preloaded, which mount and others would get, too.
attach ()
{
  timeout $((120 * patience)) "$KEYFENCE" attach --by fuse --socket "$dir/main.nbd" wages "$@"
}

detach ()
{
  timeout $((120 * patience)) "$KEYFENCE" detach "$@"
}

end_attachment ()
{
  touch "$dir/stop"
  [ ! -d "$KEYFENCE_RUNDIR/$uuid.attach" ] || detach --force "$uuid"
  ! mountpoint -q "$dir/mnt" || umount -l "$dir/mnt"
}

fact ()
{
  jq -r ".$1" "$KEYFENCE_RUNDIR/$uuid.attach/state.json"
}

# Who looks after it; nothing when there is nobody.
resident ()
{
  { fuser "$KEYFENCE_RUNDIR/$uuid.attach/lock" 2>/dev/null || true; } | tr -d ' '
}

unattended ()
{
  [ -z "$(resident)" ]
}

loop_devices ()
{
  losetup -n -O BACK-FILE | grep -cF "$KEYFENCE_RUNDIR/$uuid.attach/disk" || true
}

assert_nothing_left ()
{
  [ ! -e "$KEYFENCE_RUNDIR/$uuid.attach" ] || fail "the record is left: $(ls "$KEYFENCE_RUNDIR/$uuid.attach")"
  assert_eq "$(loop_devices)" 0 "loop devices left"
  ! mountpoint -q "$dir/mnt" || fail "it is still mounted"
  ! grep -F "$KEYFENCE_RUNDIR/$uuid.attach" /proc/self/mountinfo || fail "the file is still mounted"
  ! pgrep -f "$KEYFENCE_RUNDIR/$uuid.attach" >/dev/null || fail "a process is left"
}

# write_on FOLDER: files of known contents, each synced before its number is noted, until one fails or there is
# $dir/stop.
write_on ()
{
  local i

  for ((i = 0; ; i++)); do
    [ ! -e "$dir/stop" ] || break
    { head -c $((i * 997 % 20000)) "$dir/random" >"$1/$((i % 200))" && sync "$1/$((i % 200))"; } \
      2>>"$dir/writer.log" || break
    echo "$i" >>"$dir/synced"
  done
  echo "$i files" >>"$dir/writer.log"
}

start_writing ()
{
  rm -f "$dir/stop"
  : >"$dir/synced"
  : >"$dir/writer.log"
  write_on "$dir/mnt" &
  writer=$!
  await_written 20
}

synced_more_than ()
{
  [ "$(wc -l <"$dir/synced")" -gt "$1" ]
}

# await_written N: N more files are synced.
await_written ()
{
  wait_for 60 synced_more_than $(($(wc -l <"$dir/synced") + $1)) || fail "nothing is written: $(cat "$dir/writer.log")"
}

# stop_writing: no program saw an error.
stop_writing ()
{
  touch "$dir/stop"
  wait "$writer"
  assert_match "$(cat "$dir/writer.log")" '^[0-9]+ files$' "what the writer saw"
}

# assert_written: the last of each file that was synced, whole.
assert_written ()
{
  tail -n 150 "$dir/synced" | while read -r i; do
    head -c $((i * 997 % 20000)) "$dir/random" | cmp - "$dir/mnt/$((i % 200))" || fail "file $i was synced and is lost"
  done
}

random_file "$dir/random" 20000 1

# ---- what is refused -------------------------------------------------------------------------------------
expect_fail 1 'is not served: start it with keyfence serve' "$KEYFENCE" attach "$dir/disk" "$dir/dev"
start_server "$dir/disk" "${fast[@]}"
expect_fail 2 'DEVICE\|MOUNTPOINT is missing' "$KEYFENCE" attach wages
expect_fail 2 'attach: --reconnect 0: from 1s' attach "$dir/dev" --reconnect 0
expect_fail 2 'attach: --connections: .* 1 to 16' attach "$dir/dev" --connections 17
expect_fail 2 'is no folder: --options are for what is mounted' attach "$dir/dev" --options ro
expect_fail 2 'disk exists: expected a name for the device that is still free, or a folder' attach "$dir/disk"
expect_fail 1 'no/such: .*No such file' attach "$dir/no/such/dev"
expect_fail 2 'goes with --by nbd only' attach /dev/nbd0
mkdir -m 777 "$dir/open"
mkdir "$dir/open/mnt"
expect_fail 2 'others may write to the folder .*/open ' attach "$dir/open/dev"
expect_fail 2 'others may write to the folder .*/open ' attach "$dir/open/mnt"
mkdir -m 1777 "$dir/sticky"
mkdir "$dir/sticky/mnt"
chown 65534 "$dir/sticky/mnt"
expect_fail 2 'sticky/mnt belongs to user 65534, who can replace it' attach "$dir/sticky/mnt"
chown 0 "$dir/sticky/mnt"
expect_fail 1 'there is no file system on the disk' attach "$dir/sticky/mnt"
expect_fail 1 'there is no file system on the disk' attach "$dir/mnt"
# Not even a server is believed a uuid that would lead elsewhere.
jq -nc --arg path "$dir/disk" '{volume: "../../x", path: $path, size_bytes: 67108864, read_only: false}' |
  nc -lU "$dir/control" >/dev/null &
wait_for 10 test -S "$dir/control" || fail "nobody listens"
expect_fail 1 'status lacks its uuid' "$KEYFENCE" attach --by fuse --socket "$dir/main.nbd" "$dir/control" "$dir/dev"
expect_fail 1 'nothing called wages is attached' detach wages
expect_fail 2 'is no socket: the volume.s NBD server must listen' \
  "$KEYFENCE" attach --by fuse wages "$dir/dev" --socket "$dir/disk"
assert_nothing_left

# ---- a device ---------------------------------------------------------------------------------------------
attach "$dir/dev" --json >"$dir/facts.json" 2>"$dir/output"
# A folder to mount on that is not there must not pass for one.
grep -qF "warning: $dir/dev is a name of the device now, and nothing is mounted" "$dir/output" || fail "no warning"
assert_json "$(cat "$dir/facts.json")" '.by == "fuse" and (.device | startswith("/dev/loop")) and .fenced == false'
assert_eq "$(readlink "$dir/dev")" "$(fact device)" "where the name leads"
assert_eq "$(blockdev --getss "$dir/dev") $(blockdev --getsize64 "$dir/dev")" "4096 67108864" "sector size and size"
assert_eq "$(stat -c %a "$KEYFENCE_RUNDIR/$uuid.attach")" 700 "mode of the record's folder"
expect_fail 1 "is attached already, as .*process $(resident) looks after it" attach "$dir/other"
# A label is what anybody may have written on a disk.
cp -r "$KEYFENCE_RUNDIR/$uuid.attach" "$KEYFENCE_RUNDIR/other.attach"
jq '.volume = "other" | .path = "/no" | .device = "/dev/no" | .link = "/no"' "$KEYFENCE_RUNDIR/$uuid.attach/state.json" \
  >"$KEYFENCE_RUNDIR/other.attach/state.json"
expect_fail 2 'several attached volumes are called wages' detach wages
rm -r "$KEYFENCE_RUNDIR/other.attach"
# Many writes at a time are each their own; a hole reads as zeros.
random_file "$dir/bulk" 8M
dd if="$dir/bulk" of="$dir/dev" bs=1M oflag=direct conv=notrunc status=none
dd if="$dir/bulk" of="$dir/dev" bs=1M seek=8 conv=notrunc,fsync status=none
nbdcopy "$uri" "$dir/copy"
cmp -n 8M "$dir/bulk" "$dir/copy" || fail "what was written to the device is not on the disk"
cmp -n 8M -i 0:8M "$dir/bulk" "$dir/copy" || fail "what was written by the page cache is not on the disk"
fallocate -p -o 1M -l 1M "$KEYFENCE_RUNDIR/$uuid.attach/disk"
nbd_io "read 1M 1M 0"
mkfs.ext4 -q "$dir/dev"
exec 9<"$dir/dev"
expect_fail 1 "is in use: .*process $$ \(" detach "$dir/dev"
exec 9<&-
detach "$dir/dev"
assert_nothing_left
[ ! -L "$dir/dev" ] || fail "the name is left"

# ---- where it is started, and who listens to it ---------------------------------------------------------------
mount -t tmpfs none "$dir/mnt"
ln -s "$KEYFENCE_RUNDIR" "$dir/rundir"
(cd "$dir/mnt" && KEYFENCE_RUNDIR=$dir/rundir attach ../dev >"$dir/output")
umount "$dir/mnt" || fail "the folder that it was started in is busy"
detach "$dir/dev"
assert_nothing_left
# shellcheck disable=SC2216  # it is there to end
attach --foreground "$dir/dev" 2>&1 | sleep 0.01 &
wait_for 30 test -L "$dir/dev" || fail "it is not attached"
sleep 0.5
[ -n "$(resident)" ] || fail "it has ended with who listened to it"
detach "$dir/dev"
assert_nothing_left

# ---- a file system, and its server's ends -------------------------------------------------------------------
attach "$dir/mnt" --options noatime >"$dir/output"
grep ' noatime\| rw,noatime' /proc/self/mountinfo | grep -F "$dir/mnt" >/dev/null || fail "the options were not taken"
start_writing
for _ in 1 2 3; do
  kill_server
  sleep 0.2
  start_server "$dir/disk" "${fast[@]}"
  await_written 10
  stop_server
  sleep 0.2
  start_server "$dir/disk" "${fast[@]}"
  await_written 10
done
stop_writing
assert_written

# ---- everybody is told to end at once, as when a system is shut down -------------------------------------------
random_file "$dir/unsynced" 4M 7
cp "$dir/unsynced" "$dir/mnt/unsynced"
kill -TERM "$(fact helper_pid)" "$(resident)"
wait_for 60 test ! -e "$KEYFENCE_RUNDIR/$uuid.attach" || fail "it is still attached"
assert_nothing_left
attach "$dir/mnt" --options noatime >"$dir/output"
cmp "$dir/unsynced" "$dir/mnt/unsynced" || fail "what was not synced is lost"

# ---- in use ---------------------------------------------------------------------------------------------------
exec 9>"$dir/mnt/held"
expect_fail 1 "mnt is busy: .*process $$ \(" detach "$dir/mnt"
mountpoint -q "$dir/mnt" || fail "it was unmounted all the same"
exec 9>&-

# ---- who looks after it is killed: the same command takes it over -------------------------------------------------
start_writing
kill -KILL "$(resident)"
wait_for 10 unattended || fail "who looks after it does not die"
await_written 5
expect_fail 1 'the process that looked after it is gone' attach "$dir/dev"
attach "$dir/mnt" >"$dir/output"
[ -n "$(resident)" ] || fail "nobody looks after it"
await_written 5
stop_writing
assert_written

# ---- the daemon is killed: the disk is gone, and attaching again brings it back -------------------------------------
start_writing
kill -KILL "$(fact helper_pid)"
wait_for 60 dead "$writer" || fail "the writer sees no error"
grep -qiE 'input/output error|read-only|not connected|aborted' "$dir/writer.log" || fail "the writer's error: $(cat "$dir/writer.log")"
wait_for 10 unattended || fail "who looked after it does not end"
attach "$dir/mnt" >"$dir/output"
assert_eq "$(loop_devices)" 1 "loop devices"
assert_written

# ---- the fence ------------------------------------------------------------------------------------------------------
start_writing
mv "$kek" "$dir/away"
await_state fenced
wait_for 60 dead "$writer" || fail "the writer sees no error"
grep -qiE 'input/output error|read-only' "$dir/writer.log" || fail "the writer's error: $(cat "$dir/writer.log")"
detach wages
assert_nothing_left
expect_fail 3 'the volume is fenced, so what is on it can.t be mounted' attach "$dir/mnt"
assert_nothing_left
expect_fail 3 'warning: the volume is fenced: the device refuses all I/O' attach "$dir/dev"
detach "$dir/dev"
mv "$dir/away" "$kek"
await_state active
attach "$dir/mnt" >"$dir/output"
assert_written
detach "$dir/mnt"
attach "$dir/dev" >"$dir/output"
e2fsck -fn "$dir/dev" >"$dir/fsck.log" 2>&1 || fail "e2fsck is not content: $(cat "$dir/fsck.log")"
detach "$uuid"

# ---- another volume at the server's socket gets nothing ----------------------------------------------------------------
make_volume "$dir/two" 64M
attach "$dir/dev" >"$dir/output"
kill_server
start_server "$dir/two"
dd if="$dir/bulk" of="$dir/dev" bs=64k count=1 seek=1000 oflag=direct conv=notrunc status=none &
writer=$!
sleep 1
kill -0 "$writer" || fail "a write did not wait for its own server"
nbdcopy "$uri" "$dir/copy"
! cmp -s -n 64K -i 0:65536000 "$dir/bulk" "$dir/copy" || fail "a write came to another volume"
stop_server
start_server "$dir/disk" "${fast[@]}"
wait "$writer" || fail "the write saw an error"
detach "$dir/dev"

# ---- the server is gone, and does not come back -----------------------------------------------------------------------
attach "$dir/mnt" >"$dir/output"
start_writing
kill_server
sleep 1
detach --force "$dir/mnt"
wait_for 60 dead "$writer" || fail "the writer sees no error"
assert_nothing_left
start_server "$dir/disk" "${fast[@]}"

# ---- killed at any moment of attaching ----------------------------------------------------------------------------------
for ((i = 0; i < 12; i++)); do
  "$KEYFENCE" attach --by fuse --socket "$dir/main.nbd" --foreground wages "$dir/mnt" >"$dir/output" 2>&1 &
  pid=$!
  sleep "0.0$((i / 10))$((i % 10))"
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
  attach "$dir/mnt" >"$dir/output"
  assert_eq "$(loop_devices)" 1 "loop devices after a kill"
  mountpoint -q "$dir/mnt" || fail "it is not mounted"
  detach wages
  assert_nothing_left
done
stop_server
