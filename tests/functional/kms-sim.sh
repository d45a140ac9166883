#!/bin/bash
# The program keyfence-kms-sim: what it says, whom it serves, bad requests, kills, the man page.
. "$(dirname "$0")/lib.sh"
require jq nc

sim=$KEYFENCE_BUILD/tools/sim/keyfence-kms-sim
[ -x "$sim" ] || skip "keyfence-kms-sim was not built"
man_page=$here/../../docs/keyfence-kms-sim.pod
state=$dir/state
export KEYFENCE_KMS_SIM_DIR=$state

# start [options]: sets $port and $sim_pid.
start ()
{
  "$sim" --dir "$state" --port 0 --background --print-env "$@" >"$dir/env" 2>"$dir/notice" ||
    fail "it does not start: $(cat "$dir/notice")"
  port=$(sed -n "s/^export AZURE_AUTHORITY_HOST='.*:\([0-9]*\)'/\1/p" "$dir/env")
  sim_pid=$(cat "$state/pid")
}
at_exit "kill -KILL \$(cat '$state/pid') 2>/dev/null"

# kill_sim SIGNAL: and waits until it is gone.
kill_sim ()
{
  local i

  kill "-$1" "$sim_pid"
  for ((i = 0; i < 200 * patience; i++)); do
    kill -0 "$sim_pid" 2>/dev/null || return 0
    sleep 0.05
  done
  fail "it does not end"
}

# ask: sends stdin as it is, prints the answer.
ask ()
{
  timeout $((20 * patience)) nc -N 127.0.0.1 "$port"
}

# ask_status TEXT: the status of the answer to a request (printf's escapes).
ask_status ()
{
  # shellcheck disable=SC2059
  printf "$1" | ask | head -n 1 | cut -d' ' -f 2
}

# ---- what it says -----------------------------------------------------------------------------------

start
grep -q 'a tool for tests, drills and a first try. It protects nothing' "$dir/notice" ||
  fail "no notice: $(cat "$dir/notice")"
[ "$(stat -c %a "$state")" = 700 ] || fail "the state folder is open to others"
[ "$(stat -c %a "$state/ctl.sock")" = 600 ] || fail "the control socket is open to others"
open=$(find "$state" -type f -perm /077 ! -name ca.pem ! -name server-cert.pem)
[ -z "$open" ] || fail "open to others: $open"
if command -v ss >/dev/null; then
  ss -Htln | awk '{print $4}' | grep ":$port\$" | while read -r address; do
    case $address in 127.0.0.1:* | '[::1]:'*) ;; *) fail "it listens on $address" ;; esac
  done
fi

# The help and the man page have the same commands of ctl.
"$sim" --help >"$dir/help"
sed -n '/^Commands of ctl/,/^It protects/ s/^  \([a-z].*\)/\1/p' "$dir/help" |
  sed -E 's/ *$//' | sort >"$dir/commands"
sed -n '/^=head1 COMMANDS OF CTL/,/^=head1 FILES/ s/^=item //p' "$man_page" |
  sed -E 's/, B</\nB</g; s/B<([^>]*)>/\1/g' | sort >"$dir/documented"
assert_same "$dir/commands" "$dir/documented"
[ "$(wc -l <"$dir/commands")" -ge 25 ] || fail "ctl has too few commands"
# So do the kinds of faults.
{ "$sim" ctl fault no-such-kind 2>&1 || true; } | sed 's/.*there are: //' | tr -d ',' | tr ' ' '\n' | sort >"$dir/kinds"
sed -n 's/^ \([a-z-][a-z-]*\) .*/\1/p' "$man_page" | sort -u >"$dir/documented"
[ -z "$(comm -23 "$dir/kinds" "$dir/documented")" ] || fail "the man page lacks faults"

# ---- mistakes ---------------------------------------------------------------------------------------

# expect_failure STATUS TEXT command...
expect_failure ()
{
  local want=$1 text=$2 status=0

  shift 2
  "$@" >"$dir/output" 2>&1 || status=$?
  [ "$status" -eq "$want" ] || fail "$*: status $status instead of $want: $(cat "$dir/output")"
  grep -qF -- "$text" "$dir/output" || fail "$*: $(cat "$dir/output")"
}

expect_failure 1 'another keyfence-kms-sim runs on this state folder' "$sim" --port 0
expect_failure 1 "can't listen on 127.0.0.1 port $port" "$sim" --dir "$dir/other" --port "$port"
expect_failure 2 'which state folder' env -u KEYFENCE_KMS_SIM_DIR "$sim"
expect_failure 2 'a number from 0 to 65535' "$sim" --port 70000
expect_failure 2 'go together' "$sim" --tls-cert "$dir/x"
expect_failure 2 'is not a numeric IP address' "$sim" --dir "$dir/other" --listen localhost
expect_failure 2 'unknown word' "$sim" serve
expect_failure 2 'ctl needs a command' "$sim" ctl
expect_failure 2 "no command is called 'what'" "$sim" ctl what
expect_failure 2 'give an ARN' "$sim" ctl disable
expect_failure 2 'give an ARN' "$sim" ctl disable arn:aws:kms:us-east-1:111122223333:key/none
expect_failure 2 'give an ARN' "$sim" ctl enable https://demo.vault.localhost:1/keys/none
expect_failure 2 'is no source of credentials' "$sim" demo-env --aws what
expect_failure 2 "no operation is called 'Decript'; there are" "$sim" ctl fault deny --op Decript
grep -qE '^  aws-kms: .* Decrypt ' "$dir/output" || fail "it does not say which operations there are: $(cat "$dir/output")"
grep -qE '^  azure-vault: .* UnwrapKey ' "$dir/output" || fail "no operations of Key Vault: $(cat "$dir/output")"
[ "$("$sim" ctl faults | jq length)" = 0 ] || fail "a fault on nothing was switched on"
for operation in all aws azure aws-kms azure-entra decrypt UnwrapKey token AssumeRole GetCredentials imds-token; do
  "$sim" ctl fault deny --op "$operation"
