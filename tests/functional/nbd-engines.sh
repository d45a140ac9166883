#!/bin/bash
# Each engine serves what the others wrote, the status names the one that is truly used, and where
# io_uring is forbidden plain calls serve instead, which is said once.
. "$(dirname "$0")/lib.sh"
unset KEYFENCE_ENGINE KEYFENCE_CACHE # it chooses itself
[[ $(ldd "$plugin") == *liburing* ]] || skip "built without liburing"
"$helpers/without-uring" EPERM true || skip "no seccomp filter can be installed"
make_volume "$dir/disk" 16M
auto=auto
[ "$(stat -f -c %T "$dir")" != tmpfs ] || auto=sync
large=("write 0 4k 0x41" "write 1M 4M 0x42" "write 6000001 3000000 0x43" "flush"
  "read 0 4k 0x41" "read 1M 4M 0x42" "read 6000001 3000000 0x43")

# expect_engine ENGINE: the status of the server started last.
expect_engine ()
{
  assert_json "$(server_status_json)" ".engine == \"$1\"" "engine"
}

# Rings that the server has.
rings ()
{
  find "/proc/$server_pid/fd" -lname 'anon_inode:\[io_uring\]' | wc -l
}

have_rings ()
{
  [ "$(rings)" -gt 0 ]
}

have_no_rings ()
{
  [ "$(rings)" -eq 0 ]
}

start_server "$dir/disk" engine=uring
if [ "$(jq -r .engine_note <<<"$(server_status_json)")" != null ]; then
  skip "this machine has no io_uring"
fi
assert_eq "$(rings)" 0 "rings before the first request"
nbd_io "${large[@]}"
expect_engine uring
stop_server

for engine in sync auto uring; do
  for cache in none writeback; do
    start_server "$dir/disk" engine=$engine cache=$cache
    nbd_io "read 0 4k 0x41" "read 1M 4M 0x42" "read 6000001 3000000 0x43"
    nbd_io "${large[@]}"
    case $engine-$cache in
      auto-writeback) expect_engine sync ;;
      auto-none) expect_engine $auto ;;
      *) expect_engine $engine ;;
    esac
    assert_json "$(server_status_json)" '.engine_note == null' "no note"
    wait_for 10 have_no_rings || fail "rings outlive their connections"
    stop_server
  done
done

# auto makes no ring for small requests, and one for the worker that has a large one.
repeated ()
{
  local i commands=()

  for ((i = 0; i < $1; i++)); do
    commands+=("$2")
  done
  nbd_io "${commands[@]}" &
  client=$!
}
start_server "$dir/disk"
repeated 4000 "read 1M 64k 0x42"
while alive "$client"; do
  assert_eq "$(rings)" 0 "rings for small requests"
done
wait "$client"
repeated 400 "read 1M 4M 0x42"
[ $auto = sync ] || wait_for 10 have_rings || fail "no ring for large requests"
wait "$client"
stop_server

for error in EPERM ENOSYS; do
  for engine in $auto uring; do
    [ "$engine" != sync ] || continue
    KEYFENCE_WRAPPER="$helpers/without-uring $error ${KEYFENCE_WRAPPER:-}" start_server "$dir/disk" engine="$engine"
    nbd_io "${large[@]}"
    nbd_model own "$uri" 1 100 4
    expect_engine sync
    assert_json "$(server_status_json)" '.engine_note | contains ("io_uring") and contains ("plain calls")' "the note"
    "$KEYFENCE" status "$dir/disk" | grep 'plain calls' >/dev/null || fail "keyfence status does not say it"
    assert_eq "$(grep -c 'io_uring' "$log")" 1 "lines about io_uring in the log"
    stop_server
    rm -f "$log"
  done
done
