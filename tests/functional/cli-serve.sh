#!/bin/bash
# keyfence serve and status: a server starts, tells its state, is found by every name, and is refused
# a second time.
. "$(dirname "$0")/lib.sh"
require nbdkit nbdinfo jq cryptsetup

cd "$dir"
make_volume disk.img 8M --label 'my disk'
uuid=$(volume_uuid disk.img)
pid=''
at_exit 'kill_pid'

# Servers started here are none of the shell's children.
kill_pid ()
{
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait_for 20 dead "$pid"
  pid=''
}

# Nothing is served yet.
expect_fail 1 'disk.img is not served: start it with keyfence serve disk.img' keyfence status disk.img
expect_fail 1 "volume $uuid is not served" keyfence status "$uuid"
expect_fail 1 'nothing called "my disk" is served' keyfence status 'my disk'
expect_fail 1 'no-such-file does not exist' keyfence status ./no-such-file

# --dry-run prints what would be run, quoted.
keyfence serve disk.img --dry-run >output
assert_match "$(cat output)" "^nbdkit .*--unix=$KEYFENCE_RUNDIR/$uuid.nbd .*path=disk.img" "dry run"
keyfence serve "it's" --socket /s --dry-run --read-only discard=on -- --tls=require >output
assert_eq "$(sed "s| [^ ]*keyfence[^ ]* 'path| PLUGIN 'path|" output)" \
  "nbdkit --unix=/s --tls=require PLUGIN 'path=it'\\''s' read-only=yes discard=on" "dry run"
keyfence serve disk.img --port 10809 --foreground --pidfile p --dry-run >output
assert_match "$(cat output)" "^nbdkit --foreground --ipaddr=127.0.0.1 --port=10809 --pidfile=p " "dry run"
[ ! -e "$KEYFENCE_RUNDIR/$uuid.nbd" ] || fail "--dry-run made a socket"

# Wrong command lines.
expect_fail 2 'there is no parameter "chache"; known are: cache, engine' keyfence serve disk.img chache=none
expect_fail 2 '"foo" is no parameter: they are written NAME=VALUE' keyfence serve disk.img foo
expect_fail 2 'parameter cache: "maybe"' keyfence serve disk.img cache=maybe
expect_fail 2 '"31d" is not between 0 and 30d' keyfence serve disk.img grace=31d
expect_fail 2 '"10ms" is not between 100ms and 1d' keyfence serve disk.img check-interval=10ms
expect_fail 2 'there is no parameter "ready-fd"' keyfence serve disk.img ready-fd=3
expect_fail 2 'exclude each other' keyfence serve disk.img --port 1 --socket s
expect_fail 2 'is not a number from 1 to 65535' keyfence serve disk.img --port 70000
expect_fail 2 'a socket has at most 107 bytes' keyfence serve disk.img --socket "/$(printf '%0120d' 0)"
truncate -s 4M zeros
expect_fail 1 '^keyfence: serve: zeros' keyfence serve zeros
expect_fail 1 '^keyfence: serve: .*zeros' keyfence serve zeros --socket s
expect_fail 1 'nothing does not exist, and neither does .*/nothing\.conf$' keyfence serve nothing
expect_fail 1 '/nothing does not exist$' keyfence serve ./nothing
expect_fail 2 'zeros exists and is no socket' keyfence serve disk.img --socket zeros
expect_fail 1 'no/folder/s: the folder for it does not exist: make it first' \
  keyfence serve disk.img --socket no/folder/s
expect_fail 1 'nbdkit is not installed' env PATH=/nonexistent "$KEYFENCE" serve disk.img

