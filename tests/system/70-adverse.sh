#!/usr/bin/env bash
# A machine that is not as it should be: no space, no permission, locks that are held, homes that set traps.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

mkdir "$work/keys"
new_key "$work/keys/table" >/dev/null
key=$(<"$work/keys/table.pub")
tables=(--users /srv/users.json --groups /srv/groups.json)
echo '[{"Name": "people", "GID": 2000}]' | scan_file >"$root/srv/groups.json"
people=(alice bob carol dave erin frank grace heidi ivan judy)
# shell SHELL: every user with that shell; one thing to change, for as often as a test needs one.
shell() {
  printf '%s\n' "${people[@]}" | jq -Rn --arg shell "$1" --arg key "$key" '
    [inputs] | to_entries | map({Name: .value, UID: (2001 + .key), GID: 2000, Home: "/home/\(.value)", Shell: $shell,
      SSHPublicKeys: [$key]})' | scan_file >"$root/srv/users.json"
}
files_as() { # files_as SENTENCE DIRECTORY: the four files are those of that directory, and nothing is left beside them.
  local file
  for file in passwd shadow group gshadow; do
    same_file "$1: $file is what it was" "$2/$file" "$root/etc/$file"
  done
  same "$1: no temporary file is left" "" "$(find "$root/etc" -maxdepth 1 -name '.ddum*')"
}
keep() {
  rm -rf "$work/kept"
  mkdir "$work/kept"
  cp -a "$root"/etc/{passwd,shadow,group,gshadow} "$work/kept"
}
in_root useradd --create-home local
shell /bin/sh
ddum "${tables[@]}" sync
expect "the sync before" 0

# --- No space
mount -t tmpfs -o size=4m tmpfs "$root/mnt"
cp -a "$root/etc" "$root/mnt/etc"
mount --bind "$root/mnt/etc" "$root/etc"
head -c 16m /dev/zero 2>/dev/null >"$root/mnt/filler" || true
keep
shell /bin/bash
ddum "${tables[@]}" sync
expect "with a full file system the sync fails" 1
has "and says so" "$err" "o space left"
files_as "full file system" "$work/kept"
rm "$root/mnt/filler"
ddum "${tables[@]}" sync
expect "with space again it succeeds" 0

# --- Read-only
mount -o remount,bind,ro "$root/etc"
keep
shell /bin/sh
ddum "${tables[@]}" sync
expect "with a read-only /etc the sync fails" 1
has "and says so" "$err" "ead-only"
files_as "read-only" "$work/kept"
umount "$root/etc"
umount "$root/mnt"

# --- Files that cannot be replaced
for file in passwd shadow group gshadow; do
  keep
  if ! chattr +i "$root/etc/$file" 2>/dev/null; then
    echo "# NOT CHECKED: this file system has no immutable files"
    break
  fi
  jq --arg file "$file" '.Items |= map(.RealName = {S: "not \($file)"})' "$root/srv/users.json" >"$work/edited"
  cp "$work/edited" "$root/srv/users.json"
  jq -n --arg file "$file" '[{Name: "people", GID: 2000, Members: ["alice"], Administrators: [if $file == "group" then "bob" else "carol" end]}]' |
    scan_file >"$root/srv/groups.json"
  ddum "${tables[@]}" sync
  case $file in
    passwd | gshadow)
      expect "with an immutable $file the sync fails" 1
      has "and names it" "$err" "/etc/$file"
      ;;
  esac
  chattr -i "$root/etc/$file"
  ddum "${tables[@]}" sync
  expect "and succeeds when it is not" 0
done
echo '[{"Name": "people", "GID": 2000}]' | scan_file >"$root/srv/groups.json"
shell /bin/sh
ddum "${tables[@]}" sync

if chattr +a "$root/etc" 2>/dev/null; then
  keep
  shell /bin/bash
  ddum "${tables[@]}" sync
  expect "with an append-only /etc the sync fails" 1
  has "and says what lifts that" "$err" "chattr -a"
  files_as "append-only" "$work/kept"
  chattr -a "$root/etc"
  shell /bin/sh
  ddum "${tables[@]}" sync
  expect "and succeeds when it is not" 0
