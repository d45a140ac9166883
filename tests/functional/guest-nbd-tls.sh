#!/bin/bash
# The kernel's NBD client over TCP with TLS, both sides by certificates: a machine mounts the disk that a
# server on another host has, here the host of the machine's network.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-guest.sh"
. "$(dirname "$0")/lib-guide.sh"
require nbd-client openssl nbdinfo nbdcopy debugfs
guest_programs+=("$helpers/guest-journal" nbd-client mke2fs e2fsck)
guest_modules+=(nbd)
guest_memory=384M
guest_needs_network

# certificate NAME: signed by the authority of this test.
certificate ()
{
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$dir/tls/$1-key.pem" -out "$dir/tls/$1.csr"
  openssl x509 -req -in "$dir/tls/$1.csr" -CA "$dir/tls/ca-cert.pem" -CAkey "$dir/tls/ca-key.pem" -days 2 \
    -extfile <(echo "subjectAltName = DNS:store.example") -out "$dir/tls/$1-cert.pem"
}

guide_of virtual-machines
mkdir "$dir/tls"
{
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=authority of a test' \
    -keyout "$dir/tls/ca-key.pem" -out "$dir/tls/ca-cert.pem"
  certificate server
  certificate client
  # By another authority.
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=client' \
    -keyout "$dir/tls/stranger-key.pem" -out "$dir/tls/stranger-cert.pem"
} >"$dir/openssl.log" 2>&1

make_volume "$dir/disk" 64M
port=$((20000 + RANDOM % 20000))
keyfence serve --port "$port" --foreground "$dir/disk" -- --tls=require --tls-certificates="$dir/tls" \
  --tls-verify-peer >"$dir/server.log" 2>&1 </dev/null &
server=$!
at_exit "kill $server 2>/dev/null"
control=$KEYFENCE_RUNDIR/$(volume_uuid "$dir/disk").sock
wait_for 30 test -S "$control" || fail "the server did not start"
# Without TLS nobody gets in.
expect_fail any 'TLS|server requires|denied' nbdinfo "nbd://127.0.0.1:$port"

guest_start
for file in ca-cert.pem client-cert.pem client-key.pem stranger-cert.pem stranger-key.pem; do
  guest_put "$dir/tls/$file" "/run/$file"
done

# connect WHO: as the guide on virtual machines says, with WHO's certificate.
connect ()
{
  guest "echo '10.0.2.2 store.example' >/etc/hosts
    $(guide_block nbd-client | sed "s|10809|$port|; s|/etc/pki/nbd/client|/run/$1|g; s|/etc/pki/nbd/|/run/|g")"
}

nbd_size ()
{
  guest 'cat /sys/block/nbd0/size'
}

! connect stranger >"$dir/stranger.log" || [ "$(nbd_size)" -eq 0 ] ||
  fail "a client with a certificate of another authority got in"
connect client >"$dir/client.log" || fail "nbd-client: $(cat "$dir/client.log")"
assert_eq "$(nbd_size)" $((64 << 11)) "sectors of the disk in the guest"
guest mke2fs -q -t ext4 /dev/nbd0
guest 'mkdir /disk && mount -t ext4 /dev/nbd0 /disk'
guest_journal_start /disk/journal
guest_journal_grows 50
guest_journal_stop /disk/journal
last=$(guest_journal_last)
guest 'umount /disk && e2fsck -fn /dev/nbd0'
guest_saw_no_error
guest 'nbd-client -d /dev/nbd0' >"$dir/client.log" || fail "nbd-client -d: $(cat "$dir/client.log")"
guest_stop
kill "$server"
wait_for 30 dead "$server" || fail "the server did not end"

# On this host, from the volume: the same journal.
start_server "$dir/disk"
nbdcopy "$uri" "$dir/image"
stop_server
debugfs -R "dump /journal $dir/journal" "$dir/image" 2>"$dir/debugfs.log"
"$helpers/guest-journal" check "$dir/journal" "$last"
