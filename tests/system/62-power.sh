#!/usr/bin/env bash
# The power fails after any system call of a sync, and the disk holds what had been synced and any part of the rest: no
# file is damaged, and the next sync mends the rest.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

# Thousands of states: in small trees of their own in memory, not in a Debian root.
unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

# All states with DDUM_FAULTS=all; else another part of them each time, as the seed says.
limits=(--seconds 120 --random 150)
[[ ${DDUM_FAULTS-} != all ]] || limits=(--seconds 1500 --random 2000)
[[ -z ${DDUM_SEED-} ]] || limits+=(--seed "$DDUM_SEED")
mkdir "$work/trees"
mount -t tmpfs -o size=512m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/power.py" "$binary" "$top/tests/fixtures/etc/debian" "$work/trees" "${limits[@]}"
grep -v '^HARM' <<<"$out"
same "no loss of power did harm" "" "$(grep '^HARM' <<<"$out")$err"
expect "the states were judged" 0
true_that "and many of them" test "$(awk '/^all / { print $2 }' <<<"$out")" -ge 100
umount "$work/trees"

finish
