#!/bin/bash
# A day in less than a minute: three volumes on two simulated clouds under load, with revocations, outages,
# kills, restarts, an upgrade and drills; every byte, every refusal and every audit line is accounted for.
# The long form: tests/day/day.py --minutes 20.
. "$(dirname "$0")/lib.sh"
require jq python3 xxd
[ -x "$KEYFENCE_BUILD/tools/sim/keyfence-kms-sim" ] || skip "keyfence-kms-sim was not built"
other=${KEYFENCE_OTHER_BUILD:-$KEYFENCE_BUILD}
[ -e "$other/nbd-plugin/nbdkit-keyfence-plugin.so" ] || other=$KEYFENCE_BUILD
seed=${KEYFENCE_SEED:-$((RANDOM % 1000))}
PYTHONDONTWRITEBYTECODE=1 "$here/../day/day.py" --build "$KEYFENCE_BUILD" --other-build "$other" \
  --folder "$dir/day" --seed "$seed" --seconds $((40 * patience))
