#!/bin/bash
# Machines that a disk has paused go on, and only these; machines that lie, hang or are not there hold up
# none of the others.
. "$(dirname "$0")/lib.sh"
require jq python3

uuid=01234567-89ab-cdef-0123-456789abcdef
disk=$KEYFENCE_RUNDIR/$uuid.nbd

# machine NAME JSON: one that is played; its socket is $dir/NAME.qmp.
machine ()
{
  mkdir "$dir/$1"
  echo "$2" >"$dir/$1/machine.json"
  : >"$dir/$1/commands"
  python3 "$here/qmp-double.py" "$dir/$1.qmp" "$dir/$1" >"$dir/$1.log" 2>&1 &
  at_exit "kill $! 2>/dev/null"
  wait_for 20 test -S "$dir/$1.qmp" || fail "the played machine does not listen"
}

# is NAME JSON: what it is like from now on.
is ()
{
  echo "$2" >"$dir/$1/machine.json"
  : >"$dir/$1/commands"
}

# resume CODE [ARGUMENT...]: ends with that status; what was printed is in $dir/output, errors in $dir/stderr.
resume ()
{
  local code=$1 status=0

  shift
  keyfence resume-vms "$@" >"$dir/output" 2>"$dir/stderr" </dev/null || status=$?
  [ "$status" -eq "$code" ] || { cat "$dir/output" "$dir/stderr" >&2; fail "exit status $status, expected $code: $*"; }
}

said ()
{
  grep -E -- "$1" "$dir/${2:-output}" >/dev/null || fail "not said: $1: $(cat "$dir/output" "$dir/stderr")"
}

was_resumed ()
{
  grep -x cont "$dir/$1/commands" >/dev/null
}

# nodes NAME PLACE: query-named-block-nodes of a machine with the disk at that place, by QEMU's name for it.
nodes ()
{
  jq -cn --arg file "$1" --arg driver "${2:-nbd}" '[{"node-name": "disk", drv: "raw", file: $file},
    {"node-name": "net", drv: $driver, file: $file}, {"node-name": "boot", drv: "qcow2", file: "/srv/boot.qcow2"}]'
}

# Paused by its disk: goes on.
machine vm '{"status": "io-error", "name": "db1"}'
resume 0 "$dir/vm.qmp"
was_resumed vm || fail "it was not told to go on"
said "^$dir/vm.qmp \(db1\): resumed \(running\)\$"
# It runs: nothing to do.
: >"$dir/vm/commands"
resume 0 "$dir/vm.qmp"
! was_resumed vm || fail "a running machine was told to go on"
said 'db1.: is running'

# Whatever else has stopped it, it stays so.
for status in paused debug inmigrate internal-error postmigrate prelaunch finish-migrate restore-vm save-vm \
  shutdown suspended watchdog guest-panicked colo io-errors 'io-error '; do
  is vm "{\"status\": \"$status\"}"
  resume 0 "$dir/vm.qmp"
  ! was_resumed vm || fail "a machine was resumed that was $status"
  said 'vm.qmp: left alone: no disk has paused it'
  resume 0 --json "$dir/vm.qmp"
  assert_json "$(cat "$dir/output")" ".resumed == 0 and .failed == 0 and .machines[0].result == \"left\"
    and .machines[0].status == \"$status\""
done

# What would be done, and isn't.
is vm '{"status": "io-error"}'
resume 0 --dry-run "$dir/vm.qmp"
! was_resumed vm || fail "--dry-run has resumed it"
said 'vm.qmp: would be resumed'

# Its disk pauses it again, or QEMU refuses.
is vm '{"status": "io-error", "again": true}'
resume 1 "$dir/vm.qmp"
said 'vm.qmp: paused again at once' stderr
resume 1 --json "$dir/vm.qmp"
assert_json "$(cat "$dir/output")" '.resumed == 0 and .failed == 1 and .machines[0].result == "stopped_again"'
is vm '{"status": "io-error", "refuse": "Resetting the Virtual Machine is required"}'
resume 1 "$dir/vm.qmp"
said 'vm.qmp: cont was refused: Resetting the Virtual Machine is required' stderr

# Only machines with the volume's disk, by every name that QEMU has for it.
ln -s "$KEYFENCE_RUNDIR" "$dir/elsewhere"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$disk"
for file in "nbd+unix://?socket=$disk" "nbd+unix:///an%20export?socket=$disk" \
  "nbd+unix://?socket=$dir/elsewhere/$uuid.nbd" \
  "json:{\"server.path\": \"$disk\", \"driver\": \"nbd\", \"server.type\": \"unix\", \"reconnect-delay\": 60}" \
  "json:{\"driver\": \"nbd\", \"server\": {\"type\": \"unix\", \"path\": \"$disk\"}, \"tls-creds\": \"tls0\"}"; do
  is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "$file")}"
  resume 0 --volume "$uuid" "$dir/vm.qmp"
  was_resumed vm || fail "not resumed, though its disk is at $file"
  is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "$file")}"
  resume 0 --uri "nbd+unix:///?socket=${disk//f/%66}" "$dir/vm.qmp"
  was_resumed vm || fail "not resumed by --uri, though its disk is at $file"
done
for file in "nbd+unix://?socket=$disk.other" "nbd://localhost:10809" /srv/disk.raw '' 'json:' 'json:{' \
  "json:{\"driver\": \"nbd\", \"server\": {\"type\": \"fd\", \"str\": \"7\"}}" \
  "json:{\"driver\": \"file\", \"server.path\": \"$disk\"}" "json:{\"driver\": 7, \"server\": []}"; do
  is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "$file")}"
  resume 0 --volume "$uuid" "$dir/vm.qmp"
  ! was_resumed vm || fail "resumed, though its disk is at $file"
  said 'vm.qmp: left alone: it has no such disk'
