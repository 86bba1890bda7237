#!/usr/bin/env bash
# The daemon updates every second beside all tools that write the account files, a second ddum, and programs that read
# them: no reader ever finds a file missing or short, no tool fails or waits for ever, and no change is lost.
# DDUM_BESIDE_SECONDS says for how long.
# suites: bookworm trixie
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

seconds=${DDUM_BESIDE_SECONDS:-30}
people=(commented aged hashed changed edited grouped locked)
for each in "${people[@]}"; do
  in_root useradd --no-create-home "$each"
done
in_root groupadd --gid 1700 ops
in_root groupadd --gid 1800 standing
in_root groupadd --gid 1900 renamed0
in_root pwck -rq >"$work/pwck-before" 2>&1 || true
in_root grpck -rq >"$work/grpck-before" 2>&1 || true

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
# publish VERSION: each table changes at once, as a whole file; an update between the two reads one of each version.
publish() {
  local table
  for table in users groups; do
    cp "$root/srv/$table$1" "$root/srv/$table.new"
    mv "$root/srv/$table.new" "$root/srv/$table"
  done
}
publish 1
jq -n '{full_update_period: 1, full_update_jitter: 0, create_home: false}' >"$root/etc/dynamodb-user-manager.cfg"
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"

# vipw runs this on a copy of the file, and takes it back when its time differs, in whole seconds. An editor is slow.
cat >"$root/usr/local/bin/slow-editor" <<'SCRIPT'
#!/bin/sh
before=$(stat -c %Y "$1")
sleep 3
sed -i "s/^edited:\([^:]*:[^:]*:[^:]*\):[^:]*:/edited:\1:edit $ROUND:/" "$1"
touch -d "@$((before + 1))" "$1"
SCRIPT
chmod 0755 "$root/usr/local/bin/slow-editor"

: >"$work/failures"
: >"$work/calls"
on() { [[ ! -e $work/over ]]; }
# tool COMMAND...: one that must succeed. Nothing here takes a minute unless it waits for somebody who waits for it.
tool() {
  local said
  if ! said=$(timeout 60 "${enter[@]}" "$@" 2>&1); then
    echo "round $round: $*: $said" >>"$work/failures"
  fi
  echo "$1" >>"$work/calls"
}
field() { cut -d: -f"$3" <<<"$(grep "^$1:" "$root/etc/$2")"; }
# kept WHAT EXPECTED ACTUAL: what the round before left must still be there.
kept() {
  [[ $2 == "$3" ]] || echo "round $round: $1 was lost: expected '$2', found '$3'" >>"$work/failures"
}

