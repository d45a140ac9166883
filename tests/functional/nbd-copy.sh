#!/bin/bash
# nbdcopy puts an image in over several connections and gets the same bytes out.
. "$(dirname "$0")/lib.sh"
require nbdcopy
random_file "$dir/in" 40M
make_volume "$dir/disk" 40M
for parameters in cache=none cache=writeback; do
  start_server "$dir/disk" $parameters
  nbdcopy --connections=4 --requests=16 --flush "$dir/in" "$uri"
  nbdcopy "$uri" "$dir/out"
  assert_same "$dir/in" "$dir/out"
  stop_server
  start_server "$dir/disk" $parameters
  nbdcopy --connections=1 --request-size=32768 "$uri" "$dir/out"
  assert_same "$dir/in" "$dir/out"
  stop_server
  random_file "$dir/in" 40M 2
done
