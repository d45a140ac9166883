#!/bin/bash
# keyfence status of all volumes, and --watch: a live view in a terminal, plain blocks elsewhere.
. "$(dirname "$0")/lib.sh"
require jq python3

one=01234567-89ab-cdef-0123-456789abcdef
two=fedcba98-89ab-cdef-0123-456789abcdef
declare -A played=()

# play UUID: a server of that uuid, whose answers are in $dir/UUID/.
play ()
{
  mkdir -p "$dir/$1"
  rm -f "$KEYFENCE_RUNDIR/$1.sock"
  python3 "$here/control-double.py" "$KEYFENCE_RUNDIR/$1.sock" "$dir/$1" >>"$dir/double.log" 2>&1 &
  played[$1]=$!
  at_exit "kill $! 2>/dev/null"
  wait_for 20 test -S "$KEYFENCE_RUNDIR/$1.sock" || fail "the played server does not listen"
}

unplay ()
{
  kill "${played[$1]}"
  wait "${played[$1]}" 2>/dev/null || true
}

# says UUID 'jq filter': what its server answers from now on.
says ()
{
  jq -c "$2" "$here/watch.json" >"$dir/$1/new"
  cp "$dir/$1/new" "$dir/$1/status.new"
  mv "$dir/$1/new" "$dir/$1/metrics.json"
  mv "$dir/$1/status.new" "$dir/$1/status.json"
}

# on_screen CODE ROWS COLUMNS arguments of keyfence...: the steps are on stdin.
on_screen ()
{
  local code=$1 rows=$2 columns=$3 status=0

  shift 3
  cat >"$dir/do"
  TERM=xterm python3 "$here/pty-screen.py" "$rows" "$columns" "$dir" "$KEYFENCE" "$@" 2>"$dir/output" ||
    status=$?
  [ "$status" -eq "$code" ] || { cat "$dir/output" >&2; fail "exit status $status, expected $code: $*"; }
}

shows () { grep -qE -- "$2" "$1" || { cat "$1" >&2; fail "the page does not show $2"; }; }
lacks () { ! grep -qE -- "$2" "$1" || { cat "$1" >&2; fail "the page shows $2"; }; }

mkdir "$dir/$one" "$dir/$two"
says "$one" .
says "$two" '.volume = "'$two'" | .label = "" | .state = "fenced" | .reason = "operator" | .latch = "operator"'

# ---- status of all ---------------------------------------------------------------------------------------
expect_fail 1 'no volume is served here' keyfence status
play "$one"
play "$two"
status=0
keyfence status >"$dir/output" || status=$?
assert_eq "$status" 3 "the exit code is the worst one's"
assert_eq "$(grep -c ^state: "$dir/output")" 2 "volumes in the status of all"
shows "$dir/output" '^waits for: +keyfence unfence'
shows "$dir/output" '^lease until: +2026-01-31T23:59:59Z \(3475 s left\)$'
shows "$dir/output" '^fenced: +2 times$'
shows "$dir/output" '^last wipe: +83 us$'
shows "$dir/output" '^key created: +2025-01-01T00:00:00Z$'
shows "$dir/output" '^parameters: +check-interval=30s grace=1h'
keyfence status --json >"$dir/output" || true
assert_json "$(cat "$dir/output")" '[.volumes[].state] | sort == ["fenced", "grace"]'
status=0
keyfence status data >"$dir/output" || status=$?
assert_eq "$status" 4 "exit code in grace"
expect_fail 2 '--interval goes with --watch' keyfence status data --interval 1s
expect_fail 2 'from 100ms to 1h' keyfence status data --watch --interval 10ms
expect_fail 2 '--interval: ' keyfence status data --watch --interval soon
expect_fail 2 'give one' keyfence status data --watch --json
expect_fail 1 'nothing called "nowhere" is served' keyfence status --watch nowhere

# The expiry date of a key comes with the days that are left; the hours here hide a slow machine.
soon=$(date -u -d '+12 days +90 minutes' +%Y-%m-%dT%H:%M:%SZ)
says "$one" ".key_expires = \"$soon\" | .fences = 1"
keyfence status data >"$dir/output" || true
shows "$dir/output" "^key expires: +$soon \\(12 d 1 h left\\)\$"
shows "$dir/output" '^fenced: +1 time$'
says "$one" '.key_expires = "2021-01-31T23:59:59Z"'
keyfence status data >"$dir/output" || true
shows "$dir/output" '^key expires: +2021-01-31T23:59:59Z \(passed\)$'
says "$one" .

