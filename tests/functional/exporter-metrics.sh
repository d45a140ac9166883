#!/bin/bash
# The exporter tells every volume of the host, whatever their servers do, and lets nobody else ask.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-exporter.sh"
require nc python3 xxd

healthy=(active grace fenced latched hostile empty types old)
broken=(dead hang babble trickle hangup garbage array half members nested full)
folder=$dir/sockets
start_volumes "$folder" "${healthy[@]}" "${broken[@]}"
start_exporter --control-dir "$folder" --host metrics.example

# ---- metrics --------------------------------------------------------------------------------------------

# Who answers is up; who hangs, babbles or is dead is not, and holds nobody up.
start=$EPOCHREALTIME
request GET /metrics
took_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
[ "$took_ms" -lt $((3000 * patience)) ] || fail "a hung server held the exporter up for $took_ms ms"
assert_match "$head" '^HTTP/1.1 200 ' status
assert_match "$head" 'Content-Type: text/plain; version=0.0.4; charset=utf-8' type
metrics=$body
for name in "${healthy[@]}"; do
  assert_sample "keyfence_up{volume=\"$(socket_of "$folder" "$name")\"} 1"
done
for name in "${broken[@]}"; do
  assert_sample "keyfence_up{volume=\"$(socket_of "$folder" "$name")\"} 0"
done
fenced=$(socket_of "$folder" fenced)
assert_sample "keyfence_state{volume=\"$fenced\",state=\"fenced\"} 1"
assert_sample "keyfence_state{volume=\"$fenced\",state=\"active\"} 0"
assert_sample "keyfence_fence_reason{volume=\"$fenced\",reason=\"key_disabled\"} 1"
assert_sample "keyfence_requests_refused_total{volume=\"$fenced\"} 1873"
assert_sample "keyfence_last_wipe_seconds{volume=\"$fenced\"} 0.000412"
assert_sample "keyfence_check_duration_seconds_bucket{volume=\"$fenced\",le=\"0.05\"} 30913"
# An older server has a status only.
assert_sample "keyfence_checks_total{volume=\"$(socket_of "$folder" old)\",class=\"other\"} 0"
[ "$(grep -c . <<<"$metrics")" -gt 150 ] || fail "too few metrics"

# Prometheus' own reader has nothing to say against it.
if command -v promtool >/dev/null; then
  promtool check metrics <<<"$metrics" >"$dir/output" 2>&1 || { cat "$dir/output" >&2; fail "promtool check metrics"; }
  [ ! -s "$dir/output" ] || { cat "$dir/output" >&2; fail "promtool check metrics complains"; }
fi

# The manual has exactly the metrics that there are, with their types and labels.
sed -n 's/^=item C<\(keyfence_[a-z_]*\)> (\([a-z]*\):\{0,1\} \{0,1\}\([a-z_, ]*\))$/\1 \2 \3/p' \
  "$here/../../docs/keyfence.pod" | sed 's/, */,/g; s/ *$//' | sort >"$dir/manual"
