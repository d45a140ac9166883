#!/bin/bash
# The first request is served soon after nbdkit starts (measured and told, not judged: the machine
# may be slow for its own reasons).
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 8M
start_server "$dir/disk"
nbd_io "write 0 4k 0x41" "flush"
stop_server
cat >"$dir/first" <<'END'
#!/bin/bash
"$helpers/nbd-io" "$uri" "read 0 4k 0x41" && echo "$EPOCHREALTIME" >"$dir/served"
END
chmod +x "$dir/first"
export helpers dir
for _ in 1 2 3 4 5; do
  started=$EPOCHREALTIME
  LD_PRELOAD=${KEYFENCE_PRELOAD:-} "$NBDKIT" -U - "$plugin" "$dir/disk" \
    --run "export uri; env -u LD_PRELOAD $dir/first" >>"$dir/run.log" 2>&1
  echo $((($(tr -d . <"$dir/served") - ${started/./}) / 1000))
done | sort -n >"$dir/times"
assert_eq "$(wc -l <"$dir/times")" 5 "runs that served a request"
echo "from the start of nbdkit to the first request served: $(paste -sd ' ' "$dir/times") ms"
