#!/bin/bash
# Whatever goes wrong in a drill, the key is given back: a signal at each step, commands that fail or hang,
# a key that was not taken away, a server that dies; and where it can't be given back, that is said loudly.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-drill.sh"
require jq nc
make_volume "$dir/disk" 16M
# Many drills: quick checks, whose bound is below the times that are given up after.
start_server "$dir/disk" check-interval=300ms confirm-delay=300ms "check-timeout=${pace}s"
nbd_io "write 0 16M 0x41" flush

revoke="echo revoke >>$dir/steps; mv $kek $dir/away"
restore="echo restore >>$dir/steps; test ! -e $dir/away || mv $dir/away $kek"

said ()
{
  grep -q -- "$1" "$dir/drill.log"
}

# interrupted SIGNAL 'revoke command' 'what has been said when the signal comes'
interrupted ()
{
  local pid status=0

  : >"$dir/steps"
  : >"$dir/drill.log"
  # What runs in the background of a script has SIGINT and SIGQUIT ignored, which a drill leaves so.
  env --default-signal=INT,QUIT "$KEYFENCE" drill --uri "$uri" --hold 3s --give-up $((20 * patience))s --revoke "$2" --restore "$restore" \
    "$dir/disk" >"$dir/drill.log" 2>&1 </dev/null &
  pid=$!
  wait_for 20 said "$3" || fail "the drill never said: $3"
  kill -"$1" "$pid"
  wait "$pid" || status=$?
  [ "$status" -eq 1 ] || fail "interrupted by $1 at '$3': status $status: $(cat "$dir/drill.log")"
  if [ ! -e "$kek" ] || [ -e "$dir/away" ]; then
    fail "interrupted by $1 at '$3': the key is not back"
  fi
  served_again
}

# Before the revocation nothing is done at all.
interrupted INT "$revoke" 'served, with a request'
assert_eq "$(cat "$dir/steps")" '' 'what was done before the revocation'
interrupted INT "$revoke; sleep 5" 'revoke: '
assert_eq "$(xargs <"$dir/steps")" 'revoke restore' 'interrupted in the revocation'
for signal in TERM HUP; do
  interrupted $signal "sleep 1; $revoke" 'revoke: '
done
assert_eq "$(tail -n 1 "$dir/steps")" restore 'interrupted before the key was taken'
interrupted INT "trap '' TERM; $revoke; sleep 30" 'revoke: '
interrupted TERM "$revoke; sleep .1" 'revoke: '
interrupted INT "$revoke" 'fenced: '
interrupted TERM "$revoke" 'fenced: '
interrupted INT "$revoke" 'restore: '
interrupted TERM "$revoke" 'active, and served again'
interrupted QUIT "$revoke" 'fenced: '

# A closed standard output, as of a terminal that has gone, is no reason to stop.
status=0
"$KEYFENCE" drill --uri "$uri" --hold 500ms --revoke "$revoke" --restore "$restore" "$dir/disk" 2>"$dir/stderr" | head -n 1 >/dev/null || true
[ -e "$kek" ] || fail "the key is not back after a closed pipe"
served_again

# A revocation that fails, half-way or at once, or hangs.
drill 1 --revoke "$revoke; false" --restore "$restore"
assert_json "$report" '.result == "failed" and .trouble == "the revoke command has failed" and .restore_by_hand == null'
served_again
drill 1 --revoke "echo not allowed; exit 5" --restore "$restore"
assert_json "$report" '.commands[0].exit_status == 5 and .commands[0].output == "not allowed"'
drill 1 --revoke "$revoke; sleep 60" --restore "$restore" --command-timeout 1s
assert_json "$report" '.commands[0].timed_out'
served_again

# A revocation that has no effect.
drill 1 --revoke true --restore "$restore" --give-up $((3 * patience))s
assert_json "$report" '.trouble | startswith ("still served")'
verdict fenced failed

# A restore command that fails at first; and one that never works: fenced, and how to restore is said.
rm -f "$dir/tried"
drill 0 --revoke "$revoke" --restore "test -e $dir/tried || { touch $dir/tried; exit 1; }; $restore"
assert_json "$report" '[.commands[].what] == ["revoke", "restore", "restore"]'
served_again
drill 3 --revoke "$revoke" --restore 'echo no; exit 7' --give-up $((2 * patience))s
assert_json "$report" '.result == "fenced" and .restore_by_hand == "echo no; exit 7" and ([.commands[].exit_status] == [0, 7, 7, 7])'
grep -q 'THE KEY MAY STILL BE REVOKED' "$dir/stderr" || fail "it is not said that the key is not back"
grep -qF '    echo no; exit 7' "$dir/stderr" || fail "it is not said how to restore by hand"
mv "$dir/away" "$kek"
served_again
drill 3 --revoke "$revoke" --restore true --give-up $((2 * patience))s
grep -q 'STILL FENCED, though the restore command succeeded' "$dir/stderr" || fail "still fenced, and it is not said"
mv "$dir/away" "$kek"
served_again

# A server that dies while its volume is fenced.
pid=$server_pid
drill 1 --revoke "$revoke" --restore "$restore" --hold 4s &
drill_pid=$!
await_state fenced
kill -KILL "$pid"
wait "$drill_pid" || fail "the drill of a server that died"
[ -e "$kek" ] || fail "the key is not back after the server's death"
assert_json "$(cat "$dir/report.json")" '.trouble | startswith ("the server has died")'