adding() {
  for ((round = 1; 1; round++)); do
    on || break
    tool useradd --no-create-home "added$round"
    tool gpasswd --add "added$round" ops
    if ((round % 3 == 0)); then
      tool userdel "added$round"
    fi
    echo "$round" >"$work/added"
  done
}
commenting() {
  for ((round = 1; 1; round++)); do
    on || break
    tool usermod --comment "round $round" --append --groups standing commented
    kept "usermod's comment" "round $round" "$(field commented passwd 5)"
    tool gpasswd --delete commented standing
    kept "gpasswd's removal" "" "$(field standing group 4)"
    kept "usermod's comment" "round $round" "$(field commented passwd 5)"
  done
}
ageing() {
  local before=''
  for ((round = 1; 1; round++)); do
    kept "chage's maximum" "${before:-$(field aged shadow 5)}" "$(field aged shadow 5)"
    on || break
    tool chage --maxdays "$round" aged
    before=$round
  done
}
renaming() {
  for ((round = 1; 1; round++)); do
    kept "groupmod's name and number" "renamed$((round - 1)):x:$((1899 + round)):" "$(grep ^renamed "$root/etc/group")"
    on || break
    tool groupmod --new-name "renamed$round" --gid $((1900 + round)) "renamed$((round - 1))"
  done
}
hashing() {
  local before=''
  for ((round = 1; 1; round++)); do
    kept "chpasswd's hash" "${before:-$(field hashed shadow 2)}" "$(field hashed shadow 2)"
    on || break
    before="\$6\$round$round\$abcdefghijklmnopqrstuvwxyz"
    tool sh -c 'echo "$0" | chpasswd -e' "hashed:$before"
  done
}
# passwd(1) goes through PAM, which takes the lock, and writes the file, in its own way; with -l and -u it does not.
changing() {
  local before state
  for ((round = 1; 1; round++)); do
    on || break
    before=$(field changed shadow 2)
    tool sh -c 'printf "%s\n%s\n" "$0" "$0" | passwd changed' "dj3-hwu2-$round-plm"
    [[ $before != "$(field changed shadow 2)" ]] || echo "round $round: passwd's password was lost" >>"$work/failures"
    for state in "l !" "u \$"; do
      tool passwd "-${state% *}" changed
      kept "passwd -${state% *}" "${state#* }" "$(field changed shadow 2 | head -c 1)"
    done
  done
}
editing() {
  for ((round = 1; 1; round++)); do
    on || break
    tool env EDITOR=/usr/local/bin/slow-editor ROUND="$round" vipw
    kept "vipw's edit" "edit $round" "$(field edited passwd 5)"
    # Somebody types for a while, then does something else for a while.
    sleep 7
    kept "vipw's edit" "edit $round" "$(field edited passwd 5)"
  done
}
declaring() {
  for ((round = 1; 1; round++)); do
    on || break
    tool systemd-sysusers --inline "u declared$round - \"declared\" /"
    echo "$round" >"$work/declared"
    sleep 1
  done
}
second() {
  for ((round = 1; 1; round++)); do
    on || break
    tool ddum --users /srv/users --groups /srv/groups sync
    sleep 2
  done
}
looking_up() {
  for ((round = 1; 1; round++)); do
    on || break
    tool sh -c 'for n in 1 2 3 4 5 6 7 8 9 10; do
      getent passwd root table7 aged 5011 >/dev/null && getent shadow root table7 edited >/dev/null &&
      getent group table crew ops 5001 >/dev/null && getent gshadow crew standing >/dev/null || exit 1; done'
  done
}
writing() {
  for ((round = 1; 1; round++)); do
    on || break
    publish $((round % 5 + 1))
    sleep 1
  done
}

"${enter[@]}" /usr/sbin/ddum -f -v -p /run/ddum.pid --users /srv/users --groups /srv/groups >>"$work/daemon.log" 2>&1 </dev/null &
daemon=$!
within "the daemon makes its first update" 60 grep -q ^table39: "$root/etc/passwd"
cc -O2 -Wall -Wextra -Werror -o "$work/watch" "$here/watch.c"
mkfifo "$work/end"
exec {open}<>"$work/end"
# First lines, last lines, and what stands between them.
"$work/watch" "$root/etc" {passwd,shadow,group,gshadow}={root,daemon,commented,locked} {passwd,shadow}={table0,table39} \
  {group,gshadow}={standing,table,crew} >"$work/watched" <"$work/end" {open}<&- &
watcher=$!

# Since the first update: what the daemon has done until now is in place of what it does beside the others.
: >"$work/daemon.log"
started=$SECONDS
workers=()
for worker in adding commenting ageing renaming hashing changing editing declaring second looking_up writing; do
  "$worker" >"$work/$worker.log" 2>&1 {open}<&- &
  workers+=($!)
done
busy() {
  local pid
  for pid in "${workers[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      return 0
    fi
  done
  return 1
}
idle() { ! busy; }
tools=(useradd userdel usermod groupmod gpasswd chage passwd env ddum systemd-sysusers)
updates() { grep ' from /srv/users' "$work/daemon.log" || true; }
changes() { updates | grep -v 'nothing to change' || true; }
# A slow machine needs longer for as much.
enough() {
  local tool
  (($(updates | wc -l) >= seconds / 4 && $(changes | wc -l) >= seconds / 8)) || return 1
  for tool in "${tools[@]}"; do
    (($(grep -cx "$tool" "$work/calls") >= 2)) || return 1
  done
  [[ -s $work/added && -s $work/declared ]]
}
sleep "$seconds"
soon 300 enough || true
touch "$work/over"
within "nobody waits for ever" 180 idle
for pid in "${workers[@]}"; do
  if ! wait "$pid"; then
    fail "a loop ended early"
  fi
