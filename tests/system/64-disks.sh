#!/usr/bin/env bash
# Real file systems that are full, out of inodes, or read-only from one moment to the next, below everything that ddum
# writes: nothing is damaged, no success is claimed that was none, and with space again all is as wanted.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

places=(/etc /var/lib/ddum /home /run /var/log/ddum)
mkdir "$work/keys"
for each in 0 1; do
  new_key "$work/keys/$each" >/dev/null
done
mkdir -p "$root/var/lib/ddum" "$root/var/log/ddum"
chmod 0700 "$root/var/lib/ddum"
in_root useradd --create-home --uid 1600 local
jq -n '{full_update_period: 1, full_update_jitter: 0, logging: {version: 1, root: {level: "INFO", handlers: ["err", "file"]},
  handlers: {err: {class: "logging.StreamHandler"}, file: {class: "logging.FileHandler", filename: "/var/log/ddum/ddum.log"}}}}' \
  >"$root/etc/dynamodb-user-manager.cfg"
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"
tables=(--users /srv/users.json --groups /srv/groups.json)

# wish VERSION: shells, passwords, keys and members of that version, and a user who is new with it.
wish() {
  jq -n --argjson v "$1" --arg hash "$hash" --arg key "$(<"$work/keys/$(($1 % 2)).pub")" '
    ["alice", "bob", (range($v + 1) | "new\(.)")] | to_entries | map(.value as $name | {Name: $name, UID: (2001 + .key),
      GID: 2000, Home: "/home/\($name)", Shell: "/bin/v\($v)", Password: "\($hash)\($v)", LastPasswordChangeDate: "2026-01-15",
      SSHPublicKeys: [$key]})' | scan_file >"$root/srv/users.new"
  jq -n --argjson v "$1" '[{Name: "people", GID: 2000, Members: ["alice", "new\($v)"]}]' | scan_file >"$root/srv/groups.new"
  mv "$root/srv/users.new" "$root/srv/users.json"
  mv "$root/srv/groups.new" "$root/srv/groups.json"
}
managed='alice|bob|new[0-9]+'
keys_of() { grep -v '^#' "$root/home/$1/.ssh/authorized_keys" 2>/dev/null || true; }
strays() { find "$root"/{etc,home,var/lib/ddum,var/log/ddum,run} -name '.ddum*'; }

# is_wanted VERSION: everything is there.
is_wanted() {
  local each count=$(($1 + 3))
  [[ $(grep -cE "^($managed):x:[0-9]+:2000::/home/[a-z0-9]+:/bin/v$1$" "$root/etc/passwd") == "$count" ]] || return 1
  [[ $(grep -cF "$hash$1:20468:" "$root/etc/shadow") == "$count" ]] || return 1
  for each in group gshadow; do
    grep -qE "^people:.*:alice,new$1$" "$root/etc/$each" || return 1
  done
  for each in alice bob "new$1"; do
    [[ $(keys_of "$each") == "$(<"$work/keys/$(($1 % 2)).pub")" && $(stat -c %G "$root/home/$each") != root ]] || return 1
  done
}
# Every line of others is there and every managed one is of this version or of the one before, in each file.
harm() {
  local file each v=$1
  for file in passwd shadow group gshadow; do
    cmp -s "$work/others.$file" <(unmanaged "$root/etc/$file" "$managed" people) || echo "/etc/$file has lost lines of others"
  done
  grep -E "^($managed):" "$root/etc/passwd" | grep -vE ":/bin/v($v|$((v - 1)))$" || true
  grep -E "^($managed):" "$root/etc/shadow" | grep -vE "[.]($v|$((v - 1))):20468:" | sed "s/$salt/SALT/" || true
  while read -r each; do
    grep -q "^$each" "$root/etc/shadow" || echo "$each has no line in shadow"
  done < <(grep -oE "^($managed):" "$root/etc/passwd")
  for each in alice bob; do
    [[ $(keys_of "$each") == "$(<"$work/keys/0.pub")" || $(keys_of "$each") == "$(<"$work/keys/1.pub")" ]] || echo "$each has other keys"
  done
}

version=1
wish 1
ddum "${tables[@]}" sync
expect "the sync before" 0
true_that "it is as wanted" is_wanted 1
for file in passwd shadow group gshadow; do
  unmanaged "$root/etc/$file" "$managed" people >"$work/others.$file"
done

