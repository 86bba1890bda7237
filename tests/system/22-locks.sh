#!/usr/bin/env bash
# Locks as other programs leave them or hold them, and an editor that stays open: ddum waits where it must, works where
# it can, and does not keep others waiting.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

tables=(--users /srv/users.json --groups /srv/groups.json)
# wish SHELL [COUNT]: alice, and as many more, with that shell.
wish() {
  jq -n --arg shell "$1" --argjson n "${2:-0}" '[{Name: "alice", UID: 2001, GID: 2000, Home: "/nonexistent", Shell: $shell},
    (range($n) | {Name: "more\(.)", UID: (3000 + .), GID: 2000, Home: "/nonexistent", Shell: $shell})]' |
    scan_file >"$root/srv/users.json"
}
shell_of() { in_root getent passwd "$1" | cut -d: -f7; }
printf '{"create_home": false, "full_update_period": 1, "full_update_jitter": 0}' >"$root/etc/dynamodb-user-manager.cfg"
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"
echo '[{"Name": "people", "GID": 2000}]' | scan_file >"$root/srv/groups.json"
in_root useradd --no-create-home local
wish /bin/sh
ddum "${tables[@]}" sync
expect "the sync before" 0

# --- Lock files of each kind. Twin shells are what makes every sync a change.
turn=0
change() {
  turn=$((turn + 1))
  wish "/bin/turn$turn"
}
# with_lock SENTENCE CONTENT EXPECTED-STATUS: for the files that a change of a shell touches.
with_lock() {
  change
  printf '%b' "$2" >"$root/etc/passwd.lock"
  [[ -z ${aged-} ]] || touch -d '1 hour ago' "$root/etc/passwd.lock"
  ddum "${tables[@]}" sync
  expect "a lock file that $1" "$3"
  same "a lock file that $1 is left as it is" "$(printf '%b' "$2" | od -c)" "$(od -c <"$root/etc/passwd.lock")"
  same "and the account is $([[ $3 == 0 ]] && echo new || echo as it was)" \
    "/bin/turn$([[ $3 == 0 ]] && echo "$turn" || echo $((turn - 1)))" "$(shell_of alice)"
  if [[ $3 == 0 ]]; then
    has "it is told of" "$err" "/etc/passwd.lock is stale"
  else
    has "the holder is named" "$err" "/etc/passwd.lock is held by process $sleeper (sleep)"
    turn=$((turn - 1))
  fi
  rm "$root/etc/passwd.lock"
}
change
ddum "${tables[@]}" sync
"${enter[@]}" /bin/sleep 300 &
sleeper=$!
sleep 2.5
with_lock "names a living process" "$sleeper" 75
with_lock "names a living process, with the NUL that shadow-utils writes" "$sleeper\\0" 75
aged=1 with_lock "names a process that began after it: the number was used again" "$sleeper\\0" 0
stop_server "$sleeper"
with_lock "names a process that is gone" "$sleeper" 0
with_lock "names a process that is gone, with a NUL" "$sleeper\\0" 0
with_lock "is empty" "" 0
with_lock "holds no number" 'abc\n' 0
with_lock "names process 0" '0\0' 0
with_lock "names a number that no process can have, as from another host" '99999999\0' 0

# What the predecessor and killed tools left: nothing of it is in the way, none is removed, each is told of once.
printf '%s\0' "$sleeper" >"$root/etc/passwd.lock"
for file in passwd shadow; do
  cp -a "$root/etc/$file" "$root/etc/$file+"
done
sums() { (cd -- "$root/etc" && sha256sum passwd+ shadow+ passwd.lock && stat -c '%n %i %Y' passwd+ shadow+ passwd.lock); }
sums >"$work/left"
"${enter[@]}" /usr/sbin/ddum -f -p /run/ddum.pid "${tables[@]}" >"$work/daemon.log" 2>&1 </dev/null &
daemon=$!
shell_is() { [[ $(shell_of alice) == "$1" ]]; }
for _ in 1 2 3; do
  wish "/bin/again$((turn += 1))"
  jq '.Items[0].PasswordAgeMaxDays = {N: "'"$turn"'"}' "$root/srv/users.json" >"$work/new"
  cp "$work/new" "$root/srv/new" && mv "$root/srv/new" "$root/srv/users.json"
  within "the daemon works beside what a predecessor left" 60 shell_is "/bin/again$turn"
done
same_file "it leaves that" "$work/left" <(sums)
for file in passwd.lock passwd+ shadow+; do
  same "and tells of $file once" 1 "$(grep -c "/etc/$file " "$work/daemon.log")"
done
kill -TERM "$daemon"
wait "$daemon"
cat "$work/daemon.log" >>"$work/output"
rm "$root"/etc/{passwd.lock,passwd+,shadow+}

