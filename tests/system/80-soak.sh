#!/usr/bin/env bash
# The daemon makes one update after the other, with tables that change: it stays as small as it was.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

# A small tree in memory, not a Debian root: what is measured is the process.
unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

# Some thousand updates, or as many as DDUM_SOAK_UPDATES asks for.
limits=(--seconds "${DDUM_SOAK_SECONDS:-60}" --updates "${DDUM_SOAK_UPDATES:-1000}")
mkdir "$work/trees"
mount -t tmpfs -o size=256m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/soak.py" "$binary" "$top/tests/fixtures/etc/debian" "$work/trees" "${limits[@]}"
grep -v '^HARM' <<<"$out"
same "it did not grow, and showed no secret" "" "$(grep '^HARM' <<<"$out")$err"
expect "all updates were made" 0
umount "$work/trees"

finish
