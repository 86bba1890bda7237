#!/usr/bin/env bash
# Tables as large and as odd as DynamoDB lets them be: the right accounts come of them, in little memory.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

# Small trees: what is tried is what is read.
unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

mkdir "$work/trees"
mount -t tmpfs -o size=256m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/giants.py" "$binary" "$top/tests/fixtures/etc/debian" "$work/trees"
grep -v '^HARM' <<<"$out"
same "each table was taken for what it is" "" "$(grep '^HARM' <<<"$out")$err"
expect "all tables were tried" 0
umount "$work/trees"

finish
