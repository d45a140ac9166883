#!/bin/bash
# A drill of a volume whose key is in a cloud, on both simulated ones: the service's denials and request ids
# are in the report, and the limits decide.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-drill.sh"
require jq nc
aws_start
export KEYFENCE_KMS_SIM_DIR=$sim_dir PATH=${sim%/*}:$PATH

# cloud_drills: of the volume with $key.
cloud_drills ()
{
  rm -f "$dir/disk"
  make_volume "$dir/disk" 16M
  start_server "$dir/disk" "${fast[@]}"
  nbd_io "write 0 16M 0x41" flush
  drill 0 --preset sim --max-fence $((20 * patience))s --max-recover $((20 * patience))s
  all_passed
  assert_json "$report" '[.key_operations[] | select (.class == "denied")] | length >= 2 and all (.reason == "key_disabled" and .request_id != "")'
  assert_json "$report" '.states[0] | .reason == "key_disabled" and .request_id != ""'
  served_again
  drill 1 --preset sim --max-fence 10ms
  verdict max-fence failed
  served_again
  # An outage in the middle of it: no denial, and no fence before the lease ends.
  drill 1 --revoke 'keyfence-kms-sim ctl fault outage' --restore 'keyfence-kms-sim ctl clear' --give-up 4s
  verdict fenced failed
  assert_json "$report" '[.states[].state] == ["grace", "active"]'
  served_again
}

aws_key
cloud_drills
keyfence drill --plan --preset aws --uri "$uri" "$dir/disk" >"$dir/plan"
grep -qF "aws kms disable-key --key-id '$key' --region '$(cut -d: -f4 <<<"$key")'" "$dir/plan" || fail "$(cat "$dir/plan")"
grep -qF "aws kms enable-key --key-id '$key' --region '$(cut -d: -f4 <<<"$key")'" "$dir/plan" || fail "$(cat "$dir/plan")"
if command -v aws >/dev/null && aws --version >/dev/null 2>&1; then
  drill 0 --preset aws --max-fence $((30 * patience))s
  all_passed
  served_again
else
  echo "without the AWS CLI, its preset is only planned"
fi
stop_server

azure_key kek
cloud_drills
keyfence drill --plan --preset azure --uri "$uri" "$dir/disk" >"$dir/plan"
grep -qE "az keyvault key set-attributes --id '$key/[0-9a-f]{32}' --enabled false" "$dir/plan" || fail "$(cat "$dir/plan")"
grep -qE "az keyvault key set-attributes --id '$key/[0-9a-f]{32}' --enabled true" "$dir/plan" || fail "$(cat "$dir/plan")"
stop_server