done
is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "nbd+unix://?socket=$disk" file)}"
resume 0 --volume "$uuid" "$dir/vm.qmp"
! was_resumed vm || fail "resumed, though no NBD client is there"
for nodes in null '{}' '"text"' '[null, 7, "x", {"drv": 1, "file": {}}]'; do
  is vm "{\"status\": \"io-error\", \"nodes\": $nodes}"
  resume 0 --volume "$uuid" --json "$dir/vm.qmp"
  assert_json "$(cat "$dir/output")" '.machines[0].result == "other_disk"'
done
# A volume that has a configuration, by its name.
export KEYFENCE_CONFDIR=$dir/conf
mkdir "$KEYFENCE_CONFDIR"
echo 'path = /srv/wages.kf' >"$KEYFENCE_CONFDIR/wages.conf"
printf 'path = /srv/other.kf\nsocket = %s\n' "$dir/other.nbd" >"$KEYFENCE_CONFDIR/other.conf"
printf 'path = /srv/tcp.kf\nport = 10809\n' >"$KEYFENCE_CONFDIR/tcp.conf"
while read -r name place result; do
  is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "nbd+unix://?socket=$place")}"
  resume 0 --json --volume "$name" "$dir/vm.qmp"
  assert_json "$(cat "$dir/output")" ".machines[0].result == \"$result\"" "a disk at $place, and the volume $name"
done <<EOT
wages $KEYFENCE_RUNDIR/wages.nbd resumed
wages $dir/other.nbd other_disk
other $dir/other.nbd resumed
EOT
resume 2 --volume tcp "$dir/vm.qmp"
said 'serves it by TCP: give --uri' stderr

# Over TCP.
while read -r uri file; do
  is vm "{\"status\": \"io-error\", \"nodes\": $(nodes "$file")}"
  resume 0 --uri "$uri" "$dir/vm.qmp"
  was_resumed vm || fail "$uri is not taken for $file"
done <<'EOT'
nbd://store.example nbd://store.example:10809
nbds://store.example:10810/ nbd://STORE.example:10810/export
nbd://[fd00::1]:7 json:{"driver":"nbd","server.host":"fd00::1","server.port":"7","tls-creds":"t"}
EOT
is vm "{\"status\": \"io-error\", \"nodes\": $(nodes nbd://store.example:10809)}"
resume 0 --uri nbd://store.example:10810 "$dir/vm.qmp"
! was_resumed vm || fail "another port is taken for the same"

# Machines that are not as QEMU's: an error that names them, in time, and nothing is told to go on.
bad=()
while read -r behave; do
  machine "$behave" "{\"status\": \"io-error\", \"behave\": \"$behave\"}"
  bad+=("$dir/$behave.qmp")
done < <(printf '%s\n' silent mute hang-up ssh array no-greeting binary unbalanced not-json twice deep \
  closed-too-often endless many no-return flood trickle)
is vm '{"status": "io-error", "name": "good"}'
touch "$dir/file.qmp"
SECONDS=0
resume 1 --timeout 2s "${bad[@]}" "$dir/missing.qmp" "$dir/file.qmp" "$dir/vm.qmp"
[ "$SECONDS" -le $((10 * patience)) ] || fail "it took $SECONDS s"
said 'vm.qmp \(good\): resumed'
assert_eq "$(wc -l <"$dir/output")" 1 "machines that are well"
assert_eq "$(wc -l <"$dir/stderr")" $((${#bad[@]} + 2)) "machines that are not"
for socket in "${bad[@]}"; do
  said "^keyfence: resume-vms: $socket: " stderr
  ! was_resumed "$(basename "$socket" .qmp)" || fail "$socket was told to go on"
done
said 'missing.qmp: no machine listens there' stderr
said 'ssh.qmp: what answers there does not speak QMP' stderr
said 'silent.qmp: no answer in time' stderr
said 'endless.qmp: a message of more than 262144 bytes came' stderr
is vm '{"status": "io-error"}'
resume 1 --json --timeout 1s "$dir/silent.qmp" "$dir/vm.qmp"
assert_json "$(cat "$dir/output")" '.resumed == 1 and .failed == 1 and .machines[0].result == "failed"
  and (.machines[0].error | test ("no answer in time")) and .machines[1].result == "resumed"'

# QEMU's other form, and more of them than are talked to at once.
is vm '{"status": "io-error", "behave": "pretty"}'
resume 0 "$dir/vm.qmp"
was_resumed vm || fail "QMP in several lines is not understood"
mapfile -t many < <(yes "$dir/vm.qmp" | head -n 150)
resume 0 --dry-run --timeout 30s "${many[@]}"
assert_eq "$(grep -c 'is running' "$dir/output")" 150 "answers of 150"

# What a terminal would act on is not printed.
is vm '{"status": "io-error", "name": "a\u001b[2Jb"}'
resume 0 "$dir/vm.qmp"
! grep $'\x1b' "$dir/output" || fail "an escape sequence was printed"

# Mistakes.
resume 2
said 'QMP-SOCKET is missing' stderr
resume 2 --volume "$uuid" --uri nbd://h "$dir/vm.qmp"
said 'exclude each other' stderr
for uri in http://x nbd:// 'nbd+unix:///?sock=x' '' nbd://[::1 'nbd+unix:///?socket=%00'; do
  resume 2 --uri "$uri" "$dir/vm.qmp"
done
resume 2 --timeout 100ms "$dir/vm.qmp"
resume 1 --volume nothing "$dir/vm.qmp"
said 'nothing called "nothing" is served' stderr
