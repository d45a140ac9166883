#!/bin/bash
# Runs the tests of one SDK (aws or azure) against a simulator of its own.
#
#   KEYFENCE_KMS_SIM=PROGRAM KEYFENCE_KMS_CALL=PROGRAM KEYFENCE_AGENT=PROGRAM tests/sdk/run.sh aws|azure
#
# The SDKs are installed by `npm ci` in this folder.
set -euo pipefail
shopt -s inherit_errexit

sdk=$1
here=$(dirname "$(realpath "$0")")
KEYFENCE_KMS_SIM=$(realpath "${KEYFENCE_KMS_SIM:?the program keyfence-kms-sim}")
export KEYFENCE_KMS_SIM

skip ()
{
  printf 'SKIP: %s\n' "$*"
  exit 77
}

command -v node >/dev/null || skip 'node is not installed'
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node is older than version 18"
[ -d "$here/node_modules/@$sdk-sdk" ] || [ -d "$here/node_modules/@$sdk" ] ||
  skip "the SDKs are not installed: npm ci --prefix tests/sdk"

dir=$(mktemp -d "${TMPDIR:-/tmp}/keyfence-sdk.XXXXXX")
pid=''
# However it ends: the simulator stops and must have nothing to complain about (as sanitizers do).
end ()
{
  local status=$?

  trap '' EXIT
  if [ -n "$pid" ]; then
    kill "$pid" 2>/dev/null || true
    if ! wait "$pid"; then
      printf 'FAIL: keyfence-kms-sim ended badly\n' >&2
      status=1
    fi
  fi
  [ "$status" -eq 0 ] || tail -n 60 "$dir/log" >&2 || true
  rm -rf "$dir"
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

exec 3< <(exec "$KEYFENCE_KMS_SIM" --dir "$dir/state" --port 0 --print-env 2>"$dir/log")
pid=$!
environment=$(cat <&3)
exec 3<&-
eval "$environment"
export HOME=$dir AWS_SHARED_CREDENTIALS_FILE=$dir/none AWS_CONFIG_FILE=$dir/none NO_PROXY='*' no_proxy='*'
cd "$here"
node --test "$sdk.test.mjs"
