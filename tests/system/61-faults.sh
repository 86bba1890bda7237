#!/usr/bin/env bash
# A sync is killed at, or refused, each system call that changes something, and each of its threads: no file is damaged,
# no success is claimed that was none, and the next sync mends the rest.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

# Thousands of runs: in small trees of their own in memory, not in a Debian root.
unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

# All cases with DDUM_FAULTS=all; else another part of the errors each time, as the seed says.
limits=(--sample 2500)
[[ ${DDUM_FAULTS-} != all ]] || limits=()
[[ -z ${DDUM_SEED-} ]] || limits+=(--seed "$DDUM_SEED")
cc -O2 -Wall -Wextra -Werror -o "$work/inject" "$here/inject.c"
mkdir "$work/trees"
mount -t tmpfs -o size=256m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/faults.py" "$binary" "$work/inject" "$top/tests/fixtures/etc/debian" "$work/trees" "${limits[@]}"
grep -v '^HARM' <<<"$out"
same "no fault did harm" "" "$(grep '^HARM' <<<"$out")$err"
expect "all cases were judged" 0
run "$python" "$here/threads.py" "$binary" "$work/inject" "$top/tests/fixtures/etc/debian" "$work/trees/threads"
grep -v '^HARM' <<<"$out"
same "no thread that was refused did harm" "" "$(grep '^HARM' <<<"$out")$err"
expect "all of them were refused once" 0
umount "$work/trees"

finish
