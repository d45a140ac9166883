#!/bin/bash
# Requests hang in the kernel, as transfers of rings: the key is wiped at once all the same and is nowhere
# in memory; clients that come are refused at once; those that leave leave the rings their buffers until the
# kernel has given the last transfer back; a server that is told to end does; then the disk is as it was.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require fio jq nbdfuse nc openssl xxd
require_fuse
[[ $(ldd "$plugin") == *liburing* ]] || skip "built without liburing"
make_volume "$dir/store" 64M
export_volume_key "$dir/store" "$dir/volume-key"
export KEYFENCE_DEBUG_DUMPABLE=1 # so that its memory can be searched

# The disk under the volume: a FUSE file whose server can be stopped.
mkdir "$dir/fuse"
"$NBDKIT" -f -P "$dir/store.pid" -U "$dir/store.nbd" file "$dir/store" >"$dir/store.log" 2>&1 &
store=$!
at_exit "kill -CONT $store; kill $store"
wait_for 20 test -s "$dir/store.pid" || fail "no store"
nbdfuse "$dir/fuse/disk" "nbd+unix:///?socket=$dir/store.nbd" >"$dir/nbdfuse.log" 2>&1 &
at_exit "umount -l '$dir/fuse' 2>/dev/null"
wait_for 20 test -e "$dir/fuse/disk" || fail "nbdfuse: $(cat "$dir/nbdfuse.log")"

# load: mixed requests behind the first 2 MiB; errors do not end it.  One at a time on each connection: when a
# client leaves several, nbdkit before 1.34 may abort (its assertion "sock >= 0").
load ()
{
  fio --thread --name=load --ioengine=nbd --uri="$uri" --rw=randrw --bssplit=4k/40:64k/30:1M/30 --numjobs=16 \
    --iodepth=1 --offset=2M --size=60M --time_based --runtime=600 --continue_on_error=all \
    --error_dump=0 --output="$dir/fio.out" >"$dir/fio.log" 2>&1 &
  fio_pid=$!
  wait_for 30 at_work || fail "no load: $(cat "$dir/fio.log")"
}

# Nearly all of the workers.
at_work ()
{
  [ "$(rings | wc -l)" -ge 28 ]
}

rings ()
{
  find "/proc/$server_pid/fd" -lname 'anon_inode:\[io_uring\]' -printf '%f\n'
}

# Workers that are in io_uring_enter.  (FUSE itself takes a dozen transfers and makes others wait.)
in_kernel ()
{
  cat "/proc/$server_pid/task"/*/syscall 2>/dev/null | grep -c '^426 ' || true
}

many_in_kernel ()
{
  [ "$(in_kernel)" -ge 12 ]
}

no_rings ()
{
  [ -z "$(rings)" ]
}

hang ()
{
  kill -STOP "$store"
  wait_for 20 many_in_kernel || fail "only $(in_kernel) workers hang in the kernel"
}

nbdkit_options=(-t 2)
start_server "$dir/fuse/disk" check-interval=1h engine=uring
assert_json "$(server_status_json)" '.engine == "uring"' "engine"
nbd_io "write 0 2M 0x41" flush
load
hang
hung=$(in_kernel)
start=$(date +%s%3N)
answer=$(server_command fence)
took_ms=$(($(date +%s%3N) - start))
assert_json "$answer" '.state == "fenced"'
[ "$took_ms" -lt $((1000 * patience)) ] || fail "the answer took $took_ms ms"
us=$(jq .last_wipe_us <<<"$answer")
[ -n "${KEYFENCE_WRAPPER:-}${KEYFENCE_PRELOAD:-}" ] || [ "$us" -lt 10000 ] || fail "the wipe took $us us"
printf 'wiped in %s us with %s workers in the kernel\n' "$us" "$hung"
many_in_kernel || fail "the fence did not leave the transfers where they were"
if [ "$(id -u)" -eq 0 ] && [ -z "${KEYFENCE_WRAPPER:-}${KEYFENCE_PRELOAD:-}" ]; then
  "$helpers/key-scan" "$dir/volume-key" "$server_pid" >"$dir/scan.log" ||
    fail "while transfers hang there is still: $(cat "$dir/scan.log")"
fi
assert_refused

# Its clients are gone, their transfers are not.
kill -KILL "$fio_pid"
wait "$fio_pid" 2>/dev/null || true
sleep 1
many_in_kernel || fail "rings were closed under their transfers: $(in_kernel) are left"
refused=$(server_status_json | jq .io.refused)
kill -CONT "$store"
wait_for 30 no_rings || fail "rings stay behind: $(rings | wc -l)"
assert_json "$(server_status_json)" ".io.refused > $refused" "what hung ended with the error"
assert_json "$(server_command unfence)" '.state == "active"'
nbd_io "read 0 2M 0x41" "write 1M 1M 0x42" "read 1M 1M 0x42"

# Through the page cache the kernel waits for the disk where no signal ends it, and with it the process.
if [ "${KEYFENCE_CACHE:-}" = writeback ]; then
  stop_server
  exit 0
fi

# The server is told to end: it does, and what the kernel still has of it harms nothing.
load
hang
kill -TERM "$server_pid"
wait_for 30 dead "$server_pid" || fail "it does not end while the disk hangs"
status=0
wait "$server_pid" || status=$?
unset "server_pids[main]"
assert_eq "$status" 0 "exit status"
kill -CONT "$store"
kill "$fio_pid" 2>/dev/null || true
wait "$fio_pid" || true
# The kernel lets go of the file when it has done with the transfers.
wait_for 20 start_named main "$dir/fuse/disk" engine=uring || fail "the volume can't be served again: $(tail -n 1 "$dir/main.log")"
nbd_io "read 0 1M 0x41" "read 1M 1M 0x42"
stop_server
