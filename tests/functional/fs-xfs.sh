#!/bin/bash
# An XFS file system is made on the disk itself, filled from a real directory tree, mounted, changed,
# unmounted, found clean by xfs_repair and compared after a restart of the server.
. "$(dirname "$0")/lib.sh"
require nbdfuse mkfs.xfs xfs_repair
require_fuse
require_loop
make_tree "$dir/tree"
make_volume "$dir/disk" 320M
start_server "$dir/disk"
fuse_attach
mkfs.xfs -q -f "$device" >"$dir/mkfs.log" 2>&1 || fail "mkfs.xfs"
mkdir "$dir/mnt"
mount -t xfs "$device" "$dir/mnt" 2>"$dir/mount.log" || {
  fuse_detach
  stop_server
  skip "XFS can't be mounted here: $(cat "$dir/mount.log")"
}
at_exit "umount -l '$dir/mnt' 2>/dev/null"
cp -a "$dir/tree/." "$dir/mnt"
assert_same_tree "$dir/tree" "$dir/mnt"
for place in "$dir/tree" "$dir/mnt"; do
  rm -r "$place/many"
  random_file "$place/more" 20M 2
  touch -d '2003-02-01 01:02:03' "$place/more"
done
sync -f "$dir/mnt"
umount "$dir/mnt"
fuse_detach
stop_server

start_server "$dir/disk" cache=writeback
fuse_attach
xfs_repair -n "$device" >"$dir/repair.log" 2>&1 || fail "xfs_repair is not content"
mount -t xfs -o ro,norecovery "$device" "$dir/mnt"
assert_same_tree "$dir/tree" "$dir/mnt"
umount "$dir/mnt"
fuse_detach
stop_server
assert_absent "$dir/disk" "assert_same_tree"
