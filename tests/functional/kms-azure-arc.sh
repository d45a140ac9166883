#!/bin/bash
# A machine that Azure Arc has connected proves itself by a file in /var/opt/azcmagent/tokens.
# The test has a /var/opt of its own, in its own mounts.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
require_root
[ -n "${KEYFENCE_OWN_MOUNTS:-}" ] || skip "no mount namespaces"
require jq
mount -t tmpfs tmpfs /var/opt || skip "no tmpfs can be mounted"
mkdir /var/opt/azcmagent
sim_dir=/var/opt/azcmagent
azure_start

azure_key kek
kms_open
expect_outcome ok - generate "$key" "$dir/wrap"
kms_close
ctl env --azure arc >"$dir/env"
# shellcheck disable=SC1091
. "$dir/env"
kms_open
expect_outcome ok - check "$dir/wrap"
expect_outcome ok - unwrap "$dir/wrap"
kms_close
keyfence check "$key" >"$dir/output" || fail "$(cat "$dir/output")"
grep -q 'credentials: managed identity (Azure Arc)' "$dir/output" || fail "$(cat "$dir/output")"

# A file anywhere else is neither read nor sent.
mkdir /var/opt/elsewhere
kill "$(cat "$sim_dir/pid")"
sim_dir=/var/opt/elsewhere
azure_start
ctl env --azure arc >"$dir/env"
# shellcheck disable=SC1091
. "$dir/env"
kms_open 2000
azure_key kek
expect_outcome credentials arc_challenge generate "$key" "$dir/none"
kms_close
