#!/usr/bin/env bash
# The daemon meets each trouble that a network can make, and has the tables again when it is over.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"

# Small trees: what is tried is how the tables are reached.
unpack_root() { :; }
enter_root() {
  enter=(env)
  mkdir "$1/proc"
  mount -t proc proc "$1/proc"
}
begin "$@"

# In this test's namespaces nobody resolves names but a file of its own.
echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
: >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
mount --bind "$work/resolv.conf" /etc/resolv.conf
mkdir "$work/trees"
mount -t tmpfs -o size=256m,mode=0755 tmpfs "$work/trees"
run "$python" "$here/network.py" "$binary" "$top/tests/fixtures/etc/debian" "$work/trees" \
  --hosts /etc/hosts --seconds "${DDUM_TROUBLE_SECONDS:-25}"
grep -v '^HARM' <<<"$out"
same "no trouble did harm, and each was outlived" "" "$(grep '^HARM' <<<"$out")$err"
expect "all troubles were met" 0
for each in "$work"/trees/*/log; do
  cat "$each" >>"$work/output"
done
umount "$work/trees"

finish
