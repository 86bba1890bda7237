#!/usr/bin/env bash
# What a host's own tools see after a sync is what the tables say; a second sync leaves the machine alone.
# suites: bookworm trixie
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

day() { echo $(($(date -u -d "$1" +%s) / 86400)); }
today=$(day today)
words() { tr -s ' ,' '\n' | LC_ALL=C sort | paste -sd' '; }

# The tables, with keys that exist.
mkdir "$work/keys"
for each in 1 2 3; do
  new_key "$work/keys/KEY$each" >/dev/null
done
key() { echo "$(<"$work/keys/KEY$1.pub")"; }
fill() {
  sed -e "s|@HASH@|$hash|" -e "s|@KEY1@|$(key 1)|" -e "s|@KEY2@|$(key 2)|" -e "s|@KEY3@|$(key 3)|" "$here/data/$1.json"
}
fill users >"$work/users.json"
fill groups >"$work/groups.json"
put_tables() {
  scan_file <"$work/users.json" >"$root/srv/users.json"
  scan_file <"$work/groups.json" >"$root/srv/groups.json"
}
edit() {
  jq "$2" "$work/$1.json" >"$work/edited"
  mv "$work/edited" "$work/$1.json"
}
put_tables
tables=(--users /srv/users.json --groups /srv/groups.json)
managed=(alice bob carol dave erin)
managed_groups=(alice bob carol devs ops sudo)

# What the host had: an account that the table takes over, one that nobody manages, and lines that no tool understands.
in_root useradd --create-home --uid 1500 --shell /bin/sh --comment 'Dave of the host' dave
in_root useradd --create-home --uid 1600 --shell /bin/sh local
in_root groupadd --gid 1700 ops
in_root gpasswd --add local ops >/dev/null
# shellcheck disable=SC2016 # A crypt string.
echo 'local:$6$localsalt$Zm9vYmFyYmF6' | in_root chpasswd -e
for file in passwd shadow group gshadow; do
  printf '# a comment of the administrator\n\n' >>"$root/etc/$file"
done
printf 'short:x:1601\n+@netgroup::::::\n' >>"$root/etc/passwd"
printf '+@netgroup::::::::\n' >>"$root/etc/shadow"
cp -a "$root/etc" "$work/etc-before"
cp -a "$root/home" "$work/home-before"
in_root pwck -rq >"$work/pwck-before" 2>&1 || true
in_root grpck -rq >"$work/grpck-before" 2>&1 || true
look "$root" >"$work/look-before"
find "$root/run" "$root/var" >"$work/state-before"

# --- A dry run
ddum "${tables[@]}" sync --dry-run
expect "a dry run succeeds" 0
has "a dry run names a new user" "$out" "+ user alice: uid 2001, gid 2001, home /home/alice, shell /bin/bash"
has "a dry run names a change" "$out" "~ user dave"
look "$root" >"$work/look-after"
same_file "a dry run changes no account, home or state" "$work/look-before" "$work/look-after"
find "$root/run" "$root/var" >"$work/state-after"
same_file "a dry run leaves nothing in /run or /var" "$work/state-before" "$work/state-after"
dry=$out

ddum "${tables[@]}" check
expect "check succeeds" 0
look "$root" >"$work/look-after"
same_file "check changes no account, home or state" "$work/look-before" "$work/look-after"

# --- The first sync
ddum "${tables[@]}" sync
expect "the first sync succeeds" 0
same "the sync does what the dry run said" "$dry" "$out"
cp -a "$root/etc" "$work/etc-first"

same "getent passwd: every attribute" "alice:x:2001:2001:Alice Äpfel:/home/alice:/bin/bash" "$(in_root getent passwd alice)"
same "getent passwd: only what is required" "bob:x:2002:2002:::" "$(in_root getent passwd bob)"
same "getent passwd: an account that the host had" \
  "dave:x:1500:1500:Dave of the table:/home/dave:/bin/bash" "$(in_root getent passwd dave)"
