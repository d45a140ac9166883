#!/bin/bash
# DNS fails in the ways that it can, for a server that runs: that is an outage, the lease runs, and a
# secondary may hold it; but a name that is said not to exist may be the owner's no, and permits no
# failing over.  In a network and with a resolver of its own.
# shellcheck disable=SC2154  # of lib.sh
if [ "${KEYFENCE_IN_NAMESPACE:-}" != yes ] && unshare -n true 2>/dev/null; then
  KEYFENCE_IN_NAMESPACE=yes exec unshare -n "$0"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
[[ ${KEYFENCE_IN_NAMESPACE:-} = yes && -n ${KEYFENCE_OWN_MOUNTS:-} ]] || skip "no namespaces for mounts and networks (not root?)"
require jq nc ip python3

ip link set lo up
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$dir/resolv.conf"
printf 'hosts: files dns\n' >"$dir/nsswitch.conf"
printf '127.0.0.1 localhost\n' >"$dir/hosts"
for file in resolv.conf nsswitch.conf hosts; do
  mount --bind "$dir/$file" "$(realpath "/etc/$file")" || skip "/etc/$file can't be covered"
done

# dns WORD: how the resolver answers from now on.
dns ()
{
  echo "$1" >"$dir/dns.new"
  mv "$dir/dns.new" "$dir/dns"
}

# Not getent, which has no use for addresses where there is no network but loopback.
resolves ()
{
  python3 -c 'import socket; socket.getaddrinfo ("kms.keyfence.test", None)' 2>/dev/null
}

# dns_up, dns_gone: whether there is one at all.
dns_up ()
{
  python3 "$here/dns-double.py" 53 "$dir/dns" 2>"$dir/dns.log" &
  dns_pid=$!
  wait_for 20 resolves ||
    fail "the DNS server does not answer: $(cat "$dir/dns.log")"
}
dns_gone ()
{
  kill "$dns_pid"
  wait "$dns_pid" || true
}
# shellcheck disable=SC2016  # looked up at the end
at_exit 'kill "$dns_pid" 2>/dev/null'
dns address
dns_up

# The services by names that only this resolver knows, and a certificate for them.
aws_start
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 30 -keyout "$dir/test.key" -out "$dir/test.pem" \
  -addext 'subjectAltName=DNS:kms.keyfence.test,DNS:localhost,DNS:*.vault.localhost' 2>"$dir/openssl.log"
sim_pid=$(cat "$sim_dir/pid")
kill "$sim_pid"
wait_for 10 dead "$sim_pid" || fail "the simulator does not end"
"$sim" --dir "$sim_dir" --port "$sim_port" --background --tls-cert "$dir/test.pem" --tls-key "$dir/test.key" \
  2>"$dir/sim.log" || fail "the simulator does not start: $(cat "$dir/sim.log")"
export AWS_CA_BUNDLE=$dir/test.pem SSL_CERT_FILE=$dir/test.pem
azure_key kek
azure=$key
aws_key
aws=$key
export AWS_ENDPOINT_URL=https://kms.keyfence.test:$sim_port
make_volume "$dir/disk" 16M

# ---- a running server --------------------------------------------------------------------------------------
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 64k 0x41" flush
dns nxdomain
sleep $((3 * patience))
assert_json "$(server_status_json)" '.state == "active" and .checks.outage == 0' "DNS was asked though there was a connection"

# A connection that is there needs no DNS, and its address is kept for a while: only a new agent has to
# ask.
agent_anew ()
{
  kill -KILL "$(server_status_json | jq .agent_pid)"
}

# in_grace WORD REASON: I/O goes on without an error; then DNS is well, and so is the disk.
in_grace ()
{
  agent_anew
  await_status 20 ".state == \"grace\" and (.reason | test (\"^($2)\$\")) and .lease_left_s > 3000"
  printf '%-9s grace, %s\n' "$1" "$(server_status_json | jq -r .reason)"
  nbd_io "read 0 64k 0x41" "write 64k 64k 0x42" flush
}
for case in servfail:dns refused:dns silent:'dns|timeout' nxdomain:nxdomain nodata:nxdomain; do
  dns "${case%%:*}"
  in_grace "${case%%:*}" "${case#*:}"
  dns address
  await_state active 20
done
dns_gone
in_grace gone dns
dns_up
await_state active 20
assert_json "$(server_status_json)" '.fences == 0 and .io.refused == 0'
stop_server

# Fenced, and started, without DNS: open when it is back.
dns servfail
start_server "$dir/disk" "${fast[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "dns"'
dns address
await_state active 20
stop_server

# ---- with a secondary ----------------------------------------------------------------------------------------
key=$aws
make_volume "$dir/two" 16M --secondary "$azure"
start_server "$dir/two" "${fast[@]}" grace=$((10 * patience))s
nbd_io "write 0 64k 0x41" flush
dns servfail
agent_anew
await_status 20 '.state == "active" and .held_by == "secondary"'
sleep $((12 * patience))
assert_json "$(server_status_json)" '.state == "active" and .held_by == "secondary" and .fences == 0'
dns address
await_status 20 '.state == "active" and .held_by == "primary"'

ctl log --clear >/dev/null
dns nxdomain
agent_anew
await_status 20 '.state == "grace" and .reason == "nxdomain"'
nbd_io "read 0 64k 0x41"
await_state fenced $((15 * patience))
assert_json "$(server_status_json)" '.reason == "nxdomain"'
assert_refused
sleep 3
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "nxdomain"'
assert_eq "$(ctl log --op UnwrapKey --count)" 0 "requests to the secondary while the primary's name does not exist"
# It was not said that there is no such name any more: an outage, by which the secondary opens.
dns servfail
await_status 20 '.state == "active" and .held_by == "secondary"'
nbd_io "read 0 64k 0x41"
dns address
await_status 20 '.state == "active" and .held_by == "primary"'
stop_server