# ---- one volume, in two sizes, and the terminal afterwards -------------------------------------------------
on_screen 0 24 80 status --watch data <<EOF
wait 01:02:03
state $dir/during
show $dir/small
size 40 120
wait 8e2f2c2a-0012
show $dir/large
size 10 30
gone refused
show $dir/tiny
size 24 80
wait 01:02:03
keys q
end
state $dir/after
raw $dir/raw
EOF
assert_eq "$(cat "$dir/during")" "alternate hidden noecho" "the terminal meanwhile"
assert_eq "$(cat "$dir/after")" "normal cursor echo" "the terminal afterwards"
for page in small large; do
  shows "$dir/$page" '^ state +grace  since 2026-01-31T23:57:59Z'
  shows "$dir/$page" '^ reason +throttled$'
  shows "$dir/$page" '^ lease +\[#+-*\] 57 min [0-9]+ s left, fence bound 45.75 s$'
  shows "$dir/$page" '^ checks +120 ok  0 denied  4 outage  0 other   half in 50 ms, 99 % in 5 s$'
  shows "$dir/$page" '^ read +0/s +0 B/s +482.2 MiB in all$'
  shows "$dir/$page" '^ refused +17, fenced 2 times, the key wiped in 83 us$'
  shows "$dir/$page" '^  23:57:59 active to grace: throttled \(ThrottlingException\)$'
  shows "$dir/$page" '^  23:59:47 primary check: outage, throttled in 31 ms'
done
assert_eq "$(wc -l <"$dir/tiny")" 10
# The newest come first; what has no room is left out.
lacks "$dir/small" 8e2f2c2a-0012
assert_eq "$(grep -oE 'to (active|grace|fenced)' "$dir/large" | xargs)" "to grace to active to fenced to active"
# In colour: grace is yellow.
grep -q $'\033\[1;33mgrace' "$dir/raw" || fail "grace is not yellow"

# ---- without colour --------------------------------------------------------------------------------------
NO_COLOR=1 on_screen 0 24 80 status --watch data <<EOF
wait 01:02:03
keys q
end
raw $dir/raw
EOF
! grep -qE $'\033\\[[0-9;]*(3|4)[0-9]m' "$dir/raw" || fail "colours in spite of NO_COLOR"
grep -q $'\033\[1mgrace' "$dir/raw" || fail "the state is not bold without colour"

# ---- rates, from differences -----------------------------------------------------------------------------
(
  # Each second brings 100 reads of 1 MiB and 10 refused requests.
  for ((i = 1; i < 400; i++)); do
    sleep 0.1
    says "$one" ".io.reads += $i * 10 | .io.bytes_read += $i * 10 * 1048576 | .io.refused += $i"
  done
) &
growing=$!
at_exit "kill $growing 2>/dev/null"
on_screen 0 24 80 status --watch data --interval=2s <<EOF
wait MiB/s
gone  0 B/s          482.2 MiB
show $dir/page
keys q
end
EOF
kill $growing
wait $growing 2>/dev/null || true
rate=$(sed -nE 's/^ read +([0-9]+)\/s .*/\1/p' "$dir/page")
# Fewer where the one who counts them is held up; the sum of two seconds would be 200.
if [ "$rate" -lt 1 ] || [ "$rate" -gt 130 ]; then
  cat "$dir/page" >&2
  fail "at most 100 reads a second are shown as $rate"
fi
shows "$dir/page" '^ refused .*\([0-9]+/s\)'