done
[ "$("$sim" ctl faults | jq length)" = 11 ] || fail "faults that are known were refused"
"$sim" ctl clear
expect_failure 2 'Invalid kty value: oct-HSM' "$sim" ctl create-key azure oct --kty oct-HSM
expect_failure 1 'no keyfence-kms-sim runs on' "$sim" ctl --dir "$dir/other" faults
mkdir -m 777 "$dir/shared"
chmod 777 "$dir/shared"
expect_failure 2 'others can write to the state folder' "$sim" --dir "$dir/shared" --port 0

# ---- bad requests -----------------------------------------------------------------------------------

[ "$(ask_status 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')" = 404 ] || fail "a request for nobody"
[ "$(ask_status 'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: TrentService.Decrypt\r\nContent-Length: 2\r\n\r\n{}')" = 400 ] ||
  fail "a request without a signature"
{
  printf 'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: TrentService.Decrypt\r\nContent-Length: 300000\r\n\r\n'
  head -c 300000 /dev/zero
} | ask >"$dir/output"
head -n 1 "$dir/output" | grep -q ' 413 ' || fail "a large body: $(head -n 1 "$dir/output")"
{
  printf 'GET /'
  head -c 9000 /dev/zero | tr '\0' a
  printf ' HTTP/1.1\r\nHost: x\r\n\r\n'
} | ask >"$dir/output"
head -n 1 "$dir/output" | grep -q ' 414 ' || fail "a long path: $(head -n 1 "$dir/output")"
for i in 1 2 3 4 5 6 7 8; do
  head -c $((i * 1000)) /dev/urandom | ask >/dev/null || true
  { printf '\x16\x03\x01'; head -c $((i * 100)) /dev/urandom; } | ask >/dev/null || true
done
printf 'not json\n' | timeout 20 nc -N -U "$state/ctl.sock" | jq -e .error >/dev/null ||
  fail "rubbish on the control socket"
printf '["log",{}]\n' | timeout 20 nc -N -U "$state/ctl.sock" | jq -e .error >/dev/null ||
  fail "a command that is not words"
kill -0 "$sim_pid" || fail "bad requests ended it"

# A delay of one request holds nobody else up.
"$sim" ctl fault delay 30s --op Decrypt
printf 'POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: TrentService.Decrypt\r\nContent-Length: 2\r\n\r\n{}' |
  ask >"$dir/late" &
late=$!
sleep 0.2
[ "$(ask_status 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')" = 404 ] || fail "held up by a delay"
[ ! -s "$dir/late" ] || fail "the delay did not delay"
"$sim" ctl clear
[ "$("$sim" ctl faults | jq length)" = 0 ] || fail "clear left a fault"
# Nor does it hold up the end.
kill_sim TERM
wait "$late" || true
start

# ---- kills ------------------------------------------------------------------------------------------

aws=$("$sim" ctl create-key aws --alias alias/x)
azure=$("$sim" ctl create-key azure k)
[ "$azure" = "https://demo.vault.localhost:$port/keys/k" ] || fail "a key's URL: $azure"
before=$(grep -E 'SECRET|TENANT|CLIENT_ID|ACCESS_KEY_ID' "$dir/env")
for i in 1 2 3 4 5; do
  while "$sim" ctl rotate "$aws" && "$sim" ctl disable "$azure" && "$sim" ctl enable "$azure"; do
    :
  done >/dev/null 2>&1 &
  sleep "0.$((i * 7 % 10))"
  kill_sim KILL
  wait $! || true
  find "$state/aws" "$state/azure" -name '*.json' -exec jq -e . {} + >/dev/null ||
    fail "a kill tore a file"
  start
done
"$sim" ctl disable "$aws"
"$sim" ctl enable "https://demo.vault.localhost:$port/keys/k"
[ "$(grep -E 'SECRET|TENANT|CLIENT_ID|ACCESS_KEY_ID' "$dir/env")" = "$before" ] ||
  fail "the identities changed"
kill_sim TERM
[ ! -e "$state/ctl.sock" ] || fail "it left its control socket"

# ---- in the foreground, with a certificate from outside ---------------------------------------------

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mine \
  -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
start --tls-cert "$dir/cert.pem" --tls-key "$dir/key.pem"
openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | grep 'subject=CN = mine' >/dev/null ||
  fail "it does not show the certificate given"
! openssl s_client -connect "127.0.0.1:$port" -tls1_1 </dev/null >/dev/null 2>&1 ||
  fail "it speaks TLS 1.1"
kill_sim TERM
