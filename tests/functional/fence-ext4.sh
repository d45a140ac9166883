#!/bin/bash
# A mounted ext4 file system is fenced while it is written to: what was synced before is there when the
# disk is back, and the file system is whole.  With on-fence=stall it goes on after a short fence, and no
# program on it sees an error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require e2fsck jq mke2fs nbdfuse nc
require_fuse
require_loop
make_volume "$dir/disk" 64M
mkdir "$dir/mnt"

mount_disk ()
{
  fuse_attach
  mount -t ext4 -o errors=remount-ro "$device" "$dir/mnt" 2>"$dir/mount.log" || {
    fuse_detach
    skip "ext4 can't be mounted here: $(cat "$dir/mount.log")"
  }
  at_exit "umount -l '$dir/mnt' 2>/dev/null"
}

unmount_disk ()
{
  umount "$dir/mnt"
  fuse_detach
}

# assert_whole: e2fsck finds nothing, on a disk that was unmounted well.
assert_whole ()
{
  fuse_attach
  e2fsck -fn "$device" >"$dir/fsck.log" 2>&1 || fail "e2fsck is not content: $(cat "$dir/fsck.log")"
  fuse_detach
}

# write_on FOLDER: files with known contents, each synced before its name is noted, until one fails or
# FOLDER/../stop is there.
write_on ()
{
  local i

  for ((i = 0; ; i++)); do
    [ ! -e "$dir/stop" ] || break
    { head -c $((i * 997 % 20000)) "$dir/random" >"$1/$i" && sync "$1/$i" && sync "$1"; } 2>>"$dir/writer.log" || break
    echo "$i" >>"$dir/synced"
    sleep 0.01
  done
  echo "$i files" >>"$dir/writer.log"
}

# assert_written FOLDER: every file that was noted, whole.
assert_written ()
{
  local i

  while read -r i; do
    head -c $((i * 997 % 20000)) "$dir/random" | cmp - "$1/$i" || fail "file $i was synced and is lost"
  done <"$dir/synced"
  printf '%d files were synced and are there\n' "$(wc -l <"$dir/synced")"
}

synced_more_than ()
{
  [ "$(wc -l <"$dir/synced")" -gt "$1" ]
}

random_file "$dir/random" 20000 1
make_tree "$dir/tree"
truncate -s 64M "$dir/image"
mke2fs -q -t ext4 -d "$dir/tree" "$dir/image"
start_server "$dir/disk" "${fast[@]}"
nbdcopy --flush "$dir/image" "$uri"

# ---- errors --------------------------------------------------------------------------------------------
for round in 1 2; do
  mount_disk
  mkdir "$dir/mnt/round-$round"
  : >"$dir/synced"
  : >"$dir/writer.log"
  write_on "$dir/mnt/round-$round" &
  writer=$!
  wait_for 30 synced_more_than 20 || fail "the writer does not write: $(cat "$dir/writer.log")"
  mv "$kek" "$dir/away"
  await_state fenced
  wait_for 60 dead "$writer" || fail "the writer sees no error"
  wait "$writer"
  grep -qiE 'input/output error|read-only' "$dir/writer.log" || fail "the writer's error: $(cat "$dir/writer.log")"
  umount "$dir/mnt" 2>"$dir/umount.log" || umount -l "$dir/mnt"
  fuse_detach
  mv "$dir/away" "$kek"
  await_state active
  mount_disk
  assert_written "$dir/mnt/round-$round"
  diff -r --no-dereference --exclude=lost+found --exclude='round-*' "$dir/tree" "$dir/mnt" || fail "files are not as they were"
  unmount_disk
  assert_whole
done
stop_server

# ---- stalling ------------------------------------------------------------------------------------------
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=$((120 * patience))s
mount_disk
mkdir "$dir/mnt/stall"
: >"$dir/synced"
: >"$dir/writer.log"
write_on "$dir/mnt/stall" &
writer=$!
for round in 1 2 3; do
  written=$(wc -l <"$dir/synced")
  wait_for 30 synced_more_than $((written + 5)) || fail "the writer does not write: $(cat "$dir/writer.log")"
  mv "$kek" "$dir/away"
  await_state fenced
  written=$(wc -l <"$dir/synced")
  sleep $((3 * patience))
  # One may have been synced just before the gate closed, and be noted just behind it.
  ! synced_more_than $((written + 1)) || fail "it is written while fenced"
  assert_json "$(server_status_json)" '.state == "fenced" and .last_wipe_us != null'
  mv "$dir/away" "$kek"
  await_state active
done
wait_for 60 synced_more_than $((written + 5)) || fail "the file system does not go on: $(cat "$dir/writer.log")"
touch "$dir/stop"
wait "$writer"
assert_match "$(cat "$dir/writer.log")" '^[0-9]+ files$' "what the writer saw"
assert_json "$(server_status_json)" '.io.refused == 0 and .fences == 3'
assert_written "$dir/mnt/stall"
unmount_disk
assert_whole
stop_server

start_server "$dir/disk" cache=writeback
mount_disk
assert_written "$dir/mnt/stall"
unmount_disk
stop_server
