#!/bin/bash
# Every fault of the simulator on every request to Azure has the class that the tables say, within
# the time-out; the whole product is walked, and the matrix printed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
azure_start

timeout_ms=$((1500 * patience))
azure_key kek
kms_open
expect_outcome ok - generate "$key" "$dir/wrap"
kms_close

# fault, then what it makes of: token, GetKey, WrapKey (both while wrapping), UnwrapKey (a check).
# A name that is not one of its own (a proxy's page) is never a denial, whatever its status.
matrix='
outage            outage/identity_service  outage/service_error        outage/service_error        outage/service_error
throttle          outage/throttled         outage/throttled            outage/throttled            outage/throttled
delay:10s         outage/timeout           outage/timeout              outage/timeout              outage/timeout
reset             outage/broken            outage/broken               outage/broken               outage/broken
truncate          outage/broken            outage/broken               outage/broken               outage/broken
garbage           outage/unexpected_answer outage/unexpected_answer    outage/unexpected_answer    outage/unexpected_answer
wrong-plaintext   ok/-                     ok/-                        ok/-                        corrupt/bad_wrap
expired           credentials/secret_expired credentials/token_refused credentials/token_refused  credentials/token_refused
firewall          credentials/conditional_access denied/firewall       denied/firewall             denied/firewall
deny              credentials/identity_gone denied/access_denied     denied/access_denied        denied/access_denied
status:403        outage/unexpected_answer outage/unexpected_answer    outage/unexpected_answer    outage/unexpected_answer
status:404        outage/unexpected_answer outage/unexpected_answer    outage/unexpected_answer    outage/unexpected_answer
status:302        outage/unexpected_answer outage/unexpected_answer    outage/unexpected_answer    outage/unexpected_answer
status:429        outage/throttled         outage/throttled            outage/throttled            outage/throttled
status:500        outage/service_error     outage/service_error        outage/service_error        outage/service_error
status:503        outage/service_error     outage/service_error        outage/service_error        outage/service_error
claims            ok/-                     ok/-                        ok/-                        ok/-
'
operations=(token GetKey WrapKey UnwrapKey)
declare -A commands=([token]="check $dir/wrap" [GetKey]="wrap $key $dir/other"
  [WrapKey]="wrap $key $dir/other" [UnwrapKey]="check $dir/wrap")

wrong=0
printf '%-16s' fault "${operations[@]}"
printf '\n'
while read -r fault expected; do
  [ -n "$fault" ] || continue
  read -r -a expected <<<"$expected"
  printf '%-16s' "$fault"
  for i in "${!operations[@]}"; do
    operation=${operations[i]}
    ctl clear >/dev/null
    # shellcheck disable=SC2086  # the fault and its value are two words
    ctl fault ${fault/:/ } --op "$operation" >/dev/null
    kms_open "$timeout_ms" # a new agent, which knows neither vault nor token
    # shellcheck disable=SC2086
    kms ${commands[$operation]}
    kms_close
    printf '%-30s' "$class/$reason"
    [ "$class/$reason" = "${expected[i]}" ] || { wrong=$((wrong + 1)); printf '(not %s: %s) ' "${expected[i]}" "$text"; }
    [ "$took_ms" -le $((timeout_ms + 1000 * patience)) ] || { wrong=$((wrong + 1)); printf '(%s ms) ' "$took_ms"; }
  done
  printf '\n'
done <<<"$matrix"
ctl clear >/dev/null
[ "$wrong" -eq 0 ] || fail "$wrong cells of the matrix are not as they must be"

# ---- what passes by itself -------------------------------------------------------------------------------
kms_open
for fault in outage reset truncate 'status 503'; do
  # shellcheck disable=SC2086
  ctl fault $fault --op UnwrapKey --count 1 >/dev/null
  expect_outcome ok - check "$dir/wrap"
done
ctl fault expired --op UnwrapKey --count 1 >/dev/null
expect_outcome ok - check "$dir/wrap"
kms_close

# ---- clocks, names, trust --------------------------------------------------------------------------------
kms_open "$timeout_ms"
expect_outcome ok - check "$dir/wrap"
ctl fault skew 2h --op azure-vault >/dev/null
expect_outcome clock clock_skew check "$dir/wrap"
ctl clear >/dev/null
kms_close

# Another certificate than one of our authorities'.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 1 -keyout /dev/null -out "$dir/other.pem" 2>/dev/null
SSL_CERT_FILE=$dir/other.pem kms_open "$timeout_ms"
expect_outcome outage tls_verify check "$dir/wrap"
kms_close

# Nobody there.
kill "$(cat "$sim_dir/pid")"
wait_for 10 test ! -e "$sim_dir/pid" || true
kms_open "$timeout_ms"
expect_outcome outage connect check "$dir/wrap"
kms_close
