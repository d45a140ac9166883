# shellcheck shell=bash
# lib-exporter.sh owns what the tests of the exporter share: played volumes, the exporter, requests.
# Source it after lib.sh.
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh
exporter_pid='' exporter_port='' exporter_url='' head='' body=''

"$KEYFENCE" help --list | grep $'^command\texporter\t' >/dev/null || fail "there is no keyfence exporter"
! "$KEYFENCE" exporter --listen 127.0.0.1:x 2>&1 | grep 'built without' >/dev/null ||
  skip "the exporter was not built"

# start_volumes FOLDER VOLUME...: by exporter-volumes.py, which lists what there is.
start_volumes ()
{
  local folder=$1 pid

  mkdir -p "$folder"
  mkfifo "$folder.stop"
  python3 "$here/exporter-volumes.py" "$@" >"$folder.ready" 2>"$folder.log" <"$folder.stop" &
  pid=$!
  exec {volumes_fd}>"$folder.stop"
  at_exit "kill $pid 2>/dev/null"
  wait_for 20 grep -q ready "$folder.ready" || fail "no volumes: $(cat "$folder.log")"
}

# socket_of FOLDER VOLUME: the name that its socket has, without ".sock".
socket_of ()
{
  local hex

  printf -v hex '%012s' "$(printf %s "${2:0:6}" | xxd -p)"
  basename "$(echo "$1"/*-"${hex// /0}".sock)" .sock
}

# start_exporter [options...]: sets exporter_pid, exporter_port and exporter_url.
start_exporter ()
{
  : >"$dir/exporter.url"
  "${exporter_command[@]:-$KEYFENCE}" exporter --listen 127.0.0.1:0 "$@" >"$dir/exporter.url" 2>>"$dir/exporter.log" &
  exporter_pid=$!
  at_exit "kill -KILL $exporter_pid 2>/dev/null"
  wait_for 20 grep -q http "$dir/exporter.url" || fail "the exporter does not start: $(cat "$dir/exporter.log")"
  exporter_url=$(cat "$dir/exporter.url")
  exporter_port=${exporter_url##*:}
  exporter_port=${exporter_port%/}
}

# stop_exporter: SIGTERM; it must end, and well.
stop_exporter ()
{
  local status=0

  kill -TERM "$exporter_pid" 2>/dev/null || fail "the exporter has died before its time"
  wait_for 20 dead "$exporter_pid" || fail "the exporter did not obey SIGTERM"
  wait "$exporter_pid" || status=$?
  assert_eq "$status" 0 "exit status of the exporter"
}

# request METHOD PATH [HEADER...]: sets $head (the status line and headers) and $body.
request ()
{
  local method=$1 path=$2 headers=("Host: localhost:$exporter_port")

  shift 2
  [ $# -eq 0 ] || headers=("$@")
  { printf '%s %s HTTP/1.1\r\nConnection: close\r\n' "$method" "$path"; printf '%s\r\n' "${headers[@]}" ''; } |
    timeout $((20 * patience)) nc 127.0.0.1 "$exporter_port" >"$dir/answer" || fail "no answer to $method $path"
  head=$(tr -d '\r' <"$dir/answer" | sed -n '1,/^$/p')
  body=$(tr -d '\r' <"$dir/answer" | sed '1,/^$/d')
}

# fresh_metrics: later than what the exporter may still remember.
fresh_metrics ()
{
  sleep 1.1
  request GET /metrics
}

# assert_sample 'NAME{LABELS} VALUE': a line of the answer.
assert_sample ()
{
  grep -qxF -- "$1" <<<"$body" || fail "no $1 in: $(grep -F -- "${1%%\{*}" <<<"$body" || true)"
}
