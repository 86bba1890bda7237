#!/usr/bin/env bash
# The distribution's account tools and ddum write the same files at the same time: no tool fails, no change is lost.
# suites: bookworm trixie
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

rounds=${DDUM_ROUNDS:-150}

for each in 1 2 3 4; do
  in_root useradd --no-create-home "local$each"
done
in_root groupadd --gid 1700 ops
in_root groupadd standing
in_root pwck -rq >"$work/pwck-before" 2>&1 || true
in_root grpck -rq >"$work/grpck-before" 2>&1 || true

# Tables in several versions: names, numbers and homes stay, everything else moves. Homes and keys are not this test's
# matter, and would only slow it down.
users=40
for version in 1 2 3 4 5; do
  jq -n --argjson v "$version" --argjson n "$users" --arg hash "$hash" '
    [range($n) | {Name: "table\(.)", UID: (5000 + .), GID: 5000, RealName: "version \($v)", Home: "/nonexistent",
      Shell: "/bin/sh", Password: "\($hash)\($v)", PasswordAgeMaxDays: (100 + $v)}]' | scan_file >"$root/srv/users$version"
  jq -n --argjson v "$version" --argjson n "$users" '
    [{Name: "table", GID: 5000},
     {Name: "ops", GID: 1700, Members: ["table\($v)", "table\($v + 1)"]},
     {Name: "crew", GID: 5001, Members: [range($n) | select(. % 5 < $v) | "table\(.)"]}]' | scan_file >"$root/srv/groups$version"
done

# vipw runs this on a copy of the file, and takes it back when its time differs, in whole seconds.
cat >"$root/usr/local/bin/append" <<'END'
#!/bin/sh
before=$(stat -c %Y "$1")
echo "# edit $ROUND" >>"$1"
touch -d "@$((before + 1))" "$1"
END
chmod 0755 "$root/usr/local/bin/append"

# tool COMMAND...: one that must succeed.
tool() {
  local said
  if ! said=$(in_root "$@" 2>&1); then
    echo "round $round: $*: $said" >>"$work/failures"
  fi
}

# expect_kept WHAT EXPECTED ACTUAL: what the round before left must still be there.
kept() {
  [[ $2 == "$3" ]] || echo "round $round: $1 was lost: expected '$2', found '$3'" >>"$work/failures"
}

adding() {
  for ((round = 1; round <= rounds; round++)); do
    tool useradd --no-create-home "added$round"
    tool gpasswd --add "added$round" ops
    if ((round % 4 == 0)); then
      tool userdel "added$round"
    fi
  done
}

commenting() {
  local before=''
  for ((round = 1; round <= rounds; round++)); do
    kept "usermod's comment" "$before" "$(grep ^local1: "$root/etc/passwd" | cut -d: -f5)"
    tool usermod --comment "round $round" local1
    before="round $round"
  done
}

ageing() {
  local before
  before=$(grep ^local2: "$root/etc/shadow" | cut -d: -f5)
  for ((round = 1; round <= rounds; round++)); do
    kept "chage's maximum" "$before" "$(grep ^local2: "$root/etc/shadow" | cut -d: -f5)"
    tool chage --maxdays "$round" local2
    before=$round
  done
}

grouping() {
  for ((round = 1; round <= rounds; round++)); do
    tool groupadd "extra$round"
    tool gpasswd --add local1 "extra$round"
    tool gpasswd --add local2 standing
    kept "gpasswd's new member" "standing:local2" "$(grep ^standing: "$root/etc/group" | cut -d: -f1,4)"
    tool gpasswd --delete local2 standing
    kept "gpasswd's removal" "standing:" "$(grep ^standing: "$root/etc/group" | cut -d: -f1,4)"
  done
}

hashing() {
  local before
  before=$(grep ^local3: "$root/etc/shadow" | cut -d: -f2)
  for ((round = 1; round <= rounds; round++)); do
    kept "chpasswd's hash" "$before" "$(grep ^local3: "$root/etc/shadow" | cut -d: -f2)"
    before="\$6\$round$round\$abcdefghijklmnopqrstuvwxyz"
    tool sh -c 'echo "$0" | chpasswd -e' "local3:$before"
  done
}

# Without -e the password goes through PAM, which takes the lock, and writes the file, in its own way.
changing_passwords() {
  local before after
  for ((round = 1; round <= rounds / 2; round++)); do
    before=$(grep ^local4: "$root/etc/shadow" | cut -d: -f2)
    tool sh -c 'echo "local4:password$0" | chpasswd' "$round"
    after=$(grep ^local4: "$root/etc/shadow" | cut -d: -f2)
    [[ $before != "$after" ]] || echo "round $round: PAM's new password was lost" >>"$work/failures"
  done
}

