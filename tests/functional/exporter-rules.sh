#!/bin/bash
# Alert rules and dashboard speak of metrics that there are, in words that Prometheus understands, and each
# alert comes when it should and not before.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-exporter.sh"
require nc python3 xxd jq

rules=$here/../../docs/alert-rules.yml
dashboard=$here/../../docs/grafana-dashboard.json
folder=$dir/sockets
start_volumes "$folder" active grace fenced dead
start_exporter --control-dir "$folder"
request GET /metrics
sed -n 's/^# TYPE \(keyfence_[a-z_]*\) .*/\1/p' <<<"$body" | sort -u >"$dir/told"

# metrics_in: the names on stdin, those of a histogram's parts as the histogram's.
metrics_in ()
{
  grep -oE 'keyfence_[a-z_]+' | sed -E 's/^(keyfence_check_duration_seconds)_(bucket|sum|count)$/\1/' | sort -u
}

# Whatever is asked for is told.
jq -r '.. | objects | .expr?, .definition? | strings' "$dashboard" | metrics_in >"$dir/shown"
grep -v '^ *#' "$rules" | metrics_in >"$dir/alerted"
for list in shown alerted; do
  [ "$(wc -l <"$dir/$list")" -ge 8 ] || fail "too few metrics are $list"
  comm -23 "$dir/$list" "$dir/told" >"$dir/unknown"
  [ ! -s "$dir/unknown" ] || fail "$list, but not told by the exporter: $(xargs <"$dir/unknown")"
done
# What is told about the fence, the key and I/O is shown.
comm -13 "$dir/shown" "$dir/told" | xargs >"$dir/not-shown"
assert_eq "$(cat "$dir/not-shown")" "keyfence_exporter_collect_duration_seconds \
keyfence_exporter_folder_readable keyfence_exporter_volumes_left_out \
keyfence_next_check_timestamp_seconds keyfence_read_only keyfence_state_since_timestamp_seconds" \
  "metrics without a panel"

# The dashboard is what Grafana 10 imports: panels with places that do not overlap, ids once each.
jq -e '.schemaVersion >= 37 and .uid == "keyfence" and (.panels | length > 15)' "$dashboard" >/dev/null ||
  fail "not a dashboard"
jq -e '[.panels[].id] | length == (unique | length)' "$dashboard" >/dev/null || fail "an id is there twice"
jq -e '[.panels[].gridPos | . as $p | range ($p.x; $p.x + $p.w) as $x | range ($p.y; $p.y + $p.h) as $y | [$x, $y]]
  | length == (unique | length) and all (.[]; .[0] < 24)' "$dashboard" >/dev/null || fail "panels overlap"
jq -e 'all (.panels[] | select (.type != "row"); .targets | length > 0)' "$dashboard" >/dev/null ||
  fail "a panel without a query"

command -v promtool >/dev/null || skip "promtool is not installed: the rules' syntax and times are not tested"

promtool check rules "$rules" >"$dir/output" 2>&1 || { cat "$dir/output" >&2; fail "promtool check rules"; }
cp "$rules" "$here/exporter-alerts.yml" "$dir/"
promtool test rules "$dir/exporter-alerts.yml" >"$dir/output" 2>&1 ||
  { cat "$dir/output" >&2; fail "promtool test rules"; }
# Each alert has its test.
sed -n 's/^ *- alert: //p' "$rules" | while read -r alert; do
  [ "$(grep -c "alertname: $alert$" "$here/exporter-alerts.yml")" -ge 1 ] || fail "no test of $alert"
done
# The dashboard's queries, with values in the places of its variables, as rules.
jq '{groups: [{name: "queries", rules: [[.. | objects | .expr? | strings] | to_entries[] |
  {record: "query:\(.key)", expr: (.value | gsub ("\\$__(rate_)?interval"; "5m") | gsub ("\\$(job|instance|volume)"; ".*"))}]}]}' \
  "$dashboard" >"$dir/queries.yml"
promtool check rules "$dir/queries.yml" >"$dir/output" 2>&1 ||
  { cat "$dir/output" >&2; fail "a query of the dashboard is not PromQL"; }
stop_exporter