# Each place becomes a file system of its own, with what was there.
for place in "${places[@]}"; do
  cp -a "$root$place" "$work/content"
  mode=$(stat -c %a "$root$place")
  mount -t tmpfs -o "mode=0$mode,size=64m,nr_inodes=9999" tmpfs "$root$place"
  cp -a "$work/content/." "$root$place"
  rm -rf "$work/content"
  # A size of nothing is no limit.
  head -c 5000 /dev/zero >"$root$place/filler"
done
# no_more PLACE space|inodes|writes LEFT: so many pages or inodes are left there.
no_more() {
  local used
  case $2 in
    space)
      used=$(df --output=used -B4096 "$root$1" | tail -n 1)
      mount -o "remount,size=$(((used + $3) * 4096))" "$root$1"
      ;;
    inodes)
      used=$(df --output=iused "$root$1" | tail -n 1)
      mount -o "remount,nr_inodes=$((used + $3))" "$root$1"
      ;;
    writes) mount -o remount,ro "$root$1" ;;
  esac
}
enough() { mount -o remount,rw,size=64m,nr_inodes=9999 "$root$1"; }

# What each says that is not done: the file, and what follows.
judge() { # judge SENTENCE STATUS SAID
  same "$1: no harm" "" "$(harm "$version")"
  case $2 in
    0) true_that "$1: done means done" is_wanted "$version" ;;
    1 | 3)
      true_that "$1: the file is named" grep -qE "/(etc|home|var|run)/[.a-z]|^! (home|keys) [a-z]" <<<"$3"
      true_that "$1: and what follows" grep -qE 'left as they were|^! (home|keys) |next update' <<<"$3"
      ;;
    *) fail "$1: exit status $2: $3" ;;
  esac
  lacks "$1: nothing broke" "$3" "internal error"
}

# --- A sync meets each
ends=
for place in "${places[@]}"; do
  for case in "space 0" "space 1" "space 3" "inodes 0" "inodes 1" "inodes 2" "inodes 3"; do
    read -r what left <<<"$case"
    version=$((version + 1))
    wish "$version"
    no_more "$place" "$what" "$left"
    ddum "${tables[@]}" sync
    judge "$place has $left $what left" "$status" "$out"$'\n'"$err"
    ends="$ends${ends:+, }$status"
    enough "$place"
    ddum "${tables[@]}" sync
    if [[ $status != 0 || -n $(strays) ]] || ! is_wanted "$version"; then
      fail "$place had $left $what left: with more, the next sync does the rest: $status $out $err $(strays)"
    fi
  done
  echo "# $place: exit statuses $ends"
  ends=
done

# --- The daemon does
"${enter[@]}" /usr/sbin/ddum -f -p /run/ddum.pid "${tables[@]}" >"$work/daemon.log" 2>&1 </dev/null &
daemon=$!
within "the daemon runs" 60 grep -q started "$work/daemon.log"
quiet() { is_wanted "$version" && [[ -z $(strays) ]]; }
complains() { grep -qE 'WARN|ERROR|warning|error' <(tail -c "+$((from + 1))" "$work/daemon.log"); }
for place in "${places[@]}"; do
  for case in "space 0" "inodes 0" "writes 0"; do
    read -r what left <<<"$case"
    # The kernel takes the writing from no file system where somebody has a file open for it: the pidfile, the log.
    [[ $place/$what != /run/writes && $place/$what != /var/log/ddum/writes ]] || continue
    version=$((version + 1))
    from=$(stat -c %s "$work/daemon.log")
    no_more "$place" "$what" "$left"
    wish "$version"
    case $place in
      /etc | /home) within "the daemon says so when $place has no more $what" 60 complains ;;
      *) within "the daemon updates although $place has no more $what" 60 is_wanted "$version" ;;
    esac
    same "$place had no more $what: no harm" "" "$(harm "$version")"
    true_that "the daemon lives" kill -0 "$daemon"
    enough "$place"
    within "when $place has $what again, all is as wanted" 60 quiet
  done
done
kill -TERM "$daemon"
ended=0
wait "$daemon" || ended=$?
same "it ends well" 0 "$ended"
lacks "and nothing broke in it" "$(<"$work/daemon.log")" "internal error"
cat "$work/daemon.log" "$root/var/log/ddum/ddum.log" >>"$work/output"
ddum "${tables[@]}" sync
expect "a sync afterwards succeeds" 0
same "and has nothing to do" "" "$out"
umount "${places[@]/#/$root}"

finish