same "getent passwd: a primary group of the table" \
  "erin:x:2005:2100:Erin:/home/staff/erin:/bin/sh" "$(in_root getent passwd 2005)"
same "getent shadow: every attribute" \
  "alice:$hash:$(day 2024-01-02):1:90:7:14:$(day 2099-12-31):" "$(in_root getent shadow alice)"
one_of "getent shadow: only what is required" "$(in_root getent shadow bob)" \
  "bob:*:$today::::::" "bob:*:$((today + 1))::::::"
one_of "getent shadow: an account that has expired" "$(in_root getent shadow carol)" \
  "carol:*:$today:::::$(day 2020-02-29):" "carol:*:$((today + 1)):::::$(day 2020-02-29):"
one_of "getent shadow: ageing that the item lacks is cleared, the last change stays" "$(in_root getent shadow dave)" \
  "dave:$hash:$today::::::" "dave:$hash:$((today + 1))::::::"
same "getent group: members" "devs:x:2100:alice,bob,erin" "$(in_root getent group devs)"
same "getent gshadow: password, administrators, members" \
  "devs:$hash:alice:alice,bob,erin" "$(in_root getent gshadow devs)"
same "a group of the host keeps its members and gets the table's" \
  "alice local" "$(in_root getent group ops | cut -d: -f4 | words)"
same "gshadow lists the same members" "alice local" "$(in_root getent gshadow ops | cut -d: -f4 | words)"
same "a system group gets the table's members" "alice" "$(in_root getent group sudo | cut -d: -f4)"
same "id of alice" "alice devs ops sudo" "$(in_root id -Gn alice | words)"
same "id of erin" "uid=2005(erin) gid=2100(devs) groups=2100(devs)" "$(in_root id erin)"

ageing=$(in_root chage --iso8601 --list alice)
aged() { sed -n "s/^$1[[:space:]]*: //p" <<<"$ageing"; }
same "chage: last change" 2024-01-02 "$(aged 'Last password change')"
same "chage: password expires" 2024-04-01 "$(aged 'Password expires')"
same "chage: password inactive" 2024-04-15 "$(aged 'Password inactive')"
same "chage: account expires" 2099-12-31 "$(aged 'Account expires')"
same "chage: minimum, maximum, warning" "1 90 7" \
  "$(sed -n 's/^\(Min\|Max\|Number\).*: //p' <<<"$ageing" | paste -sd' ')"
same "passwd -S: a usable password" "alice P 1 90 7 14" "$(in_root passwd -S alice | awk '{ print $1, $2, $4, $5, $6, $7 }')"
same "passwd -S: no password" "bob L" "$(in_root passwd -S bob | awk '{ print $1, $2 }')"

in_root pwck -rq >"$work/pwck-after" 2>&1 || true
in_root grpck -rq >"$work/grpck-after" 2>&1 || true
same_file "pwck finds nothing new" "$work/pwck-before" "$work/pwck-after"
same_file "grpck finds nothing new" "$work/grpck-before" "$work/grpck-after"

for file in passwd shadow; do
  same_file "unmanaged lines of $file are what they were, in their order" \
    <(unmanaged "$work/etc-before/$file" "${managed[@]}") <(unmanaged "$root/etc/$file" "${managed[@]}")
done
for file in group gshadow; do
  same_file "unmanaged lines of $file are what they were, in their order" \
    <(unmanaged "$work/etc-before/$file" "${managed_groups[@]}") <(unmanaged "$root/etc/$file" "${managed_groups[@]}")
done
same "new users stand before the NIS line" "+@netgroup::::::" "$(tail -n 1 "$root/etc/passwd")"
shadow_gid=$(in_root getent group shadow | cut -d: -f3)
for file in shadow gshadow; do
  same "/etc/$file stays root:shadow 0640" "640 0 $shadow_gid" "$(stat -c '%a %u %g' "$root/etc/$file")"
done
for file in passwd group; do
  same "/etc/$file stays root:root 0644" "644 0 0" "$(stat -c '%a %u %g' "$root/etc/$file")"
done
for file in passwd shadow group gshadow; do
  same_file "/etc/$file- is the file of before" "$work/etc-before/$file" "$root/etc/$file-"
