# shellcheck shell=bash
# lib-activate.sh owns sockets that outlive their servers, as systemd's socket units have them
# (activator.py).  Source it after lib.sh.
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh

# activate NAME stream|seqpacket COMMAND...: listens at $dir/NAME.activated; what is said goes to
# $dir/NAME.log.
activate ()
{
  local name=$1 kind=$2

  shift 2
  "$here/activator.py" "$kind" "$dir/$name.activated" "$dir/$name.pid" "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  server_pids["$name"]=$!
  wait_for 20 test -e "$dir/$name.pid" || fail "activator.py: $(cat "$dir/$name.log")"
}

# activated_pid NAME: of the command that runs now; nothing while there is none.
activated_pid ()
{
  cat "$dir/$1.pid"
}

# runs_another NAME PID: a command runs that is not that process.
runs_another ()
{
  local now

  now=$(activated_pid "$1")
  [ -n "$now" ] && [ "$now" != "$2" ]
}

# agent_at NAME [options of the agent]: an agent that listens, at $agent_socket.
agent_at ()
{
  local name=$1

  shift
  agent_socket=$dir/$name.activated
  activate "$name" seqpacket "$KEYFENCE_BUILD/kms/keyfence-agent" --listen"${1:+=$1}"
}
