#!/usr/bin/env bash
# A sync is killed at each step of its commit. The files are whole, other tools go on, the next sync mends the rest.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

mkdir "$work/keys"
for each in 1 2 3; do
  new_key "$work/keys/$each" >/dev/null
done
# Accounts that are new, one that changes, one that only gets another key, groups of each kind.
in_root useradd --create-home --uid 1500 --shell /bin/sh dave
in_root useradd --create-home --uid 1600 local
in_root groupadd --gid 1700 ops
in_root gpasswd --add local ops >/dev/null
tables=(--users /srv/users.json --groups /srv/groups.json)
jq -n --arg hash "$hash" --arg key1 "$(<"$work/keys/1.pub")" --arg key2 "$(<"$work/keys/2.pub")" '[
  {Name: "alice", UID: 2001, GID: 2000, Home: "/home/alice", Shell: "/bin/bash", Password: $hash, SSHPublicKeys: [$key1]},
  {Name: "bob", UID: 2002, GID: 2000, Home: "/home/bob", Shell: "/bin/sh"},
  {Name: "dave", UID: 1500, GID: 1500, Home: "/home/dave", Shell: "/bin/bash", SSHPublicKeys: [$key1, $key2]}]' |
  scan_file >"$root/srv/users.json"
echo '[{"Name": "people", "GID": 2000, "Members": ["alice", "bob"]}, {"Name": "ops", "GID": 1700, "Members": ["alice"]}]' |
  scan_file >"$root/srv/groups.json"

# Everything that a sync may change, as it was, to be put back before each kill.
places=(etc home var/lib run)
mkdir "$work/before" "$work/reference"
for each in "${places[@]}"; do
  mkdir -p "$work/before/$(dirname -- "$each")"
  cp -a "$root/$each" "$work/before/$each"
done
restore() {
  local each
  for each in "${places[@]}"; do
    rm -rf --one-file-system "${root:?}/$each"
    cp -a "$work/before/$each" "$root/$each"
  done
}

# traced STRACE-OPTIONS...: a sync under strace; only the sync is traced into the root.
traced() {
  strace -f -qq "$@" "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
}

calls=(openat mkdirat write fchown fchmod fsetxattr fsync fdatasync syncfs linkat unlinkat rename renameat renameat2)
run traced -o "$work/trace" -e trace="$(
  IFS=,
  echo "${calls[*]}"
)"
expect "the sync to be killed succeeds when it is not" 0
for each in passwd shadow group gshadow; do
  cp -a "$root/etc/$each" "$work/reference/$each"
done
summary() { # Homes and keys, without times.
  (cd -- "$root" && find home -printf '%p %y %m %U %G\n' | LC_ALL=C sort && find home -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}
summary >"$work/reference/homes"

# strace counts each call for each thread from 1. Of openat only those that create something are of interest, and of
# write those to files; what comes before the first of them is the same as a run that was never started.
mapfile -t points < <(awk '
  $2 ~ /^[<+-]/ { next }
  { thread = $1; call = $2; sub(/\(.*/, "", call); count = ++seen[thread, call] }
  call == "openat" && !/O_CREAT/ { next }
  call == "write" && $2 ~ /^write\([012],/ { next }
  !((call, count) in done) { done[call, count]; print call, count }' "$work/trace" | sort -k1,1 -k2,2n)
true_that "there are steps to be killed at" test "${#points[@]}" -ge 20

problems=$work/problems
kills=0
torn() { echo "$call $count: $*" >>"$problems"; }
: >"$problems"
for point in "${points[@]}"; do
  read -r call count <<<"$point"
  restore
  run traced -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$count"
  # With threads, the count that one thread reached in the first run may be reached by none in this one.
  if [[ $status != 137 ]]; then
    [[ $status == 0 ]] || torn "the sync ended with status $status: $err"
    continue
  fi
  kills=$((kills + 1))

  for file in passwd shadow group gshadow; do
    cmp -s "$root/etc/$file" "$work/before/etc/$file" || cmp -s "$root/etc/$file" "$work/reference/$file" ||
      torn "/etc/$file is neither the old file nor the new one"
  done
  for each in alice bob; do
    if grep -q "^$each:" "$root/etc/passwd"; then
      grep -q "^$each:" "$root/etc/shadow" || torn "$each is visible without a shadow line"
      grep -q '^people:' "$root/etc/group" || torn "$each is visible without a group"
    fi
  done
  for each in alice dave; do
    keys=$root/home/$each/.ssh/authorized_keys
    if [[ -e $keys && ! -s $keys ]]; then
      torn "$each has an empty authorized_keys"
    fi
    if [[ -e $root/home/$each && $(stat -c %u "$root/home/$each") == 0 ]]; then
      torn "the home of $each is root's"
    fi
  done

  started=$(date +%s%N)
  in_root useradd --no-create-home probe >"$work/said" 2>&1 || torn "useradd fails: $(<"$work/said")"
  ((($(date +%s%N) - started) < 5000000000)) || torn "useradd had to wait"
  ddum "${tables[@]}" sync
  [[ $status == 0 ]] || torn "the next sync ends with status $status: $err"
  in_root userdel probe >"$work/said" 2>&1 || torn "userdel fails: $(<"$work/said")"
  for file in passwd shadow group gshadow; do
    cmp -s "$root/etc/$file" "$work/reference/$file" ||
      torn "after the next sync /etc/$file differs: $(diff "$work/reference/$file" "$root/etc/$file" | cut -d: -f1 | paste -sd' ')"
  done
  summary | cmp -s - "$work/reference/homes" ||
    torn "after the next sync the homes differ: $(summary | diff "$work/reference/homes" - | head -n 5)"
  left=$(find "$root" -xdev -name '.ddum*')
  [[ -z $left ]] || torn "after the next sync this is left: $left"
  ddum "${tables[@]}" sync
  [[ $status == 0 && -z $out ]] || torn "the sync after the next still has something to do: $out $err"
done
echo "# killed at $kills steps: $(printf '%s\n' "${points[@]}" | cut -d' ' -f1 | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }')"
true_that "most of them were reached" test "$kills" -ge "$((${#points[@]} / 2))"
same "every kill left whole files, and the next sync mended the rest" "" "$(head -n 40 "$problems")"

finish