done
same "/etc/shadow- is as closed as /etc/shadow" "640 0 $shadow_gid" "$(stat -c '%a %u %g' "$root/etc/shadow-")"
same "no temporary file is left" "" "$(find "$root" -xdev -name '.ddum*')"
same "no lock file is left" "" "$(find "$root/etc" -maxdepth 1 -name '*.lock' ! -name .pwd.lock)"
same "the ledger is root's alone" "600 0 0" "$(stat -c '%a %u %g' "$root/var/lib/ddum/ledger.json")"

# --- Homes and keys
listed() { grep -v '^#' "$root$1/.ssh/authorized_keys" | LC_ALL=C sort; }
sorted() { printf '%s\n' "$@" | LC_ALL=C sort; }
same "alice's keys" "$(sorted "$(key 1)" "$(key 2)")" "$(listed /home/alice)"
same "one comment line says who writes the file" 1 "$(grep -c '^#' "$root/home/alice/.ssh/authorized_keys")"
same "dave's key, in the home that he had" "$(key 2)" "$(listed /home/dave)"
same "the home and keys are alice's" "2001 2001 700 2001 2001 600 2001 2001" \
  "$(stat -c '%u %g' "$root/home/alice") $(stat -c '%a %u %g' "$root/home/alice/.ssh" "$root/home/alice/.ssh/authorized_keys" | paste -sd' ')"
inside() { find "$root$1" -mindepth 1 -printf '%P\n' | grep -v ^.ssh/; }
in_root useradd --create-home --uid 1601 likewise
same "a home has the mode that useradd gives" "$(stat -c %a "$root/home/likewise")" "$(stat -c %a "$root/home/alice")"
same "a home holds what useradd puts there, and keys" \
  "$( (inside /home/likewise; echo .ssh) | LC_ALL=C sort)" "$(inside /home/alice | LC_ALL=C sort)"
in_root userdel --remove likewise 2>/dev/null
same "a parent of a home is root's" "0 0 755" "$(stat -c '%u %g %a' "$root/home/staff")"
no "an expired account has no key" grep -rq "^ssh" "$root/home/carol"

# --- The second sync
sleep 1.1
look "$root" >"$work/look-before"
run strace -f -y -o "$work/strace" -e trace=file,desc "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
expect "the second sync succeeds" 0
same "the second sync says nothing" "" "$out"
look "$root" >"$work/look-after"
same_file "the second sync changes no inode and no time stamp" "$work/look-before" "$work/look-after"
same "the second sync does not open .pwd.lock" "" "$(grep -F .pwd.lock "$work/strace" || true)"
# Its own report in /run/ddum is all that it may write.
same "the second sync opens nothing for writing" "" \
  "$(grep -E '^[0-9]+ +open(at2?)?\(.*(O_WRONLY|O_RDWR|O_CREAT)' "$work/strace" | grep -vE '/run/ddum|status\.json|/dev/null' || true)"
same "the second sync renames, links and removes nothing" "" \
  "$(grep -E '^[0-9]+ +(rename|link|unlink|symlink|mkdir|rmdir|f?chmod|[fl]?chown|f?truncate|utime|f?setxattr)' "$work/strace" |
    grep -vE '/run/ddum|status\.json|/proc/' || true)"

# --- Changes, and items that are refused
edit users '
  map(if .Name == "alice" then .Shell = "/bin/sh" | .SSHPublicKeys = [.SSHPublicKeys[1], "ssh-ed25519 notakey laptop"] else . end)
  + [{Name: "mallory", UID: 0, GID: 0}, {Name: "root", UID: 0, GID: 0, Shell: "/bin/sh"},
     {Name: "eve", UID: 1600, GID: 2100}, {Name: "a:b", UID: 2010, GID: 2100}, {Name: "local", UID: 2011, GID: 2100},
     {Name: "daemon", UID: 1, GID: 1}, {Name: "frank", UID: 2012, GID: 2100, RealName: "two\nlines"},
     {Name: "grace", UID: 2013, GID: 2100, Home: "/home/grace", Shell: "/bin/sh"}]'