# --- Locks that are held for longer than ddum waits. The first is systemd's kind, of an open file and not of a process:
# no process here has it, as it is with a lock of another machine over NFS. It is held in another tree, beside the next.
cat >"$work/hold.py" <<'END'
import fcntl, os, struct, sys, time
lock, told, seconds = sys.argv[1:4]
with open(lock, "r+b") as file:
    F_OFD_SETLKW = 38
    fcntl.fcntl(file, F_OFD_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    open(told, "w").close()
    time.sleep(float(seconds))
    with open(told, "w") as when:
        when.write(str(time.time_ns()))
END
# hold FILE SECONDS: returns when it is held; writes $work/held when the time is over.
hold() {
  rm -f "$work/held"
  "$python" "$work/hold.py" "$1" "$work/held" "$2" &
  holder=$!
  soon 60 test -e "$work/held" || fail "the lock is taken"
}
mkdir "$root/srv/tree"
cp -a "$root/etc" "$root/srv/tree/etc"
wish /bin/remote
cp "$root/srv/users.json" "$root/srv/remote.json"
hold "$root/srv/tree/etc/.pwd.lock" 600
remote=$holder
"${enter[@]}" /usr/sbin/ddum --root /srv/tree --users /srv/remote.json --groups /srv/groups.json sync >"$work/remote" 2>&1 </dev/null &
waiting=$!

# vipw holds the lock as long as its editor is open.
printf '#!/bin/sh\nuntil [ -e /srv/typed ]; do sleep 0.2; done\nsed -i "s/^local:\\(.*\\):[^:]*$/local:\\1:\\/bin\\/edited/" "$1"\n' >"$root/usr/local/bin/slow-editor"
chmod 0755 "$root/usr/local/bin/slow-editor"
change
"${enter[@]}" EDITOR=/usr/local/bin/slow-editor vipw >"$work/vipw" 2>&1 </dev/null &
editor=$!
soon 60 test -e "$root/etc/passwd.edit" || fail "vipw makes its copy"
ddum "${tables[@]}" sync
expect "while vipw is open: try again later" 75
has "it is named" "$err" "(vipw)"
touch "$root/srv/typed"
wait "$editor" || fail "vipw ends well: $(<"$work/vipw")"
same "its edit is there" /bin/edited "$(shell_of local)"
ddum "${tables[@]}" sync
expect "afterwards the sync succeeds" 0
same "with what it was to do" "/bin/turn$turn" "$(shell_of alice)"
same "and the edit stays" /bin/edited "$(shell_of local)"

ended=0
wait "$waiting" || ended=$?
same "a lock that no process here has: try again later" 75 "$ended"
has "its holder is not guessed at" "$(<"$work/remote")" "/etc/.pwd.lock is held by another process; gave up after 30"
no "the account is as it was" grep -q /bin/remote "$root/srv/tree/etc/passwd"
stop_server "$remote"
ddum --root /srv/tree --users /srv/remote.json --groups /srv/groups.json sync
expect "when it is free, the sync succeeds" 0

# --- The lock itself
change
hold "$root/etc/.pwd.lock" 5
ddum "${tables[@]}" sync
ended=$(date +%s%N)
expect "a lock that systemd holds for 5 s is waited for" 0
wait "$holder"
true_that "that long" test "$ended" -ge "$(<"$work/held")"
same "then the account is new" "/bin/turn$turn" "$(shell_of alice)"

# The order of things: the lock before the files are read for writing, and dropped after the last of them has its name.
change
run strace -f -y -o "$work/strace" -e trace=openat,openat2,fcntl,rename,renameat,renameat2,close \
  "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
expect "a sync under strace" 0
# lines PATTERN: the numbers of the calls.
lines() { grep -nE "$1" "$work/strace" | cut -d: -f1; }
locked=$(lines '/etc/.pwd.lock>, F_(OFD_)?SETLKW, \{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0')
same "one lock is taken, on the whole of .pwd.lock" 1 "$(wc -w <<<"$locked")"
closed=$(lines 'close\([0-9]+<.*/etc/.pwd.lock>' | tail -n 1)
renamed=$(lines 'rename.*, "passwd"' | tail -n 1)
read_again=$(lines 'openat2?\(.*"(/?etc/)?passwd", .*O_RDONLY' | awk -v locked="$locked" '$1 > locked' | head -n 1)
true_that "the files are read after that (calls $locked, ${read_again:-none})" test "${read_again:-0}" -gt "$locked"
true_that "and renamed before it is dropped (calls ${renamed:-none}, ${closed:-none})" test "${renamed:-999999}" -lt "${closed:-0}"

# A change in all four files: each new one is on disk before it has its name, each name before the next file's.
jq '.Items[0] += {Administrators: {SS: ["local"]}, Members: {SS: ["alice"]}}' "$root/srv/groups.json" >"$work/new"
cp "$work/new" "$root/srv/groups.json"
wish "/bin/turn$((turn += 1))"
jq '.Items[0].PasswordAgeMaxDays = {N: "90"}' "$root/srv/users.json" >"$work/new"
cp "$work/new" "$root/srv/users.json"
run strace -f -y -o "$work/strace" -e trace=fsync,fdatasync,rename,renameat,renameat2 "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
expect "a sync that changes all four files, under strace" 0
# Each line: `sync passwd` for a new file, `name passwd`, `sync etc`.
sed -nE 's:^.*sync\([0-9]+<.*/etc/\.ddum\.([a-z]+-?)\.[0-9a-f]{16}>\) += 0:sync \1:p; s:^.*sync\([0-9]+<.*/etc>\) += 0:sync etc:p;
  s:^.*rename.*, "([a-z]+)"(, 0)?\) += 0:name \1:p' "$work/strace" | grep -v -- - >"$work/order"
