#!/bin/bash
# The commands that keyfence-volume(7) shows open a volume without keyfence, and the MAC is what the
# page says it is.
. "$(dirname "$0")/lib.sh"
require cryptsetup openssl jq nbdcopy

cd "$dir"
make_volume disk.img 4M
random_file plain 4M
start_server "$dir/disk.img"
nbdcopy plain "$uri"
stop_server
printf 'kfPlanted for later' >passphrase

# The commands of the page, in order, but those that need the device mapper.
sed -n '/^=head1 OPENING/,/^=head1 SEE/ { /^ /p }' "$here/../../docs/keyfence-volume.pod" |
  sed -e '/^ *cryptsetup open /d' -e 's/luksAddKey/& --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000/' >commands
sed -i -e '/luksAddKey/s|$| passphrase|' -e '/reencrypt/s|reencrypt|& --batch-mode --key-file passphrase|' commands
[ "$(grep -cE 'token export|openssl kdf|openssl enc|luksAddKey|reencrypt' commands)" -eq 5 ] ||
  fail "the page no longer has the commands that this test knows"
bash -eux commands >commands.log 2>&1 || fail "a command of keyfence-volume(7) failed"
assert_eq "$(stat -c %s volume.key)" 64 "bytes of the volume key"
cmp -n $((4 << 20)) plain plain.img || fail "decrypted to other bytes"

# Another volume's wrap does not open by this key and this volume's uuid.
make_volume other.img 1M
sed -e 's/disk\.img/other.img/' -e '/luksUUID/s/other/disk/' -e '/luksAddKey/,$d' commands >wrong
! bash -eu wrong >wrong.log 2>&1 || fail "a wrap was opened with another volume's uuid"

# The MAC, computed from the page's description alone.
command -v python3 >/dev/null || skip "python3 is not installed (the rest passed)"
bash -eu <(sed '/luksAddKey/,$d' commands) >commands.log 2>&1
python3 - disk.img volume.key <<'EOF' || fail "the MAC is not the one that keyfence-volume(7) describes"
import base64, hashlib, hmac, json, struct, subprocess, sys

def cryptsetup(*args):
    return subprocess.run(['cryptsetup', *args], check=True, capture_output=True, text=True).stdout

disk, key = sys.argv[1], open(sys.argv[2], 'rb').read()
token = json.loads(cryptsetup('token', 'export', '--token-id', '0', disk))
uuid = cryptsetup('luksUUID', disk).strip()
number = lambda n: struct.pack('<Q', n)
data = lambda b: number(len(b)) + b
text = lambda s: data(s.encode())
blob = lambda s: data(base64.b64decode(s))
form = text('keyfence header v1') + number(token['version'])
form += text(uuid) + text('aes-xts-plain64') + number(512) + number(4096) + number(1 << 20) + number(1)
form += number(len(token['wraps']))
for w in token['wraps']:
    form += number(w['id']) + b''.join(text(w[n]) for n in ('role', 'key', 'key_version', 'algorithm'))
    form += b''.join(blob(w[n]) for n in ('wrapped', 'probe', 'probe_digest')) + text(w['created'])
form += number(len(token['history']))
for h in token['history']:
    form += b''.join(text(h[n]) for n in ('key', 'key_version', 'from', 'until'))
extracted = hmac.digest(uuid.encode(), key, 'sha256')
mac_key = hmac.digest(extracted, b'keyfence header v1\x01', 'sha256')
mac = hmac.digest(mac_key, form, 'sha256')
sys.exit(base64.b64encode(mac).decode() != token['mac'])
EOF