done
true_that "the daemon runs all the time" kill -0 "$daemon"
lasted=$((SECONDS - started))
publish 4
sorted() { LC_ALL=C sort -u; }
crew=$(for ((each = 0; each < users; each++)); do ((each % 5 == 4)) || echo "table$each"; done | sorted)
crew_in() { field crew "$1" 4 | tr , '\n' | sorted; }
ops_in() { field ops "$1" 4 | tr , '\n' | grep '^table' | sorted; }
# In all four files: the last update may have had the new users and the old groups.
arrived() {
  local file
  for file in group gshadow; do
    [[ $(crew_in "$file") == "$crew" && $(ops_in "$file") == $'table4\ntable5' ]] || return 1
  done
  [[ $(grep -c "^table[0-9]*:.*4:[0-9]*::104::::$" "$root/etc/shadow") == "$users" ]] &&
    [[ $(grep -c '^table[0-9]*:x:5[0-9]*:5000:version 4:/nonexistent:/bin/sh$' "$root/etc/passwd") == "$users" ]]
}
within "the last tables arrive" 120 arrived
exec {open}>&-
true_that "no reader found a file missing, empty, cut short or without its accounts" wait "$watcher"
kill -TERM "$daemon"
true_that "the daemon ends with status 0" wait "$daemon"
cat "$work/daemon.log" >>"$work/output"

updates=$(updates | wc -l)
changing=$(changes | wc -l)
echo "# in $lasted s: $updates updates, $changing of them with changes; $(<"$work/watched") by the reader;" \
  "$(wc -l <"$work/calls") calls of tools: $(sort "$work/calls" | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }')"
true_that "it updated all the time" test "$updates" -ge $((seconds / 4))
true_that "and had something to change" test "$changing" -ge $((seconds / 8))
same "no update failed" "" "$(grep -a 'update failed' "$work/daemon.log" || true)"
same "no tool failed and nothing was lost on the way" "" "$(head -n 20 "$work/failures")"

for tool in "${tools[@]}"; do
  true_that "$tool ran more than once" test "$(grep -cx "$tool" "$work/calls")" -ge 2
done
round=last
added=()
gone=()
for ((each = 1; each <= $(<"$work/added"); each++)); do
  if ((each % 3 == 0)); then gone+=("added$each"); else added+=("added$each"); fi
done
for file in passwd shadow group gshadow; do
  same "every user that useradd made is in $file, none that userdel removed" "$(printf '%s\n' "${added[@]}" | sorted)" \
    "$(grep -o '^added[0-9]*' "$root/etc/$file" | sorted)"
  same "as is what systemd-sysusers made" "$(for ((each = 1; each <= $(<"$work/declared"); each++)); do echo "declared$each"; done | sorted)" \
    "$(grep -o '^declared[0-9]*' "$root/etc/$file" | sorted)"
done
for file in group gshadow; do
  same "the group that both write has everybody in $file" "$(printf '%s\n' "${added[@]}" table4 table5 | sorted)" \
    "$(field ops "$file" 4 | tr , '\n' | sorted)"
  same "crew is as the table has it in $file" "$crew" "$(crew_in "$file")"
done
same "no name is in a file twice" "" \
  "$(for file in passwd shadow group gshadow; do cut -d: -f1 "$root/etc/$file" | sort | uniq -d; done)"
same "the table's passwords are whole" "$users" "$(grep -c "^table[0-9]*:.*4:[0-9]*::104::::$" "$root/etc/shadow")"
in_root pwck -rq >"$work/pwck-after" 2>&1 || true
in_root grpck -rq >"$work/grpck-after" 2>&1 || true
same_file "pwck finds nothing new" "$work/pwck-before" "$work/pwck-after"
same_file "grpck finds nothing new" "$work/grpck-before" "$work/grpck-after"
same "no temporary file is left" "" "$(find "$root/etc" -maxdepth 1 -name '.ddum*' -o -maxdepth 1 -name '*.lock' ! -name .pwd.lock)"
ddum --users /srv/users --groups /srv/groups sync
expect "a sync afterwards succeeds" 0
same "and has nothing to do" "" "$out"

finish
