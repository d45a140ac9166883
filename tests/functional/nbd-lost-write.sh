#!/bin/bash
# The kernel tells a write that it has lost once to each open file: where another thread has been told, and has
# not yet said so, a flush fails all the same.
. "$(dirname "$0")/lib.sh"
require python3
require_loop
mkdir "$dir/small"
mount -t tmpfs -o size=24m keyfence-test "$dir/small" 2>"$dir/mount.log" || skip "no tmpfs can be mounted"
at_exit "umount -l $dir/small"
truncate -s 64M "$dir/small/backing"
device=$(losetup -f --show "$dir/small/backing")
at_exit "losetup -d $device"
make_kek
keyfence create --key "$key" "$device" >"$dir/create.log" 2>&1

# told_instead: a flush in the server's own open file, of which the server is told nothing: true when it failed.
told_instead ()
{
  python3 - "$server_pid" "$device" <<'PYTHON'
import ctypes, errno, os, sys
pid, device = int(sys.argv[1]), sys.argv[2]
PIDFD_GETFD = 438  # pidfd_getfd(2), which Python has no name for
libc = ctypes.CDLL(None, use_errno=True)
process = os.pidfd_open(pid)
for name in os.listdir(f"/proc/{pid}/fd"):
    if os.readlink(f"/proc/{pid}/fd/{name}") != device:
        continue
    info = open(f"/proc/{pid}/fdinfo/{name}").read()
    flags = int(next(line.split()[1] for line in info.splitlines() if line.startswith("flags:")), 8)
    if flags & os.O_ACCMODE != os.O_RDWR:
        continue
    fd = libc.syscall(PIDFD_GETFD, process, int(name), 0)
    if fd < 0:
        sys.exit(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    try:
        os.fdatasync(fd)
    except OSError as e:
        sys.exit(0 if e.errno == errno.EIO else f"fdatasync: {e}")
    sys.exit("nothing was lost")
sys.exit("the server has no open file for its data")
PYTHON
}

start_server "$device" cache=writeback
nbd_io "write 0 4M 0x41" "flush" "write 8M 32M 0x42"
told_instead 2>"$dir/told.log" || fail "the device does not lose the write: $(cat "$dir/told.log")"
nbd_io "!EIO flush"
mount -o remount,size=96m "$dir/small"
nbd_io "!EIO flush" "!EIO write 7M 4k 0x43 fua"
kill_server
start_server "$device" cache=writeback
nbd_io "read 0 4M 0x41" "write 0 4k 0x44" "flush" "read 0 4k 0x44"
stop_server