# It does not return before nbdkit's first process has ended, which takes its parent's end for a
# signal to stop; and what nbdkit says is heard.
mkdir fake
cat >fake/nbdkit <<'EOF'
#!/bin/bash
for word in "$@"; do
  case $word in
    ready-fd=*) fd=${word#*=} ;;
  esac
done
echo 'nbdkit: a remark' >&2
case ${FAKE:-} in
  silent) exit 1 ;;
  says) echo 'nbdkit: error: the reason' >&2; exit 1 ;;
  error) echo '{"error":"why not"}' >&"$fd"; exit 1 ;;
  stays) echo "{\"state\":\"active\",\"pid\":$$}" >&"$fd"; exec sleep 60 ;;
esac
echo '{"state":"active","pid":1}' >&"$fd"
sleep 0.5
touch ended
EOF
chmod +x fake/nbdkit
fake_serve ()
{
  FAKE=$1 PATH=$dir/fake:$PATH "$KEYFENCE" serve disk.img
}
fake_serve forks >output 2>stderr
[ -e ended ] || fail "serve returned before nbdkit's first process had ended"
assert_eq "$(cat stderr)" 'nbdkit: a remark' "what nbdkit said"
expect_fail 1 '^keyfence: serve: nbdkit did not start: see what it says above' fake_serve silent
expect_fail 1 '^keyfence: serve: the reason$' fake_serve says
expect_fail 1 '^keyfence: serve: why not$' fake_serve error
expect_fail 2 'keeps it in the foreground: give keyfence serve --foreground' fake_serve stays

not_under_wrapper "the server is started by keyfence itself, without the wrapper"

# In the background: ready when it says so.
keyfence serve disk.img >output
pid=$(sed -n 's/^pid: *\([0-9]*\) .*/\1/p' output)
uri=$(sed -n 's/^uri: *//p' output)
grep -qE '^state: +active$' output || fail "not active: $(cat output)"
grep -qE '^size: +8 MiB$' output || fail "no size"
assert_eq "$uri" "nbd+unix:///?socket=$KEYFENCE_RUNDIR/$uuid.nbd" "URI"
assert_eq "$(nbdinfo --size "$uri")" 8388608 "size by NBD"

# Every name leads to it.
for name in disk.img "$dir/disk.img" "$uuid" "${uuid^^}" 'my disk' "$KEYFENCE_RUNDIR/$uuid.sock"; do
  keyfence status "$name" >output || fail "status $name: exit status $?"
  grep -qE "^volume: +$uuid\$" output || fail "status $name: $(cat output)"
  grep -qE '^state: +active' output || fail "status $name: $(cat output)"
done
status=$(keyfence status --json disk.img)
assert_json "$status" '.state == "active" and .label == "my disk" and .size_bytes == 8388608
  and .reason and has("detail") and has("checks") and has("io") and has("lease_until")
  and .read_only == false'
assert_eq "$(jq .pid <<<"$status")" "$pid" "pid"
expect_fail 1 'is it keyfence.s control socket' \
  keyfence status "$KEYFENCE_RUNDIR/$uuid.nbd"

# One volume has one server; the holder is named.
expect_fail 1 "disk.img is in use by process $pid" keyfence serve disk.img
expect_fail 1 "disk.img is in use by process $pid" keyfence serve disk.img --socket second
expect_fail 1 "in use by process $pid" keyfence destroy --yes disk.img
expect_fail 1 "in use by process $pid" keyfence create --force disk.img --size 1M --key "$key"
keyfence header-backup disk.img backup >output || fail "no backup while it is served"
expect_fail 1 "in use by process $pid" keyfence header-restore disk.img backup

# Stopped, it is not served; the socket it left behind is no obstacle, nor after SIGKILL.
kill_pid
expect_fail 1 'is not served|no server listens' keyfence status disk.img
for signal in TERM KILL; do
  keyfence serve disk.img --json >output
  pid=$(jq .pid output)
  assert_json "$(cat output)" '.state == "active" and (.uri | startswith("nbd+unix:///?socket="))'
  kill -$signal "$pid"
  wait_for 20 dead "$pid"
  expect_fail 1 'is not served|no server listens' keyfence status disk.img
done
pid=''