awk '$1 == "name" { sub("name ", ""); print }' "$work/order" | grep -E '^(gshadow|group|shadow|passwd)$' >"$work/names"
same "the files get their names in this order" "gshadow group shadow passwd" "$(paste -sd' ' "$work/names")"
same "each is on disk before, and its name before the next" "" "$(awk '
  $1 == "sync" && $2 != "etc" { synced[$2] }
  $1 == "sync" && $2 == "etc" { waiting = "" }
  $1 == "name" && $2 ~ /^(gshadow|group|shadow|passwd)$/ {
    if (!($2 in synced)) print $2 " was not on disk"
    if (waiting != "") print "the name of " waiting " was not on disk before that of " $2
    waiting = $2
  }
  END { if (waiting != "") print "the name of " waiting " was not on disk" }' "$work/order")"
# shadow-utils empties a backup that is the same file: ddum must have broken such a pair.
ln -f "$root/etc/passwd" "$root/etc/passwd-"
change
ddum "${tables[@]}" sync
expect "a sync over a passwd that is its own backup" 0
true_that "they are two files then" test ! "$root/etc/passwd" -ef "$root/etc/passwd-"
ended=0
strace -f -qq -o "$work/strace" -e trace=rename -e inject=rename:signal=KILL:when=1 \
  "${enter[@]}" useradd --no-create-home killed >"$work/said" 2>&1 || ended=$?
same "useradd was killed at its rename" 137 "$ended"
true_that "a useradd that is killed then leaves passwd whole" grep -q "^alice:.*/bin/turn$turn$" "$root/etc/passwd"
ddum "${tables[@]}" sync
expect "and ddum goes on over what that left" 0

# While ddum holds the lock, useradd waits, and gets it.
change
rm "$work/strace"
timeout 120 strace -f -qq -o "$work/strace" -e trace=renameat,renameat2,rename -e inject=renameat,renameat2,rename:delay_enter=2500000 \
  "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync >"$work/slow" 2>&1 </dev/null &
slow=$!
within "a slow ddum is at work" 60 grep -q rename "$work/strace"
run in_root useradd --no-create-home waited
expect "a useradd beside it succeeds" 0
true_that "after it waited ($took ms)" test "$took" -ge 500
wait "$slow" || fail "and so does ddum: $(<"$work/slow")"
same "both did what they were to" "/bin/turn$turn waited" "$(shell_of alice) $(in_root getent passwd waited | cut -d: -f1)"

# How long others have to wait: 500 users, and 200 groups of 500 members, all new and then all changed.
jq -n --argjson n 500 '[range($n) | "more\(.)"] as $all | [range(200) | {Name: "team\(.)", GID: (10000 + .), Members: $all}] +
  [{Name: "people", GID: 2000}]' | scan_file >"$root/srv/groups.json"
for way in new changed; do
  wish "/bin/$way" 500
  if [[ $way == changed ]]; then
    jq '.Items |= map(if .Members then .Members.SS |= .[:-1] else . end)' "$root/srv/groups.json" >"$work/new"
    cp "$work/new" "$root/srv/groups.json"
  fi
  run strace --seccomp-bpf -f -y -ttt -o "$work/strace" -e trace=fcntl,close "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
  expect "500 users and 200 groups of 500 members, $way" 0
  held=$(awk '/SETLKW/ { since = $2 } /close\([0-9]+<.*\/etc\/.pwd.lock>/ { print int(($2 - since) * 1000) }' "$work/strace" | tail -n 1)
  echo "# the lock was held for $held ms, under strace, by the build at $(basename -- "$(dirname -- "$binary")")/"
  # Others give up after 15 s; a build for use is many times faster.
  true_that "nobody waits for long" test "${held:-99999}" -lt 10000
done
same "they are all there" 500 "$(grep -c '^more[0-9]*:x:.*:/bin/changed$' "$root/etc/passwd")"

finish
