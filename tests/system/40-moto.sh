#!/usr/bin/env bash
# The real binary against a DynamoDB emulator: many pages, tables that are not there, and answers that are wrong.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

backend=5001
proxy=5002
endpoint=http://127.0.0.1:$backend
users=${DDUM_USERS:-2500}
tables() { "$python" "$here/tables.py" "$@"; }

serve moto "$backend" "$area/venv/bin/moto_server" -H 127.0.0.1 -p "$backend"
serve proxy "$proxy" "$python" "$here/fault_proxy.py" "$proxy" "$backend" "$work/requests" "$work/faults"

# The requests of the last run, and what is wrong in the next one.
faults() {
  echo "$1" >"$work/faults"
  : >"$work/requests"
}
asked() { jq -s "$1" "$work/requests"; }

cat >"$root/etc/dynamodb-user-manager.cfg" <<END
{
  "aws_access_key": "AKIDEXAMPLE",
  "aws_secret_key": "examplesecret",
  "aws_session_token": "plantedsessiontoken",
  "aws_region": "us-east-1",
  "endpoint_url": "http://127.0.0.1:$proxy",
  "user_table_name": "Users",
  "group_table_name": "Groups"
}
END
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"

# --- Tables that are not there
in_root useradd --create-home local
content "$root" >"$work/before"
faults '[]'
ddum sync
expect "without tables a sync fails" 1
has "and names the table" "$err" Users
content "$root" >"$work/after"
same_file "without tables nothing changes" "$work/before" "$work/after"

tables create "$endpoint" Users
ddum sync
expect "with one table of two a sync fails" 1
has "and names the other" "$err" Groups
content "$root" >"$work/after"
same_file "with one table nothing changes" "$work/before" "$work/after"

# --- More than two pages
tables create "$endpoint" Groups
tables bulk "$users" >"$work/users.json"
jq -n --argjson n "$users" 'def name: "bulk" + ("0000\(.)" | .[-5:]);
  [{Name: "many", GID: 99999, Members: [range($n) | name]},
   {Name: "few", GID: 99998, Members: ["bulk00000", "bulk00001"], Administrators: ["bulk00001"]}]' >"$work/groups.json"
tables load "$endpoint" Users <"$work/users.json"
tables load "$endpoint" Groups <"$work/groups.json"

faults '[]'
ddum sync --dry-run
expect "a dry run over the tables succeeds" 0
content "$root" >"$work/after"
same_file "a dry run over the tables changes nothing" "$work/before" "$work/after"

faults '[]'
ddum sync
expect "a sync of $users users succeeds" 0
echo "# the first sync of $users users took $took ms"
true_that "it took more than two pages" test "$(asked '[.[] | select(.table == "Users") | .page] | max')" -gt 2
same "every read is consistent" true "$(asked '[.[].consistent] | all')"
same "it asked for nothing but scans" '["Scan"]' "$(jq -sc '[.[].target] | unique' "$work/requests")"
same "every user has an account" "$users" "$(grep -c '^bulk[0-9]*:x:1[0-9]*:99999:Number [0-9]* of many ä*:/home/bulk[0-9]*:/bin/bash$' "$root/etc/passwd")"
same "every user has a shadow line" "$users" "$(grep -c "^bulk[0-9]*:\*:[0-9]*::365:::47481:$" "$root/etc/shadow")"
same "every user has a key" "$users" "$(find "$root/home" -path '*/.ssh/authorized_keys' -perm 0600 | wc -l)"
same "the keys are the table's" "$(jq -r '.[].SSHPublicKeys[]' "$work/users.json" | LC_ALL=C sort | sha256sum)" \
  "$(cat "$root"/home/bulk*/.ssh/authorized_keys | grep -v '^#' | LC_ALL=C sort | sha256sum)"
same "the large group is whole" "$users" "$(in_root getent group many | cut -d: -f4 | tr ',' '\n' | wc -l)"
same "the small group too" "few:!:bulk00001:bulk00000,bulk00001" "$(in_root getent gshadow few)"
in_root grpck -rq >"$work/grpck" 2>&1 || true
same "grpck has nothing to say" "" "$(<"$work/grpck")"

faults '[]'
sleep 1.1
look "$root" >"$work/look-before"
ddum sync
expect "the second sync succeeds" 0
echo "# the second sync of $users users took $took ms"
look "$root" >"$work/look-after"
same_file "the second sync changes nothing" "$work/look-before" "$work/look-after"

# --- A revoked key
jq '[.[7] | .SSHPublicKeys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPkvnQVUZ6bYpxJkVMMHqzZP3gPf3jL6aDMiJKkVZ1dB new"]]' \
  "$work/users.json" | tables load "$endpoint" Users
ddum sync
expect "a sync after a key was replaced" 0
same "the old key is gone, the new one is there" "ssh-ed25519 new" \
  "$(grep -v '^#' "$root/home/bulk00007/.ssh/authorized_keys" | cut -d' ' -f1,3)"
