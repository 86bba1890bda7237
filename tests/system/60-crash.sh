#!/usr/bin/env bash
# A sync is killed, and meets an error, at each step that changes something. The files are whole, other tools go on,
# the next sync mends the rest.
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
mkdir "$root/var/lib/ddum" && chmod 0700 "$root/var/lib/ddum"
places=(etc home var/lib/ddum run)
mkdir "$work/before" "$work/reference"
(cd -- "$root" && cp -a --parents "${places[@]}" "$work/before")
restore() {
  (cd -- "$root" && rm -rf --one-file-system "${places[@]}")
  (cd -- "$work/before" && cp -a --parents "${places[@]}" "$root")
}

# traced STRACE-OPTIONS...: a sync under strace; only the sync is traced into the root.
traced() {
  timeout 300 strace -f -y -qq "$@" "${enter[@]}" /usr/sbin/ddum "${tables[@]}" sync
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
# write those to files below the root, not those that wake a thread or print a line.
mapfile -t points < <(awk '
  $2 ~ /^[<+-]/ { next }
  { thread = $1; call = $2; sub(/\(.*/, "", call); count = ++seen[thread, call] }
  call == "openat" && !/O_CREAT/ { next }
  call == "write" && ($2 !~ /^write\([0-9]+<\// || $2 ~ /^write\([012]</) { next }
  !((call, count) in done) { done[call, count]; print call, count }' "$work/trace" | sort -k1,1 -k2,2n)
true_that "there are steps to be killed at" test "${#points[@]}" -ge 20

problems=$work/problems
: >"$problems"
torn() { echo "$way at $call $count: $*" >>"$problems"; }

# The four files are whole, and no account is half there.
whole() {
  local file each keys
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
}

# Another tool gets on with what was left, and the next sync brings everything to where it should be.
mended() {
  local started file left
  started=$(date +%s%N)
  in_root useradd --no-create-home probe >"$work/said" 2>&1 || torn "useradd fails: $(<"$work/said")"
  ((($(date +%s%N) - started) < 10000000000)) || torn "useradd had to wait"
  ddum "${tables[@]}" sync
  [[ $status == 0 ]] || torn "the next sync ends with status $status: $err"
  in_root userdel probe >"$work/said" 2>&1 || torn "userdel fails: $(<"$work/said")"
  for file in passwd shadow group gshadow; do
    cmp -s "$root/etc/$file" "$work/reference/$file" ||
      torn "after the next sync /etc/$file differs: $(diff "$work/reference/$file" "$root/etc/$file" | cut -d: -f1 | paste -sd' ')"
  done
  summary | cmp -s - "$work/reference/homes" ||
    torn "after the next sync the homes differ: $(summary | diff "$work/reference/homes" - | head -n 5)"
  left=$(cd -- "$root" && find "${places[@]}" -name '.ddum*' -printf '/%p ')
  [[ -z $left ]] || torn "after the next sync this is left: $left"
  ddum "${tables[@]}" sync
  [[ $status == 0 && -z $out ]] || torn "the sync after the next still has something to do: $out $err"
}

echo "# ${#points[@]} steps: $(printf '%s\n' "${points[@]}" | cut -d' ' -f1 | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }')"
for way in signal=KILL error=EIO error=ENOSPC; do
  hits=0
  for point in "${points[@]}"; do
    read -r call count <<<"$point"
    restore
    run traced -o "$work/trace" -e trace="$call" -e inject="$call:$way:when=$count"
    # With threads, the count that one of them reached in the first run may be reached by none in this one.
    if [[ $status != 137 ]] && ! grep -q INJECTED "$work/trace"; then
      [[ $status == 0 ]] || torn "ended with status $status: $err"
      continue
    fi
    # Nor is an error of the call that wakes a thread, which cannot fail, of interest.
    if grep INJECTED "$work/trace" | grep -qE '\(([12]<|[0-9]+<[^/])'; then
      continue
    fi
    hits=$((hits + 1))
    case $way/$status in
      signal=KILL/137 | error=*/[13] | error=*/75) ;;
      error=*/0)
        # Something that is no part of the result, such as the report in /run.
        summary | cmp -s - "$work/reference/homes" || torn "ended well, but the homes differ"
        cmp -s "$root/etc/passwd" "$work/reference/passwd" || torn "ended well, but /etc/passwd differs"
        ;;
      *) torn "ended with status $status: $err" ;;
    esac
    [[ $err != *"internal error"* ]] || torn "panicked: $err"
    whole
    mended
  done
  echo "# $way at $hits steps"
  true_that "$way: most steps were reached" test "$hits" -ge "$((${#points[@]} / 2))"
done
# A disk that fails when all four files have their names takes nothing back: what is in place is told.
restore
run traced -o "$work/trace" -e trace=fsync
last=$(awk '/ fsync\(/ { count[$1]++ } / fsync\([0-9]+<[^>]*\/etc>\)/ { last = count[$1] } END { print last }' "$work/trace")
restore
run traced -o "$work/trace" -e trace=fsync -e "inject=fsync:error=EIO:when=$last"
expect "with an error after the last rename the sync fails" 1
has "and says that the files are in place" "$err" "all new files are in place"
has "and what is new" "$out" "+ user alice: "
has "homes included" "$out" "+ home alice: "
whole
mended

same "every time the files were whole, and the next sync mended the rest" "" "$(head -n 60 "$problems")"

finish