editing() {
  for ((round = 1; round <= rounds / 2; round++)); do
    tool env EDITOR=/usr/local/bin/append ROUND="$round" vipw
    tool env EDITOR=/usr/local/bin/append ROUND="$round" vigr
  done
}

touch "$work/failures"
workers=()
started=$SECONDS
for worker in adding commenting ageing grouping hashing changing_passwords editing; do
  "$worker" >"$work/$worker.log" 2>&1 &
  workers+=($!)
done

# Any of them still at work?
busy() {
  local pid
  for pid in "${workers[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      return 0
    fi
  done
  return 1
}

syncs=0
slowest=0
while busy && ((SECONDS - started < 1500)); do
  version=$((syncs % 5 + 1))
  ddum --users "/srv/users$version" --groups "/srv/groups$version" sync
  if [[ $status != 0 ]]; then
    echo "sync $syncs: exit status $status: $err" >>"$work/failures"
  fi
  kept() { [[ $2 == "$3" ]] || echo "sync $syncs: $1: expected '$2', found '$3'" >>"$work/failures"; }
  kept "the sync's own result" "version $version" "$(grep ^table7: "$root/etc/passwd" | cut -d: -f5)"
  syncs=$((syncs + 1))
  if ((took > slowest)); then
    slowest=$took
  fi
done
no "all tools came to their end" busy
for pid in "${workers[@]}"; do
  if ! wait "$pid"; then
    fail "a loop of tools ended early"
  fi
done
echo "# $rounds rounds and $syncs syncs in $((SECONDS - started)) s; the slowest sync took $slowest ms"
true_that "ddum ran beside them, not after them" test "$syncs" -ge 10

ddum --users /srv/users1 --groups /srv/groups1 sync
expect "the last sync succeeds" 0

same "no tool failed and nothing was lost on the way" "" "$(head -n 20 "$work/failures")"

in_field() { cut -d: -f"$2" <<<"$(grep "^$1:" "$root/etc/$3")"; }
members() { tr ',' '\n' | LC_ALL=C sort | paste -sd' '; }
added=()
gone=()
for ((round = 1; round <= rounds; round++)); do
  if ((round % 4 == 0)); then gone+=("added$round"); else added+=("added$round"); fi
done
for file in passwd shadow group gshadow; do
  same "every user that useradd made is in $file" "$(printf '%s\n' "${added[@]}" | LC_ALL=C sort)" \
    "$(grep -o '^added[0-9]*' "$root/etc/$file" | LC_ALL=C sort)"
done
same "no user that userdel removed is left in a group" "" "$(grep -wE "$(
  IFS='|'
  echo "${gone[*]}"
)" "$root/etc/group" || true)"
for file in group gshadow; do
  same "the group that both write has everybody in $file" "$(printf '%s\n' "${added[@]}" table1 table2 | members)" \
    "$(in_field ops 4 "$file" | members)"
  same "every group that groupadd made is in $file, with its member" \
    "$(for ((round = 1; round <= rounds; round++)); do echo "extra$round:local1"; done | LC_ALL=C sort)" \
    "$(grep '^extra' "$root/etc/$file" | cut -d: -f1,4 | LC_ALL=C sort)"
done
same "usermod's last comment" "round $rounds" "$(in_field local1 5 passwd)"
same "chage's last maximum" "$rounds" "$(in_field local2 5 shadow)"
for file in passwd group; do
  same "every edit of $file is there" "$(for ((round = 1; round <= rounds / 2; round++)); do echo "# edit $round"; done)" \
    "$(grep '^# edit' "$root/etc/$file")"
done
same "the table's users are whole" "$users" "$(grep -c '^table[0-9]*:x:5[0-9]*:5000:version 1:/nonexistent:/bin/sh$' "$root/etc/passwd")"
same "the table's passwords are whole" "$users" "$(grep -c "^table[0-9]*:.*1:[0-9]*::101::::$" "$root/etc/shadow")"

# Comments are what the editor added, and no entry for these two.
in_root pwck -rq 2>&1 | grep -v 'invalid password file entry\|# edit\|no changes\|^$' >"$work/pwck-after" || true
in_root grpck -rq 2>&1 | grep -v 'invalid group file entry\|# edit\|no changes\|^$' >"$work/grpck-after" || true
same_file "pwck finds nothing new" "$work/pwck-before" "$work/pwck-after"
same_file "grpck finds nothing new" "$work/grpck-before" "$work/grpck-after"
same "no temporary file is left" "" "$(find "$root/etc" -maxdepth 1 -name '.ddum*')"

finish
