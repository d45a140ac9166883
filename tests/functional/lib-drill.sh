# shellcheck shell=bash
# lib-drill.sh owns what the tests of drills share: running one, and what its report says.
# Source it after lib.sh and lib-fence.sh.
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh

# drill CODE [options]...: of $dir/disk, which must end with that status; its report is $report, what it
# said $dir/stderr.
drill ()
{
  local code=$1 status=0 usual=()

  shift
  [[ " $* " == *" --hold "* ]] || usual+=(--hold 1s)
  [[ " $* " == *" --give-up "* ]] || usual+=(--give-up $((20 * patience))s)
  # Not by keyfence (): a sanitizer's runtime would come into the operator's commands, and end dd and aws.
  "$KEYFENCE" drill --json --uri "$uri" "${usual[@]}" "$@" "$dir/disk" \
    >"$dir/report.json" 2>"$dir/stderr" </dev/null || status=$?
  report=$(cat "$dir/report.json")
  [ "$status" -eq "$code" ] ||
    fail "keyfence drill $*: status $status instead of $code: $(cat "$dir/stderr") $(jq -c '.checks, .commands' <<<"$report")"
}

# verdict CHECK passed|failed
verdict ()
{
  assert_json "$report" "[.checks[] | select (.check == \"$1\")][0].verdict == \"$2\"" "$1 has $2"
}

# all_passed: with a fence in it, found and timed.
all_passed ()
{
  assert_json "$report" '.result == "passed" and ([.checks[].verdict] | all (. == "passed"))'
  assert_json "$report" '.figures | .denial_to_last_served_ms >= 0 and .denial_to_wipe_ms >= 0
    and .revoke_to_wipe_ms >= .revoke_to_last_served_ms - 100 and .restore_to_first_served_ms > 0
    and .refused > 3 and .served > 15 and .lost == 0 and .served_while_fenced == 0 and .last_wipe_us < 10000'
  assert_json "$report" '[.states[].state] == ["fenced", "active"]'
  jq -r '.figures | "last served \(.revoke_to_last_served_ms) ms after the revocation, \(.denial_to_last_served_ms) ms after the denial; wiped after \(.denial_to_wipe_ms) ms; back after \(.restore_to_first_served_ms) ms"' <<<"$report"
}

# served_again: nothing of the drill is left.
served_again ()
{
  await_state active 20
  nbd_io "read 0 64k 0x41"
}
