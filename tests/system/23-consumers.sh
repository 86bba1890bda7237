#!/usr/bin/env bash
# What reads the account files: nscd with a remembered absence, the C library with very large groups and lines; and an
# overlay file system below them, a tree without SELinux, and a table without users.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

tables=(--users /srv/users.json --groups /srv/groups.json)
# wish NAME...: users of these names; groups are what GROUPS says.
wish() {
  printf '%s\n' "$@" | jq -Rn '[inputs] | to_entries | map({Name: .value, UID: (2001 + .key), GID: 2000, Shell: "/bin/sh",
    Home: "/nonexistent"})' | scan_file >"$root/srv/users.json"
}
printf '{"create_home": false}' >"$root/etc/dynamodb-user-manager.cfg"
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"
echo '[{"Name": "people", "GID": 2000}]' | scan_file >"$root/srv/groups.json"

# --- nscd, which remembers for 20 s that there is no such user
mkdir -p "$root/run/nscd" "$root/var/cache/nscd"
# Without a look at the files, so that only ddum's word makes it forget.
sed -i 's/^\(\s*check-files\s\+\S\+\s\+\)yes/\1no/' "$root/etc/nscd.conf"
"${enter[@]}" /usr/sbin/nscd -F >"$work/nscd.log" 2>&1 </dev/null &
servers+=($!)
within "nscd runs" 60 test -S "$root/run/nscd/socket"
no "alice is not there" in_root getent passwd alice
no "nor is the group" in_root getent group people
no "nor is unseen" in_root getent passwd unseen
printf 'unseen:x:1999:1999::/:/bin/sh\n' >>"$root/etc/passwd"
no "nscd remembers what is not there" in_root getent passwd unseen
wish alice
ddum "${tables[@]}" sync
expect "a sync beside nscd" 0
within "getent sees the new user, long before 20 s are over" 10 in_root getent passwd alice
within "and the new group" 10 in_root getent group people
same "no word of trouble with it" "" "$(grep -i nscd "$work/stderr" || true)"
stop_server "${servers[-1]}"
rm -f "$root/run/nscd/socket"
sed -i '/^unseen:/d' "$root/etc/passwd"

# --- A group of 5,000 members, each of them a user
jq -n '[range(5000) | {Name: "member\(.)", UID: (10000 + .), GID: 2000, Shell: "/bin/sh", Home: "/nonexistent"}]' |
  scan_file >"$root/srv/users.json"
jq -n '[{Name: "people", GID: 2000}, {Name: "large", GID: 2001, Members: [range(5000) | "member\(.)"]}]' |
  scan_file >"$root/srv/groups.json"
ddum "${tables[@]}" sync
expect "5,000 users in one group" 0
same "where no nscd and no sssd runs, nothing is said of them" "" "$(grep -iE 'nscd|sss' "$work/stderr" || true)"
echo "# it took $took ms"
same "getent has all members" 5000 "$(in_root getent group large | cut -d: -f4 | tr , '\n' | grep -c '^member')"
for each in 0 2500 4999; do
  same "id of member$each" "people large" "$(in_root id -Gn "member$each")"
done
same "gshadow has them too" 5000 "$(in_root getent gshadow large | cut -d: -f4 | tr , '\n' | grep -c '^member')"
in_root gpasswd --delete member4999 large >/dev/null
ddum "${tables[@]}" sync
same "one that was taken out by hand is in again" "people large" "$(in_root id -Gn member4999)"

# --- No users at all
echo '[]' | scan_file >"$root/srv/users.json"
cp -a "$root/etc" "$work/etc-before"
ddum "${tables[@]}" sync
for file in passwd shadow; do
  same_file "a table without users deletes and disables nobody: $file" "$work/etc-before/$file" "$root/etc/$file"
done

# --- A passwd of 10 MB with a line of 1 MB
{
  cat "$root/etc/passwd"
  head -c 1000000 /dev/zero | tr '\0' x
  echo
  awk 'BEGIN { for (i = 0; i < 110000; i++) printf "old%d:x:%d:2000:%s:/nonexistent:/bin/sh\n", i, 1000000 + i, "sixty bytes of somebody'"'"'s name, office and number, and more" }'
} >"$work/large"
cat "$work/large" >"$root/etc/passwd"
true_that "passwd has more than 10 MB" test "$(stat -c %s "$root/etc/passwd")" -ge 10000000
wish alice newcomer
# As much address space as the program itself takes in a debug build, and 400 MB.
run in_root prlimit --as=600000000 /usr/sbin/ddum "${tables[@]}" sync
one_of "a sync over that" "$status" 0 3
echo "# it took $took ms"
true_that "in bounded time" test "$took" -lt 120000
same "the new user is there" 1 "$(grep -c '^newcomer:' "$root/etc/passwd")"
same_file "the rest is what it was" "$work/large" <(grep -v '^newcomer:' "$root/etc/passwd")
cp "$work/etc-before/passwd" "$root/etc/passwd"

# --- Without SELinux no label is asked for, and what carries one keeps it
if [[ -e /sys/fs/selinux/enforce ]]; then
  echo "NOT CHECKED: a machine without SELinux; this one has it"
else
  labelled=yes
  setfattr -n security.selinux -v system_u:object_r:shadow_t:s0 "$root/etc/shadow" 2>/dev/null || labelled=
  wish alice newcomer another
  run strace -f -o "$work/strace" -e trace=openat,openat2,open,write "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
  expect "a sync without SELinux" 0
  same "nothing is written to attr/fscreate" "" "$(grep -E 'attr/fscreate.*(O_WRONLY|O_RDWR)' "$work/strace" || true)"
  if [[ -n $labelled ]]; then
    same "a label is carried over" system_u:object_r:shadow_t:s0 \
      "$(getfattr --only-values -n security.selinux --absolute-names "$root/etc/shadow" | tr -d '\0')"
  else
    echo "NOT CHECKED: a label that is carried over; this file system takes none"
  fi
fi
echo "NOT CHECKED: restorecon -nv on a machine with SELinux; none of the releases under test has it"

# --- An overlay, as containers have it
mkdir "$root/mnt/upper" 2>/dev/null || true
mount -t tmpfs -o mode=0755 tmpfs "$root/mnt/upper"
mkdir "$root/mnt/upper/upper" "$root/mnt/upper/work" "$work/merged"
if mount -t overlay -o "lowerdir=$root,upperdir=$root/mnt/upper/upper,workdir=$root/mnt/upper/work" overlay "$work/merged"; then
  sha256sum "$root"/etc/{passwd,shadow,group,gshadow} >"$work/lower"
  mount -t proc proc "$work/merged/proc"
  wish alice newcomer another overlaid
  cp "$root/srv/users.json" "$work/merged/srv/users.json"
  over=(chroot "$work/merged" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin)
  run "${over[@]}" ddum "${tables[@]}" sync
  expect "a sync on an overlay" 0
  same "the new user is there" 2004 "$("${over[@]}" id -u overlaid)"
  run "${over[@]}" useradd --no-create-home after
  expect "and useradd works after it" 0
  run "${over[@]}" ddum "${tables[@]}" sync
  same "a second sync has nothing to do" "" "$out"
  true_that "the layer below is untouched" sha256sum --quiet -c "$work/lower"
  umount "$work/merged/proc" "$work/merged"
else
  echo "NOT CHECKED: an overlay file system; this kernel mounts none here"
fi
umount "$root/mnt/upper"

finish