# Other places: a relative socket with a blank in its name, a pid file; without a control socket.
keyfence serve disk.img --socket 'my socket' --pidfile pidfile --read-only control=none >output
pid=$(cat pidfile)
uri=$(sed -n 's/^uri: *//p' output)
assert_eq "$uri" "nbd+unix:///?socket=${dir// /%20}/my%20socket" "URI with a blank"
assert_eq "$(nbdinfo --json "$uri" | jq '.exports[0].is_read_only')" true "read-only"
kill_pid
keyfence serve disk.img control=none >output
pid=$(sed -n 's/^pid: *\([0-9]*\) .*/\1/p' output)
elsewhere="in use by process $pid .nbdkit., which has no control socket in $KEYFENCE_RUNDIR: name the socket"
expect_fail 1 "$elsewhere" keyfence status disk.img
! grep 'stop that one' "$dir/output" || fail "status tells to stop what it was asked about"
kill_pid
# Who only reads shares the volume, and is there all the same.
keyfence serve disk.img --read-only control=none >output
pid=$(sed -n 's/^pid: *\([0-9]*\) .*/\1/p' output)
expect_fail 1 "in use by process $pid .nbdkit., which has no control socket" keyfence status disk.img
kill_pid
# Without a folder for sockets it needs one to be named, and is not quietly out of the other commands' reach.
nowhere=/nonexistent/folder
expect_fail 1 'set KEYFENCE_RUNDIR to an absolute path' env KEYFENCE_RUNDIR=$nowhere "$KEYFENCE" serve disk.img
KEYFENCE_RUNDIR=$nowhere keyfence serve disk.img --socket "$dir/s" --pidfile pidfile >output 2>stderr
pid=$(cat pidfile)
assert_match "$(cat stderr)" 'warning: there is no folder for the control socket' "warning"
kill_pid
KEYFENCE_RUNDIR=$nowhere keyfence serve disk.img --socket "$dir/s" --pidfile pidfile control=none >output 2>stderr
pid=$(cat pidfile)
assert_eq "$(cat stderr)" '' "what serve said with control=none"
kill_pid
keyfence serve disk.img control="$dir/elsewhere" >output
pid=$(sed -n 's/^pid: *\([0-9]*\) .*/\1/p' output)
keyfence status "$dir/elsewhere" >output || fail "status by a socket elsewhere"
kill_pid

# Without access to its key it is served, fenced: exit code 3, here and of status; it comes back.
mv kek kek.away
status=0
keyfence serve disk.img check-interval=100ms >output 2>stderr || status=$?
assert_eq "$status" 3 "exit status of a fenced start"
pid=$(sed -n 's/^pid: *\([0-9]*\) .*/\1/p' output)
grep -qE '^state: +fenced$' output || fail "not fenced: $(cat output)"
grep -qE '^reason: +not_found$' output || fail "no reason: $(cat output)"
grep -qE '^detail: +.*kek' output || fail "no detail: $(cat output)"
expect_fail 3 '^reason: +not_found' keyfence status disk.img
mv kek.away kek
wait_for 30 keyfence status disk.img >output || fail "it did not come back"
kill_pid

# Unless the key is required: then nothing is left running.
mv kek kek.away
expect_fail 3 'keyfence: serve: .*kek' keyfence serve disk.img require-key=yes
expect_fail 1 'not served|no server' keyfence status disk.img
mv kek.away kek

# In the foreground it becomes nbdkit.
"$KEYFENCE" serve disk.img --foreground --socket fg >"$dir/fg.log" 2>&1 &
pid=$!
wait_for 20 test -S "$KEYFENCE_RUNDIR/$uuid.sock"
wait_for 20 keyfence status disk.img >output || fail "not served in the foreground"
assert_eq "$(cat /proc/$pid/comm)" nbdkit "name of the process"
kill $pid
wait $pid || fail "nbdkit did not end well"
pid=''