else
  echo "# NOT CHECKED: this file system has no append-only directories"
fi

for file in passwd shadow; do
  keep
  shell /bin/bash
  jq '.Items |= map(.PasswordAgeMaxDays = {N: "99"})' "$root/srv/users.json" >"$work/edited"
  cp "$work/edited" "$root/srv/users.json"
  printf 'planted\n' >"$root/home/alice/.ssh/authorized_keys"
  cp -a "$root/etc/$file" "$work/mounted"
  mount --bind "$work/mounted" "$root/etc/$file"
  ddum "${tables[@]}" sync
  expect "with $file mounted the accounts are refused" 1
  has "and it is named" "$err$out" "/etc/$file"
  files_as "$file mounted" "$work/kept"
  same_file "$file mounted: it was not written into" "$work/kept/$file" "$work/mounted"
  umount "$root/etc/$file"
  same "$file mounted: keys go on" "$key" "$(grep -v '^#' "$root/home/alice/.ssh/authorized_keys")"

  mv "$root/etc/$file" "$root/etc/elsewhere"
  ln -s elsewhere "$root/etc/$file"
  ddum "${tables[@]}" sync
  expect "with $file a link the accounts are refused" 1
  files_as "$file a link" "$work/kept"
  true_that "$file is still a link" test -L "$root/etc/$file"
  rm "$root/etc/$file"
  mv "$root/etc/elsewhere" "$root/etc/$file"
done
mv "$root/etc/shadow" "$root/etc/elsewhere"
ddum "${tables[@]}" sync
expect "without a shadow file the accounts are refused" 1
true_that "and none is made" test ! -e "$root/etc/shadow"
mv "$root/etc/elsewhere" "$root/etc/shadow"
printf 'nul\0:x:4000:4000::/:/bin/sh\n' >>"$root/etc/passwd"
keep
ddum "${tables[@]}" sync
true_that "with a NUL in passwd it is not written" test "$status" != 0
has "and it is said what was done all the same" "$err" "keys of accounts that are here were looked after"
same_file "passwd with a NUL is what it was" "$work/kept/passwd" "$root/etc/passwd"
sed -i '$d' "$root/etc/passwd"
mv "$root/etc/gshadow" "$root/etc/elsewhere"
ddum "${tables[@]}" sync
expect "without gshadow all is well" 0
true_that "and none is made" test ! -e "$root/etc/gshadow"
mv "$root/etc/elsewhere" "$root/etc/gshadow"

# --- What a file carries besides its bytes
chmod 0000 "$root/etc/shadow"
chown 0:0 "$root/etc/shadow"
setfacl -m u:local:r "$root/etc/passwd" 2>/dev/null || in_root true
setfattr -n user.origin -v golden-image "$root/etc/passwd"
# shadow-utils breaks such a pair; a killed useradd then leaves an empty passwd.
ln -f "$root/etc/passwd" "$root/etc/passwd-"
shell /bin/dash
ddum "${tables[@]}" sync
expect "a sync over odd files" 0
ddum "${tables[@]}" check
same "a closed shadow stays so" "0 0 0" "$(stat -c '%a %u %g' "$root/etc/shadow")"
same "an attribute stays" golden-image "$(getfattr --only-values -n user.origin --absolute-names "$root/etc/passwd")"
true_that "the backup is a file of its own" test ! "$root/etc/passwd" -ef "$root/etc/passwd-"

