#!/usr/bin/env bash
# The daemon is killed at the system calls that change something: no file is damaged, other tools go on at once, and the
# next daemon takes over its pidfile and mends the rest.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

# All calls with DDUM_FAULTS=all; else another part of them each time, as the seed says.
limits=(--sample 300)
[[ ${DDUM_FAULTS-} != all ]] || limits=()
[[ -z ${DDUM_SEED-} ]] || limits+=(--seed "$DDUM_SEED")
cc -O2 -Wall -Wextra -Werror -o "$work/inject" "$here/inject.c"
mkdir "$work/trees"
mount -t tmpfs -o size=512m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/daemon_kills.py" "$binary" "$work/inject" "$top/tests/fixtures/etc/debian" "$work/trees" "${limits[@]}"
grep -v '^HARM' <<<"$out"
same "no kill did harm" "" "$(grep '^HARM' <<<"$out")$err"
expect "the cases were judged" 0
umount "$work/trees"

finish