edit groups '
  map(if .Name == "devs" then .Members = ["alice"] elif .Name == "ops" then del(.Members) else . end)
  + [{Name: "wheels", GID: 0}, {Name: "shadow", GID: 4242}]'
put_tables
cp -a "$root/etc" "$work/etc-before2"
ddum "${tables[@]}" sync
expect "a sync with refused items says so" 3
said="$out
$err"
for each in mallory root eve local daemon frank wheels shadow; do
  has "$each is named" "$said" "$each"
done
has "the bad key is named" "$said" alice
for each in mallory eve frank; do
  no "$each has no account" in_root getent passwd "$each"
done
same "no item splits a line" "" "$(grep -n '^lines\|^b:' "$root/etc/passwd" || true)"
for each in root daemon local; do
  same "$each is what it was" "$(grep "^$each:" "$work/etc-before2/passwd")" "$(grep "^$each:" "$root/etc/passwd")"
done
same "the group shadow keeps its number" "$shadow_gid" "$(in_root getent group shadow | cut -d: -f3)"
no "no group claims number 0" in_root getent group wheels
same "the other items go on: a new user" "2013" "$(in_root id -u grace)"
same "the other items go on: a shell" /bin/sh "$(in_root getent passwd alice | cut -d: -f7)"
same "the other keys go on, the revoked one is gone" "$(key 2)" "$(listed /home/alice)"
same "a member that left the table's group is out" "alice" "$(in_root getent group devs | cut -d: -f4)"
same "the host's own member stays in the host's group" "local" "$(in_root getent group ops | cut -d: -f4)"

# --- An item that is gone is no reason to delete an account
edit users 'map(select(.Name == "alice"))'
put_tables
ddum "${tables[@]}" sync
expect "a table with fewer items is no failure" 3
same "erin still has the account" "2005" "$(in_root id -u erin)"
echo '[]' >"$work/users.json"
echo '[]' >"$work/groups.json"
put_tables
cp -a "$root/etc" "$work/etc-before3"
ddum "${tables[@]}" sync
for file in passwd shadow group gshadow; do
  same_file "empty tables leave /etc/$file alone" "$work/etc-before3/$file" "$root/etc/$file"
done

# --- The same from outside, by --root, and as an ordinary user
fill users >"$work/users.json"
fill groups >"$work/groups.json"
scan_file <"$work/users.json" >"$work/users.scan"
scan_file <"$work/groups.json" >"$work/groups.scan"
mkdir "$work/image"
cp -a "$work/etc-before" "$work/image/etc"
cp -a "$work/home-before" "$work/image/home"
run "$binary" --root "$work/image" --users "$work/users.scan" --groups "$work/groups.scan" sync
expect "a sync into a mounted image succeeds" 0
for file in passwd shadow group gshadow; do
  same_file "the image's $file is what a sync inside makes" "$work/etc-first/$file" "$work/image/etc/$file"
done
same "the image has alice" "alice:x:2001:2001:Alice Äpfel:/home/alice:/bin/bash" "$(grep ^alice: "$work/image/etc/passwd")"
same "the image's home has the table's number" 2001 "$(stat -c %u "$work/image/home/alice/.ssh/authorized_keys")"

mkdir "$root/srv/new"
chown 65534:65534 "$root/srv/new"
cp "$work/users.scan" "$root/srv/users.json"
cp "$work/groups.scan" "$root/srv/groups.json"
run in_root setpriv --reuid=65534 --regid=65534 --clear-groups \
  /usr/sbin/ddum --root /srv/new "${tables[@]}" sync
one_of "an ordinary user can fill a tree of their own" "$status" 0 3
same "that tree has alice" "alice:x:2001:2001:Alice Äpfel:/home/alice:/bin/bash" "$(grep ^alice: "$root/srv/new/etc/passwd")"
same "that tree's shadow is closed to others" 640 "$(stat -c %a "$root/srv/new/etc/shadow")"

finish
