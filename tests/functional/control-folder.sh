#!/bin/bash
# The folder of the control sockets is made where it is missing, for an ordinary user too.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 4M
export KEYFENCE_RUNDIR=$dir/another
if [ "$(id -u)" -eq 0 ]; then
  require setpriv
  chown -R 65534:65534 "$dir"
  [ -z "${KEYFENCE_WRAPPER:-}" ] || skip "valgrind's wrapper is taken"
  setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$plugin" ||
    skip "an ordinary user can't reach the build folder"
  KEYFENCE_WRAPPER="setpriv --reuid 65534 --regid 65534 --clear-groups"
fi
start_server "$dir/disk"
assert_eq "$(stat -c %a "$KEYFENCE_RUNDIR")" 700 "mode of the folder"
assert_eq "$(stat -c %a "$control")" 600 "mode of the socket"
assert_json "$(server_status_json)" '.state == "active"'
stop_server
