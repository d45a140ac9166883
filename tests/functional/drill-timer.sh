#!/bin/bash
# The units for drills do what they say: systemd takes them, the timer comes once a month and by day, and the
# command that the service starts leaves a page and a JSON object, and fails when the drill does.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq systemd-analyze
examples=$here/../../docs/examples

# systemd judges them with the programs where they would be.
mkdir "$dir/units"
for unit in "$examples"/keyfence-drill*; do
  cp "$unit" "$dir/units/"
done
ln -s "$dir/units/keyfence-drill@.service" "$dir/units/keyfence-drill@canary.service"
ln -s "$dir/units/keyfence-drill@.timer" "$dir/units/keyfence-drill@canary.timer"
ln -s "$dir/units/keyfence-drill-failed@.service" "$dir/units/keyfence-drill-failed@canary.service"
for unit in keyfence-drill@canary.service keyfence-drill@canary.timer keyfence-drill-failed@canary.service; do
  SYSTEMD_UNIT_PATH=$dir/units: systemd-analyze verify --man=no "$dir/units/$unit" >"$dir/output" 2>&1 ||
    { cat "$dir/output" >&2; fail "systemd-analyze verify $unit"; }
  ! grep -F keyfence "$dir/output" || fail "systemd has something to say of $unit"
done

# Twelve times a year, on the first Tuesday, at ten.
when=$(sed -n 's/^OnCalendar=//p' "$examples/keyfence-drill@.timer")
TZ=UTC systemd-analyze calendar --base-time='2026-12-31 23:00:00' --iterations=12 "$when" >"$dir/calendar"
mapfile -t days < <(sed -n -E 's/.*: (Tue 2027-[0-9]{2}-0[1-7]) 10:00:00 UTC$/\1/p' "$dir/calendar")
assert_eq "${#days[@]}" 12 "drills in a year: $(cat "$dir/calendar")"
assert_eq "$(printf '%s\n' "${days[@]}" | cut -c 10-11 | sort -u | wc -l)" 12 "months with a drill"

# What the service runs, with systemd's own marks undone, as the shell gets it.
command=$(sed -n "s#^ExecStart=/bin/sh -fc '\(.*\)' %i\$#\1#p" "$examples/keyfence-drill@.service")
[ -n "$command" ] || fail "no command in keyfence-drill@.service"
command=${command//%%/%}
command=${command//\$\$/\$}
aws_start
aws_key
make_volume "$dir/disk" 16M --label canary
start_server "$dir/disk" check-interval=1s confirm-delay=1s check-timeout=1s
mkdir "$dir/drills"

# drill_by_unit OPTIONS: its exit status in $status.
drill_by_unit ()
{
  status=0
  STATE_DIRECTORY=$dir/drills KEYFENCE_KMS_SIM_DIR=$sim_dir PATH=$(dirname "$KEYFENCE"):${sim%/*}:$PATH \
    KEYFENCE_DRILL="--preset=sim --uri=$uri --hold=1s $1" /bin/sh -fc "$command" canary 2>"$dir/drill.log" || status=$?
}

drill_by_unit "--max-fence=$((20 * patience))s --max-recover=$((20 * patience))s"
assert_eq "$status" 0 "a drill that passes ($(cat "$dir/drill.log"))"
assert_eq "$(find "$dir/drills" -name 'canary-20[0-9][0-9]-*Z.html' -size +10k | wc -l)" 1 "pages"
assert_json "$(cat "$dir"/drills/canary-*.json)" '.result == "passed" and .limits.max_fence_ms != null' "the drill's JSON"
drill_by_unit '--max-fence=1ms'
assert_eq "$status" 1 "a drill that fails"
await_state active 20
stop_server
