# shellcheck shell=bash
# lib.sh owns what the functional tests share: a private folder, volumes, servers, assertions.
#
# A test sources it first and then says what it does:
#
#   . "$(dirname "$0")/lib.sh"
#   require nbdcopy
#   make_volume "$dir/disk" 64M
#   start_server "$dir/disk" cache=none
#   nbdcopy "$dir/plain" "$uri"
#   stop_server
#
# The environment, set by meson (outside of meson: the folder build/ of this tree):
#   KEYFENCE_BUILD    the build folder
#   KEYFENCE          the program keyfence
#   KEYFENCE_PRELOAD  a sanitizer's runtime, for plugins that are loaded into a plain nbdkit
#   KEYFENCE_WRAPPER  a command before nbdkit, as "valgrind --error-exitcode=99"
#   KEYFENCE_PATIENCE how many times longer than usual to wait (1)
#   KEYFENCE_ENGINE   the engine of servers that are not told another one
#   KEYFENCE_CACHE    the same for their cache mode
#   KEYFENCE_KEEP     1: don't remove the private folder
#   KEYFENCE_LOGS     a folder that keeps what was logged and said, for scripts/leaks
#
# What a test may use: $dir (its private folder), $kek and $key (the KEK's file and URI, after
# make_kek or make_volume), $uri (of the last server started), $log (its log), $control (its control
# socket, or none), $server_pid.
# shellcheck disable=SC2034  # variables for those who source this
#
# In mounts of its own: one that another test's namespace had copied would keep its disk busy.
if [ -z "${KEYFENCE_OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
  KEYFENCE_OWN_MOUNTS=1 exec unshare --mount --propagation private -- "$0" "$@"
fi

set -euo pipefail
# A failure inside $(...) or in a function that is called there counts too.
shopt -s inherit_errexit

KEYFENCE_BUILD=$(realpath "${KEYFENCE_BUILD:-$(dirname "${BASH_SOURCE[0]}")/../../build}")
KEYFENCE=${KEYFENCE:-$KEYFENCE_BUILD/tools/keyfence}
NBDKIT=${NBDKIT:-nbdkit}
plugin=$KEYFENCE_BUILD/nbd-plugin/nbdkit-keyfence-plugin.so
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
helpers=$KEYFENCE_BUILD/tests/functional
patience=${KEYFENCE_PATIENCE:-1}
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

dir=$(mktemp -d "${TMPDIR:-/tmp}/keyfence-test.XXXXXX")
dir=$(realpath "$dir")
export KEYFENCE_RUNDIR=$dir/run
mkdir -m 700 "$KEYFENCE_RUNDIR"

declare -A server_pids=()  # of servers that run, by name
cleanup_commands=()        # run in reverse order at exit
nbdkit_options=()          # given to every nbdkit started here
server_env=()              # VAR=VALUE for every nbdkit started here
server_preload=''          # libraries for every nbdkit started here, besides the sanitizer's
uri='' log='' control='' server_pid='' server_status='' kek='' key='' device='' fuse_pid=''

# ---- ending -----------------------------------------------------------------------------------------

# Registers a command line (a string) for the end, however it comes.
at_exit ()
{
  cleanup_commands+=("$1")
}

# Logs, what commands said (output), and what servers left beside their sockets; never where secrets are
# at home (keys, the simulator's state but for its log).
keep_logs ()
{
  local folder f

  [ -n "${KEYFENCE_LOGS:-}" ] || return 0
  folder=$(mktemp -d "$KEYFENCE_LOGS/${0##*/}.XXXXXX") || return 0
  find "$dir" -maxdepth 3 -type f -size -16M \
    \( -name '*.log' -o -name output -o -name requests.jsonl -o -name 'audit*' -o -path "$KEYFENCE_RUNDIR/*" \) -print0 |
    while IFS= read -r -d '' f; do
      f=${f#"$dir/"}
      cp -- "$dir/$f" "$folder/${f//\//_}"
    done
}

# keyfence_test_end is the one exit trap: servers die, what was registered is undone, logs of a
# failed test are shown, the folder goes.
keyfence_test_end ()
{
  local status=$? name i f

  set +e
  trap '' INT TERM PIPE
  for ((i = ${#cleanup_commands[@]} - 1; i >= 0; i--)); do
    eval "${cleanup_commands[i]}"
  done
  for name in "${!server_pids[@]}"; do
    kill -KILL "${server_pids[$name]}" 2>/dev/null
    wait "${server_pids[$name]}" 2>/dev/null
  done
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    for f in "$dir"/*.log "$dir"/output; do
      [ -s "$f" ] && printf -- '---- %s (end) ----\n' "${f##*/}" >&2 && tail -n 40 "$f" >&2
    done
    printf 'FAILED: %s (exit status %d)\n' "${0##*/}" "$status" >&2
  fi
  keep_logs
  if [ "${KEYFENCE_KEEP:-0}" = 1 ]; then
    printf 'kept: %s\n' "$dir" >&2
  else
    rm -rf "$dir"
  fi
  exit "$status"
}
trap keyfence_test_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip ()
{
  printf 'SKIP: %s\n' "$*"
  exit 77
}

fail ()
{
  printf 'FAIL: %s\n' "$*" >&2
  exit 1
}

# ---- prerequisites ----------------------------------------------------------------------------------

# require CMD...: the test makes no sense without these commands.
require ()
{
  local cmd

  for cmd in "$@"; do
    command -v "$cmd" >/dev/null || skip "$cmd is not installed"
  done
}

require_root ()
{
  [ "$(id -u)" -eq 0 ] || skip "not root"
}

require_loop ()
{
  require_root
  require losetup
  losetup -f >/dev/null 2>&1 || skip "no loop devices"
}

require_fuse ()
{
  [ -w /dev/fuse ] || skip "/dev/fuse can't be used"
}

# Not under valgrind or a sanitizer that the test can't stand: not_under "reason".
not_under_wrapper ()
{
  [ -z "${KEYFENCE_WRAPPER:-}${KEYFENCE_PRELOAD:-}" ] || skip "$*"
}

# ---- programs ---------------------------------------------------------------------------------------

# The program, with the sanitizer's runtime for the nbdkit that `keyfence serve` becomes.
keyfence ()
{
  if [ -n "${KEYFENCE_PRELOAD:-}" ]; then
    LD_PRELOAD=$KEYFENCE_PRELOAD "$KEYFENCE" "$@"
  else
    "$KEYFENCE" "$@"
  fi
}

# make_kek [FILE]: a new KEK; sets $kek and $key.  It begins as all secrets of the tests do (scripts/leaks).
# shellcheck disable=SC2120
make_kek ()
{
  kek=${1:-$dir/kek}
  key=file://$kek
  (umask 077 && rm -f "$kek" && { printf kfPlanted; head -c 23 /dev/urandom; } >"$kek")
}

# make_volume FILE SIZE [arguments of create...]: a volume under $key (a new KEK unless there is one).
make_volume ()
{
  local file=$1 size=$2

  shift 2
  [ -n "$key" ] || make_kek "$dir/kek"
  keyfence create --size "$size" --key "$key" "$@" "$file" >"$dir/create.log" 2>&1 ||
    { cat "$dir/create.log" >&2; fail "keyfence create $file"; }
}

# Not by cryptsetup, which mends a damaged header when it reads it.  The place is fixed: LUKS2 On-Disk
# Format Specification, section 2.1.
volume_uuid ()
{
  dd if="$1" bs=1 skip=168 count=36 status=none
}

# ---- servers ----------------------------------------------------------------------------------------

# wait_for SECONDS command...: until the command succeeds; 1 when it never did.
wait_for ()
{
  local end=$((SECONDS + $1 * patience + 1))

  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# A process that the shell has reaped meanwhile is one that ps knows nothing of; one whose first thread has
# ended is a zombie already while others still hold its files and locks.
alive ()
{
  local state threads

  kill -0 "$1" 2>/dev/null && read -r state threads < <(ps -o state=,nlwp= -p "$1" 2>/dev/null) &&
    { [ "$state" != Z ] || [ "$threads" -gt 1 ]; }
}

dead ()
{
  ! alive "$1"
}

# The pid file comes before the key has been asked for; who gets an answer knows that the start is over.
up_or_dead ()
{
  dead "${server_pids[$1]}" || { [ -s "$dir/$1.pid" ] &&
    timeout 10 "$helpers/nbd-io" "nbd+unix:///?socket=$dir/$1.nbd" size >/dev/null 2>&1; }
}

# start_named NAME VOLUME [parameters...]: 1 when nbdkit ended instead of serving (server_status is its
# exit status, $dir/NAME.log says why).
start_named ()
{
  local name=$1 volume=$2 preload=${KEYFENCE_PRELOAD:-} pid

  shift 2
  [ -z "${server_pids[$name]:-}" ] || fail "start_named: a server $name runs already"
  preload+=${preload:+${server_preload:+:}}$server_preload
  rm -f "$dir/$name.pid" "$dir/$name.nbd"
  # shellcheck disable=SC2086  # the wrapper is a command with its arguments
  env ${preload:+"LD_PRELOAD=$preload"} "${server_env[@]}" ${KEYFENCE_WRAPPER:-} "$NBDKIT" -f \
    -P "$dir/$name.pid" -U "$dir/$name.nbd" "${nbdkit_options[@]}" "$plugin" "$volume" \
    ${KEYFENCE_ENGINE:+"engine=$KEYFENCE_ENGINE"} ${KEYFENCE_CACHE:+"cache=$KEYFENCE_CACHE"} "$@" \
    >>"$dir/$name.log" 2>&1 </dev/null &
  pid=$!
  server_pids[$name]=$pid
  wait_for 60 up_or_dead "$name" || fail "nbdkit neither serves nor ends"
  if dead "$pid"; then
    unset "server_pids[$name]"
    server_status=0
    wait "$pid" || server_status=$?
    return 1
  fi
  server_pid=$pid
  log=$dir/$name.log
  uri="nbd+unix:///?socket=$dir/$name.nbd"
  control=$KEYFENCE_RUNDIR/$(volume_uuid "$volume").sock
}

# start_server VOLUME [parameters...]: must come up.
start_server ()
{
  start_named main "$@" || fail "nbdkit did not start: $(tail -n 1 "$dir/main.log")"
}

# expect_no_start 'regex' VOLUME [parameters...]: must refuse to start, saying so.
expect_no_start ()
{
  local regex=$1 from

  shift
  touch "$dir/refused.log"
  from=$(wc -l <"$dir/refused.log")
  ! start_named refused "$@" || fail "nbdkit started, though it should have refused: $*"
  [ "$server_status" -lt 126 ] || fail "nbdkit crashed (exit status $server_status)"
  tail -n +$((from + 1)) "$dir/refused.log" >"$dir/output"
  grep -qE -- "$regex" "$dir/output" ||
    { cat "$dir/output" >&2; fail "nbdkit's message does not match: $regex"; }
}

# stop_server [NAME]: SIGTERM; it must end, and well.
stop_server ()
{
  local name=${1:-main} pid status=0

  pid=${server_pids[$name]}
  kill -TERM "$pid" 2>/dev/null || fail "server $name has died before its time"
  wait_for 60 dead "$pid" || fail "server $name did not obey SIGTERM"
  unset "server_pids[$name]"
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || fail "server $name ended with status $status"
}

# kill_server [NAME]: SIGKILL, as a crash or the OOM killer would.
kill_server ()
{
  local name=${1:-main} pid

  pid=${server_pids[$name]}
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
  unset "server_pids[$name]"
}

# The status object, in one line, by the control socket itself (not by the CLI).
server_status_json ()
{
  wait_for 10 test -S "${1:-$control}" || fail "there is no control socket ${1:-$control}"
  printf 'status\n' | timeout $((10 * patience)) nc -U -N "${1:-$control}"
}

# ---- faults in the backing store (faultio.c) ------------------------------------------------------------

# faults_below FILE: servers started from now on have faultio.so between them and this file.
faults_below ()
{
  server_preload=$helpers/faultio.so
  server_env+=("KEYFENCE_FAULT_FILE=$1" "KEYFENCE_FAULT_RULE=$dir/rule")
}

# arm OP WHAT SKIP COUNT, as faultio.c says.
arm ()
{
  echo "$*" >"$dir/rule.new"
  rm -f "$dir/rule.hits"
  mv "$dir/rule.new" "$dir/rule"
}

# disarm: the fault must have been met by then.
disarm ()
{
  rm -f "$dir/rule"
  [ -s "$dir/rule.hits" ] || fail "the fault was never met: $(cat "$dir/rule" 2>/dev/null)"
}

# ---- clients ----------------------------------------------------------------------------------------

# nbd_io COMMAND...: to the server started last (nbd-io.c).
nbd_io ()
{
  timeout $((60 * patience)) "$helpers/nbd-io" "$uri" "$@"
}

nbd_model ()
{
  timeout $((100 * patience)) "$helpers/nbd-model" "$@"
}

nbd_journal ()
{
  timeout $((100 * patience)) "$helpers/nbd-journal" "$@"
}

# fuse_attach: the disk of the server started last as a block device, $device, by nbdfuse and a loop device.
fuse_attach ()
{
  mkdir -p "$dir/fuse"
  nbdfuse "$dir/fuse/disk" "$uri" >"$dir/nbdfuse.log" 2>&1 &
  fuse_pid=$!
  at_exit "umount -l '$dir/fuse' 2>/dev/null"
  wait_for 20 test -e "$dir/fuse/disk" || fail "nbdfuse: $(cat "$dir/nbdfuse.log")"
  device=$(losetup -f --show "$dir/fuse/disk")
  # By name only while it is ours: another test may have it next.
  # shellcheck disable=SC2016  # looked up at the end
  at_exit '[ -z "$device" ] || losetup -d "$device"'
}

fuse_detach ()
{
  losetup -d "$device"
  device=''
  # The kernel lets go of the file a little later.
  wait_for 20 fusermount3 -u "$dir/fuse" 2>>"$dir/nbdfuse.log" || fail "nbdfuse can't be unmounted"
  wait "$fuse_pid"
}

# ---- keys -------------------------------------------------------------------------------------------

# export_volume_key VOLUME FILE: the volume key by standard tools alone, as keyfence-volume(7) says.
export_volume_key ()
{
  local token uuid wrapping_key

  uuid=$(volume_uuid "$1")
  token=$(cryptsetup luksDump --dump-json-metadata "$1" |
    jq -c '[.tokens[] | select (.type == "keyfence")][0].wraps[0]')
  wrapping_key=$(openssl kdf -keylen 32 -binary -kdfopt digest:SHA256 \
    -kdfopt "hexkey:$(xxd -p -c 64 "$kek")" -kdfopt "salt:$uuid" \
    -kdfopt "info:keyfence file wrap v1" HKDF | xxd -p -c 64)
  jq -r .wrapped <<<"$token" | base64 -d |
    openssl enc -d -id-aes256-wrap -K "$wrapping_key" -iv A6A6A6A6A6A6A6A6 >"$2"
}

# ---- assertions -------------------------------------------------------------------------------------

# expect_fail CODE 'regex' command...: ends with this exit status ("any": anything but 0 and a
# crash) and says something that matches.  What it said is left in $dir/output.
expect_fail ()
{
  local code=$1 regex=$2 status=0

  shift 2
  "$@" >"$dir/output" 2>&1 </dev/null || status=$?
  [ "$status" -ne 0 ] || fail "succeeded, but should fail: $*"
  [ "$status" -lt 126 ] || { cat "$dir/output" >&2; fail "crashed (exit status $status): $*"; }
  [ "$code" = any ] || [ "$status" -eq "$code" ] ||
    { cat "$dir/output" >&2; fail "exit status $status, expected $code: $*"; }
  grep -qE -- "$regex" "$dir/output" ||
    { cat "$dir/output" >&2; fail "the message does not match $regex: $*"; }
}

# assert_eq FOUND EXPECTED WHAT
assert_eq ()
{
  [ "$1" = "$2" ] || fail "${3:-value}: found '$1', expected '$2'"
}

# assert_match TEXT 'regex' WHAT
assert_match ()
{
  [[ "$1" =~ $2 ]] || fail "${3:-text}: '$1' does not match '$2'"
}

# assert_same FILE FILE: equal bytes.
assert_same ()
{
  cmp -- "$1" "$2" || fail "$1 and $2 differ"
}

# assert_absent FILE TEXT: the bytes of TEXT are nowhere in FILE.
assert_absent ()
{
  ! LC_ALL=C grep -qaF -- "$2" "$1" || fail "$1 holds '$2'"
}

# assert_json TEXT 'jq expression' WHAT: the expression is true.  (Of an empty text jq says nothing and
# ends well.)
assert_json ()
{
  { [ -n "$1" ] && jq -e "$2" >/dev/null <<<"$1"; } || fail "${3:-$2}: not so in $1"
}

# make_tree FOLDER: real files (this project's own), and a little of everything that file systems keep.
make_tree ()
{
  local i

  mkdir -p "$1/many" "$1/empty folder"
  cp -r "$here" "$1/source"
  for ((i = 0; i < 300; i++)); do
    head -c $((i * 37)) "$here/lib.sh" >"$1/many/$i"
  done
  random_file "$1/random" 5M
  truncate -s 3M "$1/hole"
  ln "$1/random" "$1/hard"
  ln -s many/7 "$1/soft"
  chmod 0640 "$1/many/1"
  touch -d '2001-02-03 04:05:06' "$1/many/2"
}

# assert_same_tree FOLDER FOLDER: names, contents, modes, links and times.
assert_same_tree ()
{
  diff -r --no-dereference --exclude=lost+found "$1" "$2" || fail "the files in $1 and $2 differ"
  describe_tree "$1" >"$dir/tree-1"
  describe_tree "$2" >"$dir/tree-2"
  diff "$dir/tree-1" "$dir/tree-2" || fail "modes or times in $1 and $2 differ"
}

describe_tree ()
{
  (cd "$1" && find . -mindepth 1 -name lost+found -prune -o -type f -printf '%p %m %n %s %Ts\n' \
    -o -printf '%p %m %y %l\n' | sort)
}

# random_file FILE SIZE [SEED]: SIZE (as truncate takes it) of bytes that don't repeat; the same for
# the same seed.
random_file ()
{
  truncate -s "$2" "$1"
  openssl enc -aes-128-ctr -K "$(printf '%032x' "${3:-1}")" -iv 0 -nosalt -in "$1" -out "$1.random" 2>/dev/null
  mv "$1.random" "$1"
}
