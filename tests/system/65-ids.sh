#!/usr/bin/env bash
# A change of ids is killed at each step that changes something, and the item changes again before the next sync. All
# files of the home follow, whatever was done already.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

tables=(--users /srv/users.json --groups /srv/groups.json)
new_key "$work/key" >/dev/null
echo '[]' | scan_file >"$root/srv/groups.json"
want() { # want ID: the id that alice is to have
  jq -n --argjson id "$1" --arg key "$(<"$work/key.pub")" '[{Name: "alice", UID: $id, GID: $id, Home: "/home/alice",
    Shell: "/bin/sh", SSHPublicKeys: [$key]}]' | scan_file >"$root/srv/users.json"
}
want 2001
ddum "${tables[@]}" sync
expect "the sync before" 0
mkdir "$root/home/alice/mail"
touch "$root"/home/alice/{one,mail/two,mail/three}
chown -R 2001:2001 "$root/home/alice"
places=(etc home var/lib/ddum run)
mkdir "$work/before"
(cd -- "$root" && cp -a --parents "${places[@]}" "$work/before")
restore() {
  (cd -- "$root" && rm -rf --one-file-system "${places[@]}")
  (cd -- "$work/before" && cp -a --parents "${places[@]}" "$root")
}
traced() {
  timeout 60 strace -f -y -qq "$@" "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
}

calls=fsync,syncfs,renameat,renameat2,fchown,fchownat
want 2002
run traced -o "$work/trace" -e trace="$calls"
expect "the change that is to be killed succeeds when it is not" 0
mapfile -t points < <(awk '
  $2 ~ /^[<+-]/ { next }
  { thread = $1; call = $2; sub(/\(.*/, "", call); count = ++seen[thread, call] }
  !((call, count) in done) { done[call, count]; print call, count }' "$work/trace" | sort -k1,1 -k2,2n)
true_that "there are steps to be killed at" test "${#points[@]}" -ge 15

problems=$work/problems
: >"$problems"
hits=0
for point in "${points[@]}"; do
  read -r call count <<<"$point"
  for last in 2001 2002 2003; do
    restore
    want 2002
    run traced -o "$work/trace" -e trace="$call" -e inject="$call:signal=KILL:when=$count"
    [[ $status == 137 ]] || continue
    hits=$((hits + 1))
    want "$last"
    ddum "${tables[@]}" sync
    {
      [[ $status == 0 ]] || echo "killed at $call $count, then $last: status $status: $err"
      grep -q "^alice:x:$last:$last:" "$root/etc/passwd" || echo "killed at $call $count, then $last: passwd has other ids"
      find "$root/home/alice" \( ! -uid "$last" -o ! -gid "$last" \) -printf "killed at $call $count, then $last: %P is of %U:%G\n"
      ! grep -q 'moving_from\|pending' "$root/var/lib/ddum/ledger.json" || echo "killed at $call $count, then $last: the ledger still waits"
    } >>"$problems"
  done
done
echo "# killed $hits times"
true_that "most steps were reached" test "$hits" -ge "${#points[@]}"
same "every time all files followed" "" "$(head -n 40 "$problems")"

finish