# ---- several: a list, and one of them in full --------------------------------------------------------------
says "$one" .
on_screen 0 24 80 status --watch <<EOF
wait >data
show $dir/first
keys j
wait >fedcba98
show $dir/second
keys \\x1b[A
wait >data
keys q
end
EOF
shows "$dir/first" '^>data +grace +throttled +57 min'
shows "$dir/first" '^ fedcba98.* fenced +operator'
shows "$dir/first" "^ data  $one\$"
shows "$dir/second" '^ +waits for keyfence unfence \(operator\)$'
shows "$dir/second" "^ $two\$"

# A long sentence is broken, and its end, which says what to do, is there.
says "$one" '.detail = ("what the service said about the key " * 6) + "and what mends it"'
on_screen 0 24 80 status --watch data <<EOF
wait state    grace
show $dir/page
keys q
end
EOF
shows "$dir/page" '^ detail   what the service'
shows "$dir/page" 'and what mends it$'
says "$one" .

# ---- a server that goes and comes back; one that says nothing; one that has no metrics ----------------------
on_screen 0 24 80 status --watch data <<EOF &
wait 01:02:03
show $dir/gone-now
wait NO ANSWER
show $dir/page
show $dir/back-now
gone NO ANSWER
wait state    grace
keys q
end
EOF
watching=$!
wait_for 20 test -e "$dir/gone-now" || fail "it never showed the volume"
unplay "$one"
wait_for 20 test -e "$dir/back-now" || fail "it never noticed that the server went"
play "$one"
wait $watching || fail "it did not go on when the server came back"
shows "$dir/page" 'no server listens at'
shows "$dir/page" 'waiting for it to come back; below is what it said [0-9]+ s ago'
shows "$dir/page" '^ reason +throttled'
echo 30 >"$dir/$two/metrics.wait"
on_screen 0 24 80 status --watch $two <<EOF
wait no answer within 1 seconds
keys q
end
EOF
rm "$dir/$two/metrics.wait" "$dir/$two/metrics.json"
on_screen 0 24 80 status --watch $two <<EOF
wait state    fenced
keys q
end
EOF

# ---- signals leave the terminal as it was ------------------------------------------------------------------
for sig in TERM HUP; do
  on_screen $((128 + $(kill -l $sig))) 24 80 status --watch $two <<EOF
wait state    fenced
signal SIG$sig
end
state $dir/after
EOF
  assert_eq "$(cat "$dir/after")" "normal cursor echo" "the terminal after SIG$sig"
done
on_screen 130 24 80 status --watch $two <<EOF
wait state    fenced
keys \\x03
end
state $dir/after
EOF
assert_eq "$(cat "$dir/after")" "normal cursor echo" "the terminal after Ctrl-C"

# Ctrl-Z gives the terminal back; in the foreground again, the view is. (Without a shell above it, it is
# not stopped at all.)
on_screen 0 24 80 status --watch $two <<EOF
wait state    fenced
raw $dir/before
keys \\x1a
wait state    fenced
state $dir/after
raw $dir/raw
keys q
end
EOF
assert_eq "$(cat "$dir/after")" "alternate hidden noecho" "the terminal after Ctrl-Z and back"
grep -q $'\033\[?1049l.*\033\[?1049h' <(tr '\r\n' '  ' <"$dir/raw") || fail "Ctrl-Z does not give the terminal back"
cat >"$dir/job.sh" <<EOF
set -m
TERM=xterm '$KEYFENCE' status --watch $two
echo is stopped
read -r line
fg >/dev/null
EOF
status=0
cat >"$dir/do" <<EOF
wait state    fenced
keys \\x1a
wait is stopped
state $dir/stopped
keys \\n
gone is stopped
wait state    fenced
state $dir/after
keys q
end
EOF
TERM=xterm python3 "$here/pty-screen.py" 24 80 "$dir" bash "$dir/job.sh" 2>"$dir/output" || status=$?
[ "$status" -eq 0 ] || { cat "$dir/output" >&2; fail "status $status of a shell with a stopped view"; }
assert_eq "$(cat "$dir/stopped")" "normal cursor echo" "the terminal while it is stopped"
assert_eq "$(cat "$dir/after")" "alternate hidden noecho" "the terminal after fg"

# ---- what is hostile in a label stays harmless ---------------------------------------------------------------
says "$two" '.volume = "'$two'" | .label = "\u001b[2Jevil\u009bx\u0007" | .detail = ("x" * 500)'
on_screen 0 24 80 status --watch $two <<EOF
wait ?[2Jevil?x?
keys q
end
EOF

# ---- no terminal, or a dumb one: a plain block an interval ---------------------------------------------------
status=0
timeout 3 "$KEYFENCE" status --watch --interval 500ms $two >"$dir/output" || status=$?
assert_eq "$status" 124 "it went on until it was stopped"
[ "$(grep -c ^time: "$dir/output")" -ge 3 ] || fail "fewer than three blocks in three seconds"
! grep -q $'\033' "$dir/output" || fail "escape sequences without a terminal"
unplay "$one"
unplay "$two"
timeout 1 "$KEYFENCE" status --watch --interval 500ms >"$dir/output" || true
shows "$dir/output" '^no volume is served here'
play "$two"
TERM=dumb timeout 2 script -qec "$KEYFENCE status --watch $two" /dev/null </dev/null >"$dir/output" || true
! grep -q $'\033' "$dir/output" || fail "escape sequences on a dumb terminal"
shows "$dir/output" '^time: '
