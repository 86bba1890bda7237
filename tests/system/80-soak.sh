#!/usr/bin/env bash
# The daemon updates as often as it can for a minute, with tables that change: it stays as small as it was.
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

seconds=${DDUM_SOAK_SECONDS:-60}
mkdir "$work/trees"
mount -t tmpfs -o size=64m,mode=0755 tmpfs "$work/trees"
tree=$work/trees/tree
mkdir -p "$tree/etc"
for file in passwd shadow group gshadow; do
  cp "$top/tests/fixtures/etc/debian/$file" "$tree/etc/$file"
done
keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop"
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone")
# tables N: in every turn other shells, keys, members, and a user that only every third one has.
tables() {
  local at users='' sign='' members=''
  for ((at = 0; at < 30; at++)); do
    ((at < 29 || $1 % 3)) || continue
    users+=$sign'{"Name":{"S":"user'$at'"},"UID":{"N":"'$((2000 + at))'"},"GID":{"N":"2000"},"Home":{"S":"/home/user'$at'"},'
    users+='"Shell":{"S":"/bin/sh'$((($1 + at) % 5))'"},"Password":{"S":"'$hash'"},"SSHPublicKeys":{"SS":["'${keys[($1 + at) % 2]}'"]}}'
    sign=,
  done
  members='"user'$(($1 % 30))'","user'$(($1 * 7 % 30 == $1 % 30 ? ($1 + 1) % 30 : $1 * 7 % 30))'"'
  printf '[%s]' "$users" >"$work/next"
  mv "$work/next" "$work/users.json"
  printf '[{"Name":{"S":"people"},"GID":{"N":"2000"},"Members":{"SS":[%s]}}]' "$members" >"$work/next"
  mv "$work/next" "$work/groups.json"
}
tables 0
echo '{"full_update_period": 3600}' >"$work/config"
"$binary" -f -c "$work/config" --root "$tree" -p /run/ddum.pid --users "$work/users.json" --groups "$work/groups.json" \
  >"$work/daemon.log" 2>&1 &
daemon=$!
finished() { # How many updates the status file has seen end: its inode changes with each.
  stat -c %i "$tree/run/ddum/status.json" 2>/dev/null || true
}
figures() { # resident memory in kB, threads, descriptors
  awk '/^VmRSS/ { rss = $2 } /^Threads/ { threads = $2 } END { print rss, threads }' "/proc/$daemon/status"
}
descriptors() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }
within "the daemon makes its first update" 20 test -e "$tree/run/ddum/status.json"
turns=0
turn() {
  local before until
  turns=$((turns + 1))
  tables "$turns"
  before=$(finished)
  until=$((SECONDS + 20))
  kill -USR1 "$daemon"
  while [[ $(finished) == "$before" ]]; do
    ((SECONDS < until)) || die "update $turns does not end: $(tail -3 "$work/daemon.log")"
    sleep 0.01
  done
}
# What an allocator keeps for later is there after some turns.
until ((turns >= 60)); do turn; done
read -r rss threads < <(figures)
fds=$(descriptors)
until ((SECONDS >= seconds)); do turn; done
sleep 1
read -r rss_after threads_after < <(figures)
fds_after=$(descriptors)
echo "# $turns updates; memory $rss -> $rss_after kB, threads $threads -> $threads_after, descriptors $fds -> $fds_after"
true_that "there were many updates" test "$turns" -ge 100
same "as many descriptors as before" "$fds" "$fds_after"
true_that "as many threads as before, or fewer" test "$threads_after" -le "$threads"
true_that "memory grew by less than a fifth" test "$((rss_after * 5))" -lt "$((rss * 6))"
same "the last table is the host's" "user$((turns % 30))" \
  "$(sed -n 's/^people:x:2000://p' "$tree/etc/group" | tr , '\n' | grep -x "user$((turns % 30))")"
lacks "no password hash in the log" "$(<"$work/daemon.log")" "$salt"
no "nothing was refused, nothing failed" grep -qiE 'error|refused|failed|cannot' "$work/daemon.log"
kill -TERM "$daemon"
wait "$daemon" && status=0 || status=$?
same "it ends as it should" 0 "$status"
same "nothing is left over" "" "$(find "$tree" -name '.ddum*')"
umount "$work/trees"
# finish looks for leaks in it.
touch "$work/output"

finish
