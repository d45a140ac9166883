#!/bin/bash
# Configuration files: a volume by its name, everywhere; and what is wrong with one is refused, by line.
. "$(dirname "$0")/lib.sh"
require jq nbdinfo

export KEYFENCE_CONFDIR=$dir/conf
mkdir "$KEYFENCE_CONFDIR" "$dir/cwd"
cd "$dir/cwd" # where no file has a volume's name

# conf NAME LINE...: writes the configuration.
conf ()
{
  local name=$1

  shift
  printf '%s\n' "$@" >"$KEYFENCE_CONFDIR/$name.conf"
}

# ---- what it says is what is run --------------------------------------------------------------------
conf wages '# a comment' '' "  path=$dir/wages.kf  " $'check-interval\t=\t10s' 'nbdkit-option = --threads=4' \
  'nbdkit-option = --filter=log' 'uuid = 01234567-89ab-cdef-0123-456789abcdef' 'device = /dev/keyfence/w' \
  'connections = 4' "audit-log = $dir/ä log"
expected="nbdkit --unix=$KEYFENCE_RUNDIR/wages.nbd --threads=4 --filter=log PLUGIN path=$dir/wages.kf check-interval=10s uuid=01234567-89ab-cdef-0123-456789abcdef 'audit-log=$dir/ä log'"
dry_run ()
{
  keyfence serve --dry-run "$@" | sed "s| [^ ]*nbdkit-keyfence-plugin.so | PLUGIN |"
}
assert_eq "$(dry_run wages)" "$expected" "serve NAME"
assert_eq "$(dry_run --config wages)" "$expected" "serve --config NAME"
assert_eq "$(dry_run --config "$KEYFENCE_CONFDIR/wages.conf")" "$expected" "serve --config FILE"
assert_eq "$(dry_run --config ../conf/wages.conf check-interval=1s -- --threads=9)" \
  "$(sed "s/--filter=log/& --threads=9/; s/\$/ check-interval=1s/" <<<"$expected")" "the command line comes last"
conf other "path = $dir/wages.kf" "socket = $dir/other.nbd"
assert_match "$(dry_run other)" "^nbdkit --unix=$dir/other.nbd PLUGIN" "socket"
assert_match "$(dry_run other --socket /x)" "^nbdkit --unix=/x PLUGIN" "--socket before socket"
assert_match "$(dry_run other --port 1)" "^nbdkit --ipaddr=127.0.0.1 --port=1 PLUGIN" "--port before socket"
conf tcp "path = $dir/wages.kf" "port = 10809"
assert_match "$(dry_run tcp)" "^nbdkit --ipaddr=127.0.0.1 --port=10809 PLUGIN" "port"
assert_match "$(dry_run tcp --socket /x)" "^nbdkit --unix=/x PLUGIN" "--socket before port"

# ---- what is wrong with it ------------------------------------------------------------------------------
# refused 'regex' LINE...: the lines stand behind a path; those of the message count from 1.
refused ()
{
  local regex=$1

  shift
  conf bad 'path = /x' "$@"
  expect_fail 2 "^keyfence: serve: $dir/conf/bad.conf:$regex" keyfence serve --config bad --dry-run
}
refused '2: there is no setting "chache"; known are: path, socket' 'chache = none'
refused '2: there is no setting "ready-fd"' 'ready-fd = 3'
refused '2: there is no setting "Path"' 'Path = /y'
refused '3: path is set a second time; it is in line 1' '# comment' 'path = /y'
refused '4: grace is set a second time; it is in line 2' 'grace = 1h' '' 'grace=1h'
refused '2: "hello" is no setting: they are written name = value' 'hello'
refused '2: "= x" is no setting' '= x'
refused '2: grace: there is no value; remove the line' 'grace ='
refused '2: grace: a blank and # in a value' 'grace = 1h # long enough'
refused '2: parameter grace: "31d" is not between' 'grace = 31d'
refused '2: parameter cache: "no" is none of' 'cache = no'
refused '2: parameter audit-log: "log" is no absolute path' 'audit-log = log'
refused '2: parameter control: "run/x" is no absolute path' 'control = run/x'
refused '2: parameter agent-socket: .* 107 bytes' "agent-socket = /$(printf '%0120d' 0)"
refused '2: socket: "x" is no absolute path' 'socket = x'
refused '2: socket: the path of a socket has at most 107' "socket = /$(printf '%0120d' 0)"
refused '2: port: .*not a number from 1 to 65535' 'port = 0'
refused '2: device: "/x" is not in /dev/' 'device = /x'
refused '2: connections: .*not a number from 1 to 16' 'connections = 17'
refused '2: nbdkit-option: "-t4" is no option of nbdkit in its long form' 'nbdkit-option = -t4'
refused ' socket and port exclude each other' 'socket = /x' 'port = 1'
refused '2: it ends as lines do on Windows' $'grace = 1h\r'
refused '2: a control character' $'grace = 1h\x01'
refused '2: a control character, or a byte that is not UTF-8' $'audit-log = /\xff'
refused '2: the line has more than 4096 bytes' "audit-log = /$(printf '%05000d' 0)"
conf bad '# nothing'
expect_fail 2 "bad.conf: there is no volume in it: add a line path = /" keyfence serve --config bad
conf bad 'path = volume'
expect_fail 2 'bad.conf:1: path: "volume" is no absolute path' keyfence serve --config bad
printf '# %070000d\n' 0 >"$KEYFENCE_CONFDIR/bad.conf"
expect_fail 2 'bad.conf has more than 65536 bytes' keyfence serve --config bad
printf 'path = /x\n\0grace = 1h\n' >"$KEYFENCE_CONFDIR/bad.conf"
expect_fail 2 'bad.conf has NUL bytes' keyfence serve --config bad

