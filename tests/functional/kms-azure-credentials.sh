#!/bin/bash
# Every kind of credentials that a machine may have gets a token and opens a wrap, over TLS.
# shellcheck disable=SC1091,SC2030,SC2031  # files made here; variables that are to stay in their ( )
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
azure_start
require openssl

azure_key kek
kms_open
expect_outcome ok - generate "$key" "$dir/wrap"
kms_close

# use SOURCE: the variables of that source, and no others.
use ()
{
  ctl env --azure "$1" >"$dir/env" || fail "$(cat "$dir/env")"
  . "$dir/env"
}

# opens WHO: a check and an unwrap succeed, and `keyfence check` says by what.
opens ()
{
  kms_open
  expect_outcome ok - check "$dir/wrap"
  expect_outcome ok - unwrap "$dir/wrap"
  kms_close
  keyfence check "$key" >"$dir/output" || fail "$(cat "$dir/output")"
  grep -q "credentials: $1" "$dir/output" || fail "not by $1: $(cat "$dir/output")"
}

fails ()
{
  kms_open
  expect_outcome "$1" "$2" check "$dir/wrap"
  kms_close
}

# ---- applications --------------------------------------------------------------------------------------
use secret
opens 'client secret'
AZURE_CLIENT_SECRET=wrong fails credentials bad_secret
AZURE_TENANT_ID=11111111-2222-3333-4444-555555555555 fails credentials wrong_tenant
AZURE_CLIENT_ID=11111111-2222-3333-4444-555555555555 fails credentials identity_gone

use certificate
opens 'client certificate'
openssl pkcs12 -export -in "$AZURE_CLIENT_CERTIFICATE_PATH" -out "$dir/client.pfx" -passout pass:pw 2>/dev/null
(
  export AZURE_CLIENT_CERTIFICATE_PATH=$dir/client.pfx AZURE_CLIENT_CERTIFICATE_PASSWORD=pw
  opens 'client certificate'
  AZURE_CLIENT_CERTIFICATE_PASSWORD=wrong fails credentials bad_certificate
)
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 1 -keyout "$dir/k" -out "$dir/c" 2>/dev/null
cat "$dir/k" "$dir/c" >"$dir/other.pem"
AZURE_CLIENT_CERTIFICATE_PATH=$dir/other.pem fails credentials bad_certificate

use workload
opens 'workload identity'
cp "$AZURE_FEDERATED_TOKEN_FILE" "$dir/token"
(
  export AZURE_FEDERATED_TOKEN_FILE=$dir/token
  kms_open
  expect_outcome ok - check "$dir/wrap"
  echo rubbish >"$dir/token" # what is kept is used on; the file is read for a new token only
  expect_outcome ok - check "$dir/wrap"
  kms_close
  fails credentials bad_certificate
)

# ---- managed identities ----------------------------------------------------------------------------------
use imds
opens 'managed identity (instance metadata service)'
ctl create-identity mine >"$dir/identity"
ctl grant demo mine get,wrap,unwrap >/dev/null
# shellcheck disable=SC2154  # in that file
(
  . "$dir/identity"
  export AZURE_CLIENT_ID=$client_id
  opens "managed identity (instance metadata service): application $client_id"
  ctl remove-app mine >/dev/null
  fails credentials identity_gone
)
# Taken away from a process that had it: its owner's will, not an accident.
ctl create-identity ours >"$dir/identity"
ctl grant demo ours unwrap >/dev/null
(
  . "$dir/identity"
  export AZURE_CLIENT_ID=$client_id
  kms_open
  expect_outcome ok - check "$dir/wrap"
  ctl remove-app ours >/dev/null
  ctl fault expired --op UnwrapKey --count 1 >/dev/null
  expect_outcome denied identity_gone check "$dir/wrap"
  kms_close
)
# It flickers, and is asked again.
ctl fault throttle --op imds-token --count 1 >/dev/null
opens 'managed identity'
ctl fault expired --op imds-token --count 1 >/dev/null # 410: being updated
opens 'managed identity'
# A proxy is never used for it (nor for this machine's vault).
https_proxy=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9 opens 'managed identity'

use app-service
opens 'managed identity (App Service'
IDENTITY_HEADER=wrong fails credentials identity_refused

# ---- none --------------------------------------------------------------------------------------------------
use secret
AZURE_TOKEN_CREDENTIALS=WorkloadIdentityCredential fails credentials no_credentials
(
  unset AZURE_CLIENT_ID
  export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$sim_port
  AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential opens 'managed identity (instance metadata service)'
  AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:9 fails credentials no_credentials
)