# --- Locks
hold() { # hold SECONDS: the lock that every account tool takes, in the way that they take it. $work/held tells when.
  rm -f "$work/held"
  "$python" - "$root/etc/.pwd.lock" "$work/held" "$1" <<'END' &
import fcntl, sys, time
lock, told, seconds = sys.argv[1:4]
with open(lock, "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    open(told, "w").close()
    time.sleep(float(seconds))
    with open(told, "w") as when:
        when.write(str(time.time_ns()))
END
  holder=$!
  soon 60 test -e "$work/held" || fail "the lock is taken"
}
shell /bin/sh
hold 5
ddum "${tables[@]}" sync
ended=$(date +%s%N)
expect "a lock that is held for 5 s is waited for" 0
wait "$holder"
true_that "that long" test "$ended" -ge "$(<"$work/held")"
shell /bin/bash
keep
hold 600
ddum "${tables[@]}" sync
expect "a lock that is held for long: try again later" 75
true_that "after about 30 s ($took ms)" test "$took" -ge 25000 -a "$took" -le 120000
files_as "held lock" "$work/kept"
stop_server "$holder"
ddum "${tables[@]}" sync
expect "and it succeeds later" 0

shell /bin/sh
keep
"${enter[@]}" /bin/sleep 300 &
sleeper=$!
sleep 1.2
printf '%s\0' "$sleeper" >"$root/etc/passwd.lock"
ddum "${tables[@]}" sync
expect "a lock file of a living process: try again later" 75
has "which is named" "$err" "$sleeper"
files_as "living lock file" "$work/kept"
stop_server "$sleeper"
ddum "${tables[@]}" sync
expect "a lock file of a dead process is no obstacle" 0
true_that "and is left to those who made it" test -e "$root/etc/passwd.lock"
rm "$root/etc/passwd.lock"

# --- Homes. Each user sets another trap; none may touch what lies outside the home or keep the others waiting.
mkdir -m 0700 "$root/root/.ssh"
echo 'the key of root' >"$root/root/.ssh/authorized_keys"
cp -a "$root/root/.ssh" "$root/root/kept"
victim=$root/root/.ssh
home() { echo "$root/home/$1"; }
as() { # as USER SHELL-COMMAND: the user's own doing, in the home.
  in_root setpriv --reuid="$(stat -c %u "$(home "$1")")" --regid=2000 --clear-groups sh -c "cd /home/$1 && $2"
}
as alice 'rm -r .ssh && ln -s /root/.ssh .ssh'
as bob 'rm .ssh/authorized_keys && ln -s /root/.ssh/authorized_keys .ssh/authorized_keys'
as carol 'rm .ssh/authorized_keys && mkfifo .ssh/authorized_keys'
as dave 'rm -r .ssh && mkfifo .ssh'
as erin 'rm .ssh/authorized_keys && mkdir .ssh/authorized_keys && touch .ssh/authorized_keys/file'
as frank 'rm -r .ssh && echo file >.ssh'
as grace 'chmod 0000 .ssh/authorized_keys && chmod 0000 .ssh'
# Kernels that protect hard links keep a user from this one, others do not.
ln -f "$root/etc/hostname" "$(home heidi)/.ssh/authorized_keys"
rm -rf "$(home ivan)"
ln -s /root "$(home ivan)"
chown -R 0:0 "$(home judy)/.ssh"
hostname_before=$(sha256sum <"$root/etc/hostname")
find "$root/root" "$root/etc/hostname" -printf '%p %y %m %U %G %s %T@\n' | LC_ALL=C sort >"$work/victims-before"
ddum "${tables[@]}" sync
one_of "a sync over hostile homes comes to its end" "$status" 0 3
true_that "in bounded time ($took ms)" test "$took" -lt 60000
find "$root/root" "$root/etc/hostname" -printf '%p %y %m %U %G %s %T@\n' | LC_ALL=C sort >"$work/victims-after"
same_file "nothing of root's changed" "$work/victims-before" "$work/victims-after"
same "nor what a hard link led to" "$hostname_before" "$(sha256sum <"$root/etc/hostname")"
same "the key of root is the key of root" "the key of root" "$(<"$victim/authorized_keys")"
for each in "${people[@]}"; do
  file=$(home "$each")/.ssh/authorized_keys
  if [[ ! -L $(home "$each") && ! -L $(home "$each")/.ssh && -f $file && ! -L $file ]]; then
    same "$each has the table's keys" "$key" "$(grep -v '^#' "$file")"
    same "$each: owner and mode" "$(in_root id -u "$each") 600" "$(stat -c '%u %a' "$file")"
  else
    has "$each, whose keys were not written, is named" "$out$err" "$each"
  fi
done
has "the home that is a link is named" "$out$err" ivan

finish
