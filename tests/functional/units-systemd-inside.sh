#!/bin/bash
# units-systemd-inside.sh owns what units-systemd.sh tries in its container; it runs there as a service.
set -euo pipefail
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
patience=${patience:-1}
uri='nbd+unix:///?socket=/run/keyfence/wages.nbd'
cd /tmp

fail ()
{
  echo "FAIL: $*"
  exit 1
}
trap 'echo "line $LINENO: $BASH_COMMAND"' ERR

# wait_for SECONDS command...
wait_for ()
{
  local end=$((SECONDS + $1 * patience + 1))

  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

state_is ()
{
  [ "$(keyfence status --json wages | jq -r .state)" = "$1" ]
}

property ()
{
  systemctl show --property="$1" --value "$2"
}

# ---- a volume with a name ------------------------------------------------------------------------------
cat >/etc/keyfence/hook <<'END'
#!/bin/sh
exec systemctl start --no-block "hooked@$KEYFENCE_STATE.service"
END
chmod 755 /etc/keyfence/hook
printf '%s\n' '[Service]' 'Type=oneshot' "ExecStart=/bin/sh -c 'echo %i >>/run/hooked'" >/run/systemd/system/hooked@.service
printf '%s\n' 'path = /srv/keyfence/wages.kf' 'check-interval = 1s' 'confirm-delay = 500ms' \
  'audit-log = /var/log/keyfence/wages.jsonl' 'hook = /etc/keyfence/hook' >/etc/keyfence/wages.conf
systemctl daemon-reload
keyfence create wages --size 32M --key file:///etc/keyfence/kek >/dev/null
systemctl start keyfence@wages.socket keyfence@wages.service
state_is active || fail "not active: $(keyfence status wages)"
[[ $(property StatusText keyfence@wages.service) == active* ]] || fail "systemd does not know the state"
[ "$(stat -c '%a %U' /run/keyfence/wages.nbd /run/keyfence/wages.agent | sort -u)" = '600 root' ] || fail "modes of the sockets"
openssl rand 33554432 >data
nbdcopy --flush data "$uri"
echo "served, by $(keyfence status --json wages | jq -c '[.engine, .engine_note, .crypto, .cache, .memory_locked]')"

# ---- its sandbox --------------------------------------------------------------------------------------------
server=$(property MainPID keyfence@wages.service)
agent=$(property MainPID keyfence-agent@wages.service)
for pid in "$server" "$agent"; do
  grep -E '^CapEff:.0+$' /proc/"$pid"/status >/dev/null || fail "process $pid has capabilities"
  grep -E '^Seccomp:.2$' /proc/"$pid"/status >/dev/null || fail "process $pid has no filter of system calls"
  grep -E '^NoNewPrivs:.1$' /proc/"$pid"/status >/dev/null || fail "process $pid may get privileges"
  grep -E '^Max core file size +0 +0 ' /proc/"$pid"/limits >/dev/null || fail "process $pid may dump core"
done
[ "$(readlink /proc/"$server"/ns/net)" != "$(readlink /proc/self/ns/net)" ] || fail "the server has the network"
[ "$(nsenter --net=/proc/"$server"/ns/net ip -o link | grep -vc ' lo:')" -eq 0 ] || fail "the server's network is more than loopback"
[ "$(readlink /proc/"$agent"/ns/net)" = "$(readlink /proc/self/ns/net)" ] || fail "the agent has no network"
! pgrep -P "$server" >/dev/null || fail "the server has children"

# ---- orders, and an agent that dies -------------------------------------------------------------------------
systemctl reload keyfence@wages.service
systemctl kill --signal=KILL keyfence-agent@wages.service
another_agent ()
{
  local now

  now=$(property MainPID keyfence-agent@wages.service)
  [ "$now" -ne 0 ] && [ "$now" -ne "$agent" ] && state_is active
}
wait_for 20 another_agent || fail "no other agent"
systemctl restart keyfence-agent@wages.service
wait_for 20 state_is active || fail "not active after the agent's restart"
[ "$(keyfence status --json wages | jq .fences)" -eq 0 ] || fail "it was fenced"

# ---- revoked, and restored; the hook has systemd do something ------------------------------------------------
mv /etc/keyfence/kek /etc/keyfence/away
wait_for 20 state_is fenced || fail "not fenced"
! nbdcopy "$uri" null: 2>/dev/null || fail "a fenced disk is read"
[[ $(property StatusText keyfence@wages.service) == fenced* ]] || fail "systemd does not know that it is fenced"
mv /etc/keyfence/away /etc/keyfence/kek
wait_for 20 state_is active || fail "not active again"
hooked ()
{
  [ "$(tr '\n' ' ' </run/hooked)" = "active fenced active " ]
}
wait_for 20 hooked || fail "hooks: $(tr '\n' ' ' </run/hooked)"

# ---- restart: clients wait at the socket ----------------------------------------------------------------------
systemctl stop keyfence@wages.service 2>/dev/null
nbdinfo --size "$uri" >/dev/null || fail "a client does not start the server"
for _ in 1 2 3; do
  systemctl restart keyfence@wages.service
  nbdcopy "$uri" back
  cmp data back || fail "the data are not what they were"
done

# A start that fails is tried again, without a rush, and who waits is served in the end.
systemctl stop keyfence@wages.service 2>/dev/null
mv /srv/keyfence/wages.kf /srv/keyfence/away
starts ()
{
  journalctl -b -o cat -u keyfence@wages.service | grep -c '^Starting'
}
before=$(starts)
since=$SECONDS
nbdinfo --size "$uri" >size 2>&1 &
client=$!
has_failed_often ()
{
  [ "$(starts)" -ge $((before + 4)) ]
}
wait_for 30 has_failed_often || fail "it is not tried again"
[ "$(starts)" -le $((before + SECONDS - since + 2)) ] || fail "it is started in a loop: $(($(starts) - before)) times in $((SECONDS - since)) s"
[ "$(property ActiveState keyfence@wages.socket)" = active ] || fail "the socket was given up"
mv /srv/keyfence/away /srv/keyfence/wages.kf
wait "$client" || fail "the client that waited was refused: $(cat size)"
[ "$(cat size)" = 33554432 ] || fail "the client that waited got $(cat size)"

# ---- the end --------------------------------------------------------------------------------------------------
systemctl stop keyfence@wages.socket keyfence@wages.service keyfence-agent@wages.socket keyfence-agent@wages.service
! pgrep nbdkit >/dev/null || fail "a server is left"
! pgrep keyfence-agent >/dev/null || fail "an agent is left"
[ -z "$(find /run/keyfence -name 'wages.*')" ] || fail "sockets are left"
failed=$(systemctl list-units --failed --no-legend --plain 'keyfence*')
[ -z "$failed" ] || fail "failed: $failed"
echo "all is as it should be"
