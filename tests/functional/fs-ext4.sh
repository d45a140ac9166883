#!/bin/bash
# An ext4 file system made from a real directory tree goes in through NBD, is mounted, changed,
# unmounted, found clean by fsck and compared; and again after a restart of the server.
. "$(dirname "$0")/lib.sh"
require nbdcopy nbdfuse mke2fs
require_fuse
require_loop
make_tree "$dir/tree"
truncate -s 64M "$dir/image"
mke2fs -q -t ext4 -d "$dir/tree" "$dir/image"
make_volume "$dir/disk" 64M
start_server "$dir/disk"
nbdcopy --flush "$dir/image" "$uri"

mkdir "$dir/mnt"
mount_disk ()
{
  fuse_attach
  mount -t ext4 "$@" "$device" "$dir/mnt" 2>"$dir/mount.log" || {
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
mount_disk
assert_same_tree "$dir/tree" "$dir/mnt"
for place in "$dir/tree" "$dir/mnt"; do
  rm -r "$place/many"
  mkdir "$place/new"
  cp -r "$here" "$place/new/source"
  random_file "$place/new/random" 9M 2
  dd if="$place/random" of="$place/hole" bs=1000 count=77 seek=1001 conv=notrunc status=none
  mv "$place/empty folder" "$place/renamed"
  chmod 0711 "$place/renamed"
  find "$place" -exec touch -h -d '2003-02-01 01:02:03' {} +
done
sync -f "$dir/mnt"
unmount_disk
stop_server

start_server "$dir/disk" cache=writeback
nbdcopy "$uri" "$dir/image"
fsck.ext4 -fn "$dir/image" >"$dir/fsck.log" 2>&1 || fail "fsck is not content"
mount_disk -o ro
assert_same_tree "$dir/tree" "$dir/mnt"
unmount_disk
stop_server
assert_absent "$dir/disk" "assert_same_tree"