awk '
  /^# TYPE / { family = $3; type[family] = $4; labels[family] = "" }
  /^keyfence/ && labels[family] == "" {
    line = $0
    if (line !~ /{/) { labels[family] = "-"; next }
    gsub (/"([^"\\]|\\.)*"/, "", line)
    sub (/^[^{]*{/, "", line); sub (/}.*/, "", line); gsub (/=/, "", line); sub (/,le$/, "", line)
    labels[family] = line
  }
  END { for (f in type) print f, type[f], labels[f] == "-" ? "" : labels[f] }
' <<<"$metrics" | sed 's/ *$//' | sort >"$dir/told"
diff -u "$dir/manual" "$dir/told" || fail "docs/keyfence.pod differs from /metrics"
[ "$(wc -l <"$dir/told")" -ge 25 ] || fail "too few metrics"

# What changes is told a second later: a state, a volume that is gone.
sed -i 's/"state": "active"/"state": "fenced"/' "$folder/$(socket_of "$folder" active).answer"
rm "$folder/$fenced.sock"
fresh_metrics
assert_sample "keyfence_state{volume=\"$(socket_of "$folder" active)\",state=\"fenced\"} 1"
! grep -qF "$fenced" <<<"$body" || fail "a volume that is gone is still told"

# ---- who may ask ----------------------------------------------------------------------------------------

request GET /
assert_match "$head" '^HTTP/1.1 200 ' page
assert_match "$head" 'Content-Type: text/html; charset=utf-8' type
for why in 'answer is too long' 'no answer in time' 'hung up without an answer' 'the server has died' \
    'speaks another language'; do
  assert_match "$body" "$why" "why there is no answer"
done
! grep -q 'temporarily unavailable' <<<"$body" || fail "a server whose queue is full was given up at once"
for header in 'Cache-Control: no-store' 'X-Content-Type-Options: nosniff' 'X-Frame-Options: DENY' \
    'Referrer-Policy: no-referrer'; do
  assert_match "$head" "$header" headers
done
assert_match "$head" "Content-Security-Policy: default-src 'none'; .*frame-ancestors 'none'" policy
request GET /metrics 'Host: evil.example'
assert_match "$head" '^HTTP/1.1 421 ' "another's name"
! grep -q keyfence_up <<<"$body" || fail "an unknown name was answered"
request GET /metrics 'Host: metrics.example:80'
assert_match "$head" '^HTTP/1.1 200 ' "--host"
request GET /metrics 'X-Nothing: 1'
assert_match "$head" '^HTTP/1.1 400 ' "no Host"
for method in POST PUT DELETE OPTIONS; do
  request "$method" / "Host: localhost" 'Content-Length: 0'
  assert_match "$head" '^HTTP/1.1 405 ' "$method"
  assert_match "$head" 'Allow: GET, HEAD' "$method"
done
request HEAD /metrics
assert_match "$head" '^HTTP/1.1 200 ' HEAD
assert_eq "$body" '' "body of HEAD"
request GET "/../../../../etc/passwd"
assert_match "$head" '^HTTP/1.1 404 ' "a path elsewhere"

# ---- many at once ---------------------------------------------------------------------------------------

# Clients that say nothing are in nobody's way, and nothing is left behind by those that do.
for _ in 1 2 3 4 5 6 7 8; do
  # shellcheck disable=SC2034  # it stays open, and that is all
  exec {silent}<>"/dev/tcp/127.0.0.1/$exporter_port"
done
request GET /metrics
files=$(find "/proc/$exporter_pid/fd" -mindepth 1 | wc -l)
start=$SECONDS
pids=()
for _ in $(seq 30); do
  (exec 3<>"/dev/tcp/127.0.0.1/$exporter_port"
   printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
   timeout $((20 * patience)) cat <&3 | grep '^keyfence_up' >/dev/null) &
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid" || fail "one of many was not answered"
done
[ $((SECONDS - start)) -lt $((10 * patience)) ] || fail "thirty clients took $((SECONDS - start)) s"
for _ in 1 2 3 4 5; do
  fresh_metrics
done
few_files () { [ "$(find "/proc/$exporter_pid/fd" -mindepth 1 | wc -l)" -le "$files" ]; }
wait_for 5 few_files || fail "files stay open"
stop_exporter

# ---- folders --------------------------------------------------------------------------------------------

# A folder that is not there yet, or that can't be read, is told; when it comes it is found.
start_exporter --control-dir "$dir/later"
request GET /metrics
assert_sample 'keyfence_exporter_folder_readable 0'
request GET /
assert_match "$body" "can’t be read: No such file or directory" "page"
start_volumes "$dir/later" active
fresh_metrics
assert_sample 'keyfence_exporter_folder_readable 1'
assert_sample "keyfence_up{volume=\"$(socket_of "$dir/later" active)\"} 1"
stop_exporter

# Many sockets of dead servers take no time, and names that look alike stay apart.
python3 - "$dir/graves" <<'END'
import os, socket, sys
os.mkdir(sys.argv[1])
os.chdir(sys.argv[1])
for name in [b"%d" % i for i in range(500)] + [b"a\x01", b"a\x02", b"a%01", b"a\xff", b'a"\\b']:
    socket.socket(socket.AF_UNIX).bind(name + b".sock")
open("file.sock", "w")
END
start_exporter --control-dir "$dir/graves"
start=$EPOCHREALTIME
request GET /metrics
took_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
[ "$took_ms" -lt $((900 * patience)) ] || fail "500 dead servers took $took_ms ms"
assert_eq "$(grep -c '^keyfence_up{.*} 0$' <<<"$body")" 505 "dead servers"
for name in a%01 a%02 a%2501 a%FF 'a\"\\b'; do
  assert_sample "keyfence_up{volume=\"$name\"} 0"
done
stop_exporter

if [ "$(id -u)" -eq 0 ]; then
  # Whoever may not talk to the servers says so.
  chmod 755 "$dir"
  exporter_command=(setpriv --reuid=65534 --regid=65534 --clear-groups "$KEYFENCE")
  start_exporter --control-dir "$dir/later"
  request GET /
  assert_match "$body" 'permission denied: run the exporter as the user who serves' "another user"
  stop_exporter
  exporter_command=()
fi
# The usual folder may be mounted for reading only, as a service's sandbox does.
start_volumes "$KEYFENCE_RUNDIR" grace
# shellcheck disable=SC2016  # for the inner shell
read_only=(unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"' sh "$KEYFENCE_RUNDIR")
if "${read_only[@]}" true 2>/dev/null; then
  exporter_command=("${read_only[@]}" "$KEYFENCE")
fi
start_exporter
request GET /metrics
assert_sample "keyfence_up{volume=\"$(socket_of "$KEYFENCE_RUNDIR" grace)\"} 1"
stop_exporter
exporter_command=()

# ---- a real server --------------------------------------------------------------------------------------

make_volume "$dir/disk" 16M --label tester
start_server "$dir/disk"
start_exporter
request GET /metrics
uuid=$(volume_uuid "$dir/disk")
assert_sample "keyfence_up{volume=\"$uuid\"} 1"
assert_sample "keyfence_state{volume=\"$uuid\",state=\"active\"} 1"
assert_sample "keyfence_volume_size_bytes{volume=\"$uuid\"} 16777216"
nbd_io "write 0 8192 7"
fresh_metrics
assert_sample "keyfence_io_written_bytes_total{volume=\"$uuid\"} 8192"
kill_server
fresh_metrics
assert_sample "keyfence_up{volume=\"$uuid\"} 0"

# ---- the command line -----------------------------------------------------------------------------------

expect_fail 1 "--listen 127.0.0.1:$exporter_port: something else listens there: choose another port" \
  keyfence exporter --listen "127.0.0.1:$exporter_port"
for address in 10819 localhost:10819 127.0.0.1: :10819 127.0.0.1:x 1.2.3:70000; do
  expect_fail 2 "--listen $address: expected" keyfence exporter --listen "$address"
done
stop_exporter