# A name that is none, a file that is none.
expect_fail 1 "there is no $dir/conf/nothing.conf: see keyfence.conf" keyfence serve --config nothing
for name in -x .x a/ 'a b' "$(printf 'a%.0s' {1..65})" ./wages /etc/passwd; do
  expect_fail 2 'a configuration is called NAME, and its file NAME.conf|--config needs a value' \
    keyfence serve --config="$name"
done
mkdir "$KEYFENCE_CONFDIR/folder.conf"
expect_fail 2 'folder.conf is not a regular file' keyfence serve --config folder
mkfifo "$KEYFENCE_CONFDIR/fifo.conf"
expect_fail 2 'fifo.conf is not a regular file' timeout 10 "$KEYFENCE" serve --config fifo
expect_fail 2 'VOLUME is missing' keyfence serve
expect_fail 2 '"wages" is no parameter' keyfence serve --config wages wages

# One that others could have written is not believed.
conf open 'path = /x'
for mode in 0620 0602; do
  chmod "$mode" "$KEYFENCE_CONFDIR/open.conf"
  expect_fail 2 'open.conf can be written by others than its owner: chmod go-w' keyfence serve --config open
done
if [ "$(id -u)" -eq 0 ]; then
  chmod 0600 "$KEYFENCE_CONFDIR/open.conf"
  chown 65534 "$KEYFENCE_CONFDIR/open.conf"
  expect_fail 2 'open.conf belongs to user 65534: it must be root' keyfence serve --config open
fi

# ---- its name stands for the volume -----------------------------------------------------------------------
conf disk "path = $dir/disk.kf" "socket = $dir/disk.nbd" 'check-interval = 1s'
make_kek
keyfence create disk --size 8M --key "$key" --label disk >"$dir/output"
grep -qx 'serve it with: keyfence serve disk' "$dir/output" || fail "not by its configuration: $(cat "$dir/output")"
[ -e "$dir/disk.kf" ] || fail "create did not take the configuration's path"
uuid=$(volume_uuid "$dir/disk.kf")
keyfence inspect disk | grep "$uuid" >/dev/null || fail "inspect NAME"
keyfence header-backup disk "$dir/backup" >/dev/null
expect_fail 1 "$dir/disk.kf is not served" keyfence status disk
mkdir disk # a folder of that name is no volume

not_under_wrapper "the server is started by keyfence itself, without the wrapper"
stop ()
{
  [ ! -s "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
}
at_exit stop
keyfence serve disk --pidfile "$dir/pid" >"$dir/output"
assert_match "$(cat "$dir/output")" "socket=$dir/disk.nbd" "URI"
nbdinfo --size "nbd+unix:///?socket=$dir/disk.nbd" >/dev/null
assert_json "$(keyfence status --json disk)" ".volume == \"$uuid\" and .parameters.check_interval_s == 1"
keyfence check disk >/dev/null
keyfence reload disk >/dev/null
keyfence fence disk >/dev/null
keyfence unfence disk >/dev/null
expect_fail 1 'in use by process' keyfence destroy --yes disk

# A file of that name comes first.
rmdir disk
cp "$dir/disk.kf" disk
expect_fail 1 'disk is not served at .*: another file with the same uuid is' keyfence status disk
rm disk

# Its control socket may be anywhere.
stop
wait_for 20 expect_fail 1 'not served' keyfence status disk
echo "control = $dir/control" >>"$KEYFENCE_CONFDIR/disk.conf"
keyfence serve disk --pidfile "$dir/pid" >"$dir/output"
keyfence status disk >/dev/null
expect_fail 1 'has no control socket in' keyfence status "$dir/disk.kf"
stop
