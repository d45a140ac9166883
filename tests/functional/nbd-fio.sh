#!/bin/bash
# fio writes random blocks at depth 32 over several jobs and reads them all back right.
. "$(dirname "$0")/lib.sh"
require fio
fio --enghelp 2>/dev/null | grep -w nbd >/dev/null || skip "this fio has no nbd engine"
make_volume "$dir/disk" 64M
start_server "$dir/disk"
fio_job ()
{
  timeout $((100 * patience)) fio --name=job --ioengine=nbd --uri="$uri" --thread --verify=crc32c \
    --verify_fatal=1 --verify_dump=0 --randseed=7 --output="$dir/fio.log" "$@" ||
    { cat "$dir/fio.log" >&2; fail "fio $*"; }
}
cd "$dir"
fio_job --rw=randwrite --bs=4k --iodepth=32 --size=16M
fio_job --rw=randrw --bsrange=512-64k --iodepth=16 --size=8M --offset=16M
fio_job --rw=write --bs=1M --iodepth=8 --size=24M --offset=32M
fio_job --rw=randwrite --bs=4k --iodepth=8 --numjobs=4 --size=2M --offset_increment=2M --fsync=16
stop_server