has "the change is reported by name" "$out" "~ keys bulk00007"
jq '[.[7] | del(.SSHPublicKeys)]' "$work/users.json" | tables load "$endpoint" Users
ddum sync
expect "a sync after the last key was revoked" 0
same "no key is left" 0 "$(grep -c '^ssh' "$root/home/bulk00007/.ssh/authorized_keys" || true)"

# --- Faults. Each would lose accounts, keys or members if half a table were taken for the whole.
jq '[.[range(100)] | .Shell = "/bin/sh" | .SSHPublicKeys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPkvnQVUZ6bYpxJkVMMHqzZP3gPf3jL6aDMiJKkVZ1dB new"]]' \
  "$work/users.json" | tables load "$endpoint" Users
content "$root" >"$work/before"

# broken SENTENCE FAULTS STATUS...
broken() {
  local sentence=$1
  faults "$2"
  shift 2
  ddum sync
  one_of "$sentence: exit status" "$status" "$@"
  true_that "$sentence: says why" test -n "$err"
  lacks "$sentence: prints no key of the tables" "$out$err" AAAA
  true_that "$sentence: the fault was met" jq -es 'any(.[]; .fault)' "$work/requests"
  echo "# $sentence: $took ms, $(jq -s length "$work/requests") requests: $(tail -n 1 <<<"$err" | cut -c1-300)"
  content "$root" >"$work/after"
  same_file "$sentence: accounts, homes and keys are byte for byte what they were" "$work/before" "$work/after"
}

broken "denied on page 2" '[{"table": "Users", "page": 2, "kind": "deny"}]' 1 75
has "denied: the message names the error" "$err" AccessDenied
broken "denied the Groups table" '[{"table": "Groups", "kind": "deny"}]' 1 75
broken "throttled for good on page 2" '[{"table": "Users", "page": 2, "kind": "throttle"}]' 75
broken "failing for good on page 2" '[{"table": "Users", "page": 2, "kind": "error"}]' 75
broken "cut off on page 2" '[{"table": "Users", "page": 2, "kind": "drop"}]' 1 75
broken "closed on page 2" '[{"table": "Users", "page": 2, "kind": "refuse"}]' 1 75
broken "an empty object for page 2" '[{"table": "Users", "page": 2, "kind": "empty"}]' 1 75
broken "an empty object for page 1" '[{"table": "Users", "page": 1, "kind": "empty"}]' 1 75
broken "a page of HTML for page 2" '[{"table": "Users", "page": 2, "kind": "html"}]' 1 75
broken "fewer items than counted on page 2" '[{"table": "Users", "page": 2, "kind": "truncate"}]' 1 75
broken "a page that leads back to itself" '[{"table": "Users", "page": 2, "kind": "repeat"}]' 1 75
broken "an answer that never comes" '[{"table": "Users", "page": 2, "kind": "hang"}]' 1 75
true_that "an answer that never comes is waited for less than 90 s" test "$took" -lt 90000

# nothing answers at all
stop_server "$server"
ddum sync
expect "with nothing at the endpoint, try again later" 75
content "$root" >"$work/after"
same_file "with nothing at the endpoint nothing changes" "$work/before" "$work/after"
serve proxy "$proxy" "$python" "$here/fault_proxy.py" "$proxy" "$backend" "$work/requests" "$work/faults"

# --- Faults that pass
faults '[{"table": "Users", "page": 2, "kind": "throttle", "times": 2}, {"table": "Users", "page": 3, "kind": "drop", "times": 1},
  {"table": "Groups", "kind": "error", "times": 1}]'
ddum sync
expect "faults that pass are sat out" 0
same "and then the tables are there" 100 "$(grep -c '^bulk000[0-9][0-9]:.*:/bin/sh$' "$root/etc/passwd")"

# --- An eventually consistent read, and another table's name
tables create "$endpoint" OtherUsers
echo '[{"Name": "other", "UID": 7000, "GID": 99999, "Home": "/home/other", "Shell": "/bin/sh"}]' | tables load "$endpoint" OtherUsers
jq '.consistent_read = false | .user_table_name = "OtherUsers"' "$root/etc/dynamodb-user-manager.cfg" >"$root/srv/other.cfg"
chmod 0600 "$root/srv/other.cfg"
faults '[]'
ddum -c /srv/other.cfg sync
expect "another configuration" 0
same "its user is there" 7000 "$(in_root id -u other)"
same "its reads are eventually consistent" false "$(asked 'any(.[]; .consistent == true)')"
same "users of a table that is no longer asked keep their accounts" "$users" "$(grep -c '^bulk' "$root/etc/passwd")"

# --- From outside, by --root
mkdir -p "$work/image"
cp "$root/etc/dynamodb-user-manager.cfg" "$work/config"
run "$binary" -c "$work/config" --root "$work/image" sync
one_of "a sync from the tables into an empty tree" "$status" 0 3
same "has every user" "$users" "$(grep -c '^bulk' "$work/image/etc/passwd")"

finish
