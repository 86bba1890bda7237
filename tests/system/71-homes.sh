#!/usr/bin/env bash
# Homes in odd places, behind closed doors, on file systems that refuse or never answer, and some that are swapped or
# mounted over under every write: nothing outside changes, each trouble is named, and everybody else's keys arrive in time.
# DDUM_SWAPPED_WRITES says how many writes are swapped under.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

mkdir "$work/keys"
for each in 1 2; do
  new_key "$work/keys/$each" >/dev/null
done
echo '[{"Name": "people", "GID": 2000}]' | scan_file >"$root/srv/groups.json"
tables=(--users /srv/users.json --groups /srv/groups.json)
declare -A ids=()
# id_of NAME: its number in $id, the same for the whole test.
id_of() {
  ids[$1]=${ids[$1]-$((2001 + ${#ids[@]}))}
  id=${ids[$1]}
}
# people KEY NAME=HOME...: a Users table; alice and zoe have homes of the usual kind and stand first and last.
people() {
  local key each id
  key=$(<"$work/keys/$1.pub")
  shift
  for each in alice=/home/alice "$@" zoe=/home/zoe; do
    id_of "${each%%=*}"
    echo "${each%%=*} $id ${each#*=}"
  done >"$work/people"
  jq -Rn --arg key "$key" '[inputs | split(" ") | {Name: .[0], UID: (.[1] | tonumber), GID: 2000, Home: .[2],
    Shell: "/bin/sh", SSHPublicKeys: [$key]}]' <"$work/people" | scan_file >"$root/srv/users.json"
}
keys_in() { grep -v '^#' "$root$1/.ssh/authorized_keys" 2>/dev/null || true; }
# others KEY: alice and zoe have that key, whatever happens to the rest.
others() {
  local each
  for each in alice zoe; do
    same "$each has the table's key" "$(<"$work/keys/$1.pub")" "$(keys_in "/home/$each")"
  done
}
# over PID: at its end, though the kernel may still keep it.
over() { ! kill -0 "$1" 2>/dev/null || [[ $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) == Z ]]; }
# victims: everything about places that no home may be, but for what an update itself writes there.
victims() {
  (cd -- "$root" && find . etc root tmp usr/sbin home/local -xdev -maxdepth 1 -printf '%p %y %m %U %G %l\n' \
    ! -path './etc/*-' ! -path './etc/.pwd.lock' | LC_ALL=C sort -u)
}

# --- Homes that are somebody else's place
in_root useradd --create-home --uid 1500 local
install -d -o 1500 -g 1500 "$root/home/local/.ssh"
echo 'the key of local' >"$root/home/local/.ssh/authorized_keys"
mkdir -m 0700 "$root/root/.ssh"
echo 'the key of root' >"$root/root/.ssh/authorized_keys"
people 1
ddum "${tables[@]}" sync
expect "the sync before" 0
victims >"$work/victims-before"
odd=(slash=/ etc=/etc roots=/root temp=/tmp other=/home/local below=/home/local/sub homes=/home proc=/proc/1 null=/dev/null
  file=/etc/hostname/home system=/usr/sbin)
people 1 "${odd[@]}"
ddum "${tables[@]}" sync
expect "homes that belong to others are refused" 3
for each in "${odd[@]}"; do
  true_that "the home of ${each%%=*} is named: $(grep -o "^! [a-z]* ${each%%=*}: .*" <<<"$out" | head -n 1)" \
    grep -q "^! [a-z]* ${each%%=*}: " <<<"$out"
done
victims >"$work/victims-after"
same_file "nothing changed there" "$work/victims-before" "$work/victims-after"
same "nor the key of another user" "the key of local" "$(keys_in /home/local)"
same "nor the key of root" "the key of root" "$(keys_in /root)"
people 2 "${odd[@]}"
ddum "${tables[@]}" sync
others 2

# --- One home for two
people 1 first=/home/shared second=/home/shared
ddum "${tables[@]}" sync
expect "of two users with one home one is refused" 3
has "which is the second" "$out" "! home second: "
same "the home is the first's" "${ids[first]} $(<"$work/keys/1.pub")" "$(stat -c %u "$root/home/shared/.ssh") $(keys_in /home/shared)"
others 1

# --- Keys in a home that is somebody else's
# expired NAME...: they are, in the table as it is.
expired() {
  jq --args '.Items |= map(if .Name.S | IN($ARGS.positional[]) then .AccountExpireDate = {S: "2001-01-01"} else . end)' \
    "$@" <"$root/srv/users.json" >"$work/edited"
  cp "$work/edited" "$root/srv/users.json"
}
install -d "$root/home/jail" "$root/home/jail/.ssh"
install -m 0644 "$work/keys/1.pub" "$root/home/jail/.ssh/authorized_keys"
look "$root" | grep /jail >"$work/jail-before"
for each in "the account is valid" "it has expired"; do
  people 1 jailed=/home/jail
  [[ $each == *valid ]] || expired jailed
  ddum "${tables[@]}" sync
  expect "a home of root's is refused when $each" 3
  has "with what to do about the keys in it" "$(grep '^! home jailed:' <<<"$out")" "remove that file, or give the home to uid"
done
look "$root" | grep /jail >"$work/jail-after"
same_file "nothing changed in it" "$work/jail-before" "$work/jail-after"
people 1 first=/home/shared second=/home/shared
expired first second
ddum "${tables[@]}" sync
expect "of a shared home, no key of another user is left to be refused" 0
same "and the first has none" "" "$(keys_in /home/shared)"

# --- Behind closed doors
# as_sshd NAME GROUPS: what sshd would find, which reads as the user with all groups.
as_sshd() {
  id_of "$1"
  in_root setpriv --reuid="$id" --regid=2000 --groups="$2" cat "/home/doors/$1/.ssh/authorized_keys" | grep -v '^#'
}
in_root groupadd --gid 1700 doors
install -d -m 0710 -g 1700 "$root/home/doors"
doors=(inside=/home/doors/inside outside=/home/doors/outside)
people 1 "${doors[@]}"
ddum "${tables[@]}" sync
expect "homes are made behind a door for a group" 0
in_root gpasswd --add inside doors >/dev/null
chmod 0100 "$root/home/doors/inside"
people 2 "${doors[@]}"
ddum "${tables[@]}" sync
expect "who is in the group is served, who is not is refused" 3
has "by name" "$out" "! home outside: "
lacks "the other is not" "$out" "! home inside: "
same "sshd finds the new key" "$(<"$work/keys/2.pub")" "$(as_sshd inside 2000,1700)"
no "and where ddum does not come, sshd does not come either" as_sshd outside 2000

# --- Files that follow a change of ids, and file systems that do not
people 1 mover=/home/mover
ddum "${tables[@]}" sync
expect "the sync before the change of ids" 0
old=${ids[mover]}
mkdir "$root/home/mover/disk"
chown "$old:2000" "$root/home/mover/disk"
mount -t tmpfs -o mode=0755 tmpfs "$root/home/mover/disk"
install -m 0644 -o "$old" -g 2000 /dev/null "$root/home/mover/disk/file"
ids[mover]=2950
people 1 mover=/home/mover
ddum "${tables[@]}" sync
expect "the ids change" 0
has "the file system in the home is named" "$out$err" "/home/mover/disk is another file system: what is there keeps its owner"
same "and keeps its files" "$old" "$(stat -c %u "$root/home/mover/disk/file")"
umount "$root/home/mover/disk"
same "the home has its new owner" "2950 2950" "$(stat -c %u "$root/home/mover" "$root/home/mover/.ssh/authorized_keys" | xargs)"

# --- Mount points that come and go over the home, .ssh and the keys
neighbours() { find "$root/root" "$root/home/local" -printf '%p %y %m %U %G %s %T@\n' | LC_ALL=C sort; }
people 2 mounted=/home/mounted
cp "$root/srv/users.json" "$root/srv/users2"
people 1 mounted=/home/mounted
cp "$root/srv/users.json" "$root/srv/users1"
ddum "${tables[@]}" sync
expect "the sync before the mounts" 0
neighbours >"$work/neighbours-before"
mounter() {
  local at
  while :; do
    for at in "" /.ssh; do
      mount -t tmpfs -o "mode=0755,uid=${ids[mounted]},gid=2000" tmpfs "$root/home/mounted$at" && echo
      sleep 0.0$((RANDOM % 10))
      umount -l "$root/home/mounted$at"
    done
    for at in root home/local; do
      mount --bind "$root/$at/.ssh" "$root/home/mounted/.ssh" && echo
      sleep 0.0$((RANDOM % 10))
      umount -l "$root/home/mounted/.ssh"
      mount --bind "$root/$at/.ssh/authorized_keys" "$root/home/mounted/.ssh/authorized_keys" && echo
      sleep 0.0$((RANDOM % 10))
      umount -l "$root/home/mounted/.ssh/authorized_keys"
    done
  done
}
mounter >"$work/mounts" 2>/dev/null &
mounter=$!
rounds=0
slowest=0
while ((rounds < 40 || $(wc -l <"$work/mounts") < 100)) && ((rounds < 4000)); do
  rounds=$((rounds + 1))
  ddum --users "/srv/users$((rounds % 2 + 1))" --groups /srv/groups.json sync
  [[ $status == [03] ]] || fail "round $rounds ended with status $status: $err"
  ((took <= slowest)) || slowest=$took
  for each in alice zoe; do
    [[ $(keys_in "/home/$each") == "$(<"$work/keys/$((rounds % 2 + 1)).pub")" ]] || fail "round $rounds: $each has an old key"
  done
done
stop_server "$mounter"
for at in /.ssh/authorized_keys /.ssh ""; do
  while mountpoint -q "$root/home/mounted$at"; do umount -l "$root/home/mounted$at"; done
done
echo "# $rounds updates beside $(wc -l <"$work/mounts") mounts; the slowest update took $slowest ms"
true_that "no update took 15 s" test "$slowest" -lt 15000
neighbours >"$work/neighbours-after"
same_file "nothing changed in root's and a neighbour's" "$work/neighbours-before" "$work/neighbours-after"
ddum --users /srv/users2 --groups /srv/groups.json sync
expect "without mounts all is well" 0
same "and the key is there" "$(<"$work/keys/2.pub")" "$(keys_in /home/mounted)"

# --- File systems that refuse
# place NAME [SIZE]: a file system, and on it the home of user NAME with an old key.
place() {
  install -d -m 0755 "$root/home/$1-at"
  mount -t tmpfs -o "mode=0755,size=${2:-1m}" tmpfs "$root/home/$1-at"
  furnish "$1" "$root/home/$1-at/$1"
}
furnish() {
  id_of "$1"
  install -d -m 0700 -o "$id" -g 2000 "$2" "$2/.ssh"
  install -m 0600 -o "$id" -g 2000 "$work/keys/1.pub" "$2/.ssh/authorized_keys"
}
place ro
mount -o remount,ro "$root/home/ro-at"
people 2 ro=/home/ro-at/ro new=/home/ro-at/new
ddum "${tables[@]}" sync
expect "a home on a read-only file system is refused" 3
has "with the reason" "$(grep '^! home ro:' <<<"$out")" "ead-only"
has "and so is one that is to be made there" "$(grep '^! home new:' <<<"$out")" "ead-only"
same "the old key stays" "$(<"$work/keys/1.pub")" "$(keys_in /home/ro-at/ro)"
others 2

place full 64k
head -c 1m /dev/zero 2>/dev/null >"$root/home/full-at/filler" || true
before=$(keys_in /home/full-at/full)
people 2 full=/home/full-at/full new=/home/full-at/new
ddum "${tables[@]}" sync
expect "a home on a full file system is refused" 3
has "with the reason" "$(grep '^! home full:' <<<"$out")" "o space left"
same "what was there stays" "$before" "$(keys_in /home/full-at/full)"
same "nothing is left beside it" "" "$(find "$root/home/full-at" -name '.ddum*')"
others 2
rm "$root/home/full-at/filler"
ddum "${tables[@]}" sync
expect "with space again it is not" 0
same "and the key arrives" "$(<"$work/keys/2.pub")" "$(keys_in /home/full-at/full)"
umount "$root/home/full-at" "$root/home/ro-at"

# --- File systems that a program serves
if [[ -c /dev/fuse ]]; then
  # served MODE [UID]: starts it at /home/MODE, with a home for user MODE in it; as that user's own.
  served() {
    install -d "$work/served/$1" "$root/home/$1"
    furnish "$1" "$work/served/$1/$1"
    setpriv --ruid="${2:-0}" /usr/bin/python3 "$here/served.py" "$1" "$work/served/$1" "$root/home/$1" >"$work/served.log" 2>&1 </dev/null &
    server=$!
    servers+=("$server")
    soon 60 grep -q " $root/home/$1 " /proc/self/mountinfo || die "no file system at /home/$1: $(tail -n 3 "$work/served.log")"
  }
  served squash
  no "root is nobody on that file system" ls "$root/home/squash/squash"
  people 2 squash=/home/squash/squash new=/home/squash/new
  ddum "${tables[@]}" sync
  expect "where root is nobody, no home is made" 3
  has "which is named" "$out" "! home new: "
  lacks "a home that is there is served" "$out" "! home squash: "
  same "its key arrives" "$(<"$work/keys/2.pub")" "$(grep -v '^#' "$work/served/squash/squash/.ssh/authorized_keys")"
  same "as the user's" "${ids[squash]} 2000 600" "$(stat -c '%u %g %a' "$work/served/squash/squash/.ssh/authorized_keys")"
  others 2
  umount "$root/home/squash"
  stop_server "$server"

  served hang
  people 1 hang=/home/hang/hang
  : >"$root/home/hang.hang"
  # The kernel keeps a process until its last call is answered, killed or not, so this one cannot be waited for.
  started=$SECONDS
  "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync >"$work/hung" 2>&1 </dev/null &
  hung=$!
  within "beside a file system that never answers, the update ends" 60 grep -q '^! home hang: ' "$work/hung"
  echo "# it took $((SECONDS - started)) s: $(grep '^! home hang' "$work/hung")"
  others 1
  within "and the process is at its end" 60 over "$hung"
  run in_root useradd --no-create-home --uid 1600 beside
  expect "it holds nobody up" 0
  true_that "for no moment ($took ms)" test "$took" -lt 10000
  rm "$root/home/hang.hang"
  ended=0
  wait "$hung" || ended=$?
  same "with status 3" 3 "$ended"
  ddum "${tables[@]}" sync
  expect "when it answers again, all is well" 0
  same "and the key arrives there too" "$(<"$work/keys/1.pub")" "$(grep -v '^#' "$work/served/hang/hang/.ssh/authorized_keys")"
  umount "$root/home/hang"
  stop_server "$server"

  # A user's own is for the user alone: the kernel asks for the real user id too, which stays root's, and so refuses
  # what would hang.
  id_of own
  served own "$id"
  : >"$root/home/own.hang"
  people 2 own=/home/own/own
  ddum "${tables[@]}" sync
  expect "a file system that a user mounted is refused" 3
  has "which is named" "$out" "! home own: "
  lacks "and not waited for" "$out" "did not answer"
  others 2
  rm "$root/home/own.hang"
  umount "$root/home/own"
  stop_server "$server"
else
  echo "NOT CHECKED: file systems served by a program (root squash, one that never answers): there is no /dev/fuse"
fi

# --- Homes that are swapped under every write
swappers=(one two three four)
mapfile -t homes < <(printf '%s\n' "${swappers[@]}" | sed 's:.*:&=/home/&:')
for each in 2 1; do
  people "$each" "${homes[@]}"
  cp "$root/srv/users.json" "$root/srv/users$each"
done
ddum "${tables[@]}" sync
expect "the sync before the swaps" 0
victims >"$work/victims-before"
neighbours >"$work/neighbours-before"
for each in "${swappers[@]}"; do
  setpriv --reuid="${ids[$each]}" --regid=2000 --clear-groups /usr/bin/python3 "$here/swap.py" "$root/home/$each" $$ &
  servers+=($!)
done
writes=0
rounds=0
slowest=0
while ((writes < ${DDUM_SWAPPED_WRITES:-100} && rounds < 20000)); do
  rounds=$((rounds + 1))
  ddum --users "/srv/users$((rounds % 2 + 1))" --groups /srv/groups.json sync
  [[ $status == [03] ]] || fail "round $rounds ended with status $status: $err"
  ((took <= slowest)) || slowest=$took
  writes=$((writes + $(grep -cE '^~ keys (one|two|three|four):' <<<"$out" || true)))
  for each in alice zoe; do
    [[ $(keys_in "/home/$each") == "$(<"$work/keys/$((rounds % 2 + 1)).pub")" ]] || fail "round $rounds: $each has an old key"
  done
done
swaps=$(awk '{ sum += $1 } END { print sum + 0 }' "$root"/home/{one,two,three,four}/swaps)
echo "# $writes writes in $rounds updates beside $swaps swaps; the slowest update took $slowest ms"
true_that "they were swapped under" test "$swaps" -ge "$writes"
true_that "no update was kept waiting" test "$slowest" -lt 60000
victims >"$work/victims-after"
same_file "nothing outside their homes changed" "$work/victims-before" "$work/victims-after"
neighbours >"$work/neighbours-after"
same_file "nor in root's and a neighbour's" "$work/neighbours-before" "$work/neighbours-after"

finish
