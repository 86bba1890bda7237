#!/usr/bin/env bash
# The whole life of accounts by the real binary's own commands, against an emulator; races, dry runs and IAM included.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

backend=5001
proxy=5002
endpoint=http://127.0.0.1:$backend
rounds=${DDUM_ROUNDS:-20}
config=/etc/dynamodb-user-manager.cfg
tables() { "$python" "$here/tables.py" "$@"; }
# dump FILE: what both tables hold, by other hands than ours.
dump() { tables dump "$endpoint" Users Groups >"$1"; }
asked() { jq -rs "$1" "$work/requests"; }

serve moto "$backend" "$area/venv/bin/moto_server" -H 127.0.0.1 -p "$backend"
serve proxy "$proxy" "$python" "$here/meeting_proxy.py" "$proxy" "$backend" "$work/requests" "$work/meet"

# configure JSON-EDIT FILE
configure() {
  jq -n --arg endpoint "http://127.0.0.1:$proxy" '{aws_access_key: "AKIDEXAMPLE", aws_secret_key: "examplesecret",
    aws_region: "us-east-1", endpoint_url: $endpoint} | '"$1" >"$root${2:-$config}"
  chmod 0600 "$root${2:-$config}"
}
configure .

mkdir "$work/keys"
for each in laptop phone; do
  new_key "$work/keys/$each" >/dev/null
  cp "$work/keys/$each.pub" "$root/srv/$each.pub"
done
print_of() { ssh-keygen -lf "$work/keys/$1.pub" | cut -d' ' -f2; }

# does STATUS OUTPUT ARGUMENTS...: the exit status, and all of standard output.
does() {
  local want=$1 text=$2
  shift 2
  ddum "$@"
  expect "ddum $*: exit status" "$want"
  same "ddum $*: output" "$text" "$out"
}

# fails STATUS NEEDLE ARGUMENTS...: the exit status, one line of error that holds the needle, and nothing else.
fails() {
  local want=$1 needle=$2
  shift 2
  ddum "$@"
  expect "ddum $*: exit status" "$want"
  has "ddum $*: says why" "$err" "$needle"
  same "ddum $*: in one line" "1 0" "$(wc -l <"$work/stderr" | tr -d ' ') ${#out}"
}

# --- Tables
fails 1 "'ddum tables create' makes" user list
fails 1 "'ddum tables create' makes it" tables describe
fails 1 "'ddum tables create' makes" user add alice
made=$'+ table Users: on demand, protected from deletion, point-in-time recovery\n+ table Groups: on demand, protected from deletion, point-in-time recovery'
does 0 "$made" tables create --tag team=ops --dry-run
fails 1 "there is no table" tables describe
does 0 "$made" tables create --tag team=ops
does 0 "" tables create
has "tables that are right are said to be" "$err" 'table "Users" is there already, as it should be'
ddum tables describe --json
expect "tables describe" 0
same "describe tells what was asked for" '["Users",true,true,true]' \
  "$(jq -c '.tables[0] | [.table, .on_demand, .deletion_protection, .point_in_time_recovery]' "$work/stdout")"
no "the table cannot be deleted" tables drop "$endpoint" Users
for role in reader admin self; do
  ddum tables policy "$role" --account 123456789012
  expect "tables policy $role" 0
  cp "$work/stdout" "$work/policy-$role.json"
  true_that "policy $role is JSON" jq -e '.Version == "2012-10-17" and (.Statement | length > 0)' "$work/policy-$role.json"
done

# --- A life
does 0 "+ group dev: gid 2000, members (none)" group add dev
does 0 "$(
  echo "+ user alice: uid 2001, gid 2001, home /home/alice, shell /bin/bash"
  echo "+ group alice: gid 2001"
  echo "~ group dev: +alice"
  echo "~ keys alice: +$(print_of laptop) (laptop)"
)" user add alice --uid auto --real-name "Alice Example" --groups dev --key /srv/laptop.pub
does 0 "+ user bob: uid 3000, gid 2000, home /srv/bob, shell /bin/sh, expires 2031-12-31" \
  user add bob --uid 3000 --group dev --home /srv/bob --shell /bin/sh --expires 20311231
fails 1 "there is a user alice already; nothing was written; see 'ddum user show alice'" user add alice
fails 1 "UID 3000 is that of bob" user add carl --uid 3000
fails 2 "below 1000" user add carl --uid 999
fails 2 "Shell: " user add carl --shell bash
fails 1 "there is no group nobody" user add carl --groups nobody
does 0 "~ user alice: shell /bin/bash -> /bin/zsh; max days 90" user set alice --shell /bin/zsh --max-days 90
does 0 "" user set alice --shell /bin/zsh
does 0 "~ user alice: max days 90 removed" user set alice --unset max-days
does 0 "~ user bob: expires 2020-01-02" user expire bob 2020-01-02
does 0 "$(printf 'NAME  UID   GID   KEYS  EXPIRES             HOME      SHELL    REAL NAME\nbob   3000  2000  0     2020-01-02, closed  /srv/bob  /bin/sh')" \
  user list --expired
does 0 "~ user bob: expires 2020-01-02 removed" user enable bob
echo "$hash" >"$root/srv/hash"
run in_root sh -c "ddum user set bob --password-hash-stdin </srv/hash"
expect "a password hash comes on standard input" 0
same "and is not repeated" "~ user bob: password changed; password of $(date -u +%F)" "$out"
ddum user show bob --json
same "nor shown" set "$(jq -r .password "$work/stdout")"

does 0 "~ group dev: +bob" group join dev bob alice
does 0 "~ group dev: administrators +bob" group join dev bob --as-administrators
does 0 "~ group dev: -alice" group leave dev alice
does 0 "~ group dev: gid 2000 -> 4000" group set dev --gid 4000
ddum group show dev --json
same "the group is what became of it" '[4000,["bob"],["bob"]]' "$(jq -c '[.gid, .members, .administrators]' "$work/stdout")"
does 0 "~ group dev: -bob" group leave dev bob
dump "$work/now"
same "a group without members has no set" null "$(jq -c '.Groups[] | select(.Name.S == "dev").Members' "$work/now")"
fails 2 "say --yes" group delete dev
does 0 "- group dev" group delete dev --yes
fails 1 "there is no group dev" group join dev bob

does 0 "~ keys alice: +$(print_of phone) (phone)" key add alice /srv/phone.pub --expires 2031-05-06
does 0 "" key add alice /srv/phone.pub --expires 2031-05-06
ddum key list alice --json
same "the keys, the later one with its end" '[["laptop",null],["phone","2031-05-06"]]' \
  "$(jq -c '[.keys[] | [.comment, .expires]] | sort' "$work/stdout")"
does 0 "~ keys alice: -$(print_of laptop) (laptop)" key disable alice "$(print_of laptop)"
does 0 "" key disable alice laptop
fails 1 "is disabled; 'ddum key enable alice" key add alice /srv/laptop.pub
does 0 "~ keys alice: +$(print_of laptop) (laptop)" key enable alice laptop
does 0 "~ keys alice: -$(print_of phone) (phone)" key delete alice phone
fails 1 "alice has no key \"phone\"; 'ddum key list alice'" key delete alice phone
fails 2 "private key" key add alice /etc/ssh/ssh_host_ed25519_key

fails 2 "say --yes" user delete bob
does 0 "- user bob" user delete bob --yes
has "hosts keep the account, and that is said" "$err" "hosts keep the account and its keys as they are"
fails 1 "there is no user bob" user show bob

# --- Every writing command can be tried without writing, and tells programs the same
does 0 "+ group ops: gid 2002, members alice" group add ops --members alice
run in_root sh -c "ddum key add alice - --me-from-env </srv/phone.pub"
expect "two users are one too many" 2
run in_root env USER=alice ddum key add --me-from-env /srv/phone.pub
expect "one's own keys by \$USER" 0
does 0 "~ keys alice: -$(print_of phone) (phone)" key disable alice phone
does 0 "~ user alice: expires 2031-01-01" user expire alice 2031-01-01
in_root useradd --uid 1500 --create-home --shell /bin/sh host
dump "$work/before"
: >"$work/requests"
for line in "user add zoe --groups ops --key /srv/phone.pub" "user set alice --shell /bin/sh" "user expire alice 2032-01-01" \
  "user enable alice" "user delete alice" "group add new" "group set ops --gid 2500" "group join ops zoe" \
  "group leave ops alice" "group delete ops" "key disable alice laptop" "key enable alice phone" \
  "key delete alice laptop" "tables create" "export"; do
  read -ra words <<<"$line"
  ddum "${words[@]}" --dry-run --json
  expect "ddum $line --dry-run --json" 0
  true_that "ddum $line --json: is JSON, and a dry run" jq -es 'length == 1 and .[0].dry_run' "$work/stdout"
  [[ $line == "tables create" ]] || true_that "ddum $line --dry-run: says what would be" \
    jq -e '(.changes // .added) | length > 0' "$work/stdout"
done
dump "$work/after"
same_file "no dry run wrote anything" "$work/before" "$work/after"
same "no dry run asked for a write" '["DescribeContinuousBackups","DescribeTable","GetItem","Scan"]' \
  "$(asked '[.[].target] | unique | tostring')"
for line in "user list" "user show alice" "group list" "group show ops" "key list alice" "tables describe" "explain host"; do
  read -ra words <<<"$line"
  ddum "${words[@]}" --json
  expect "ddum $line --json" 0
  true_that "ddum $line --json: is JSON" jq -es 'length == 1' "$work/stdout"
done
does 0 "~ user alice: expires 2031-01-01 removed" user enable alice

# --- Two at once. The proxy holds the first write back until the second one is there: both have read the same.
# at_once LINE LINE: runs both; $first, $second are exit statuses, what they said is in 1 and 2.
at_once() {
  local number pids=() words
  touch "$work/meet"
  for number in 1 2; do
    read -ra words <<<"${!number}"
    "${enter[@]}" /usr/sbin/ddum "${words[@]}" >"$work/$number" 2>&1 </dev/null &
    pids+=($!)
  done
  first=0 second=0
  wait "${pids[0]}" || first=$?
  wait "${pids[1]}" || second=$?
  cat "$work/1" "$work/2" >>"$work/output"
  [[ ! -e $work/meet ]] || fail "both wrote at once: $1 | $2"
}

clear_conflicts=0
for ((round = 1; round <= rounds; round++)); do
  at_once "user set alice --shell /bin/one$round" "user set alice --shell /bin/two$round"
  winner=one
  [[ $first == 0 ]] || winner=two
  [[ "$first $second" == "0 1" || "$first $second" == "1 0" ]] || fail "round $round: one of two wins: $first $second"
  grep -q "ddum: conflict: somebody else changed Shell of user alice in the meantime; nothing was written; see 'ddum user show alice', then try again" \
    "$work/1" "$work/2" && clear_conflicts=$((clear_conflicts + 1))
  ddum user show alice --json
  [[ $(jq -r .shell "$work/stdout") == "/bin/$winner$round" ]] || fail "round $round: the winner's value is stored"
done
same "of two who set the same, exactly one gets a clear conflict, every time" "$rounds" "$clear_conflicts"

both=0
for ((round = 1; round <= rounds; round++)); do
  at_once "user set alice --shell /bin/a$round" "user set alice --real-name a$round"
  [[ "$first $second" == "0 0" ]] && both=$((both + 1))
done
same "of two who set different things, both succeed, every time" "$rounds" "$both"

settled=0
for ((round = 1; round <= rounds; round++)); do
  at_once "user add a$round --uid auto" "user add b$round --uid auto"
  [[ "$first $second" == "0 0" ]] && settled=$((settled + 1))
done
same "of two who add with --uid auto, both succeed, every time" "$rounds" "$settled"
dump "$work/now"
same "and no UID is there twice" "$((2 * rounds + 1)) $((2 * rounds + 1))" \
  "$(jq -r '[.Users[].UID.N] | "\(length) \(unique | length)"' "$work/now")"
same "nor a GID" true "$(jq '[.Groups[].GID.N] | length == (unique | length)' "$work/now")"
same "and each user's group has the user's number" true \
  "$(jq '.Groups as $groups | [.Users[] | . as $user | any($groups[]; .Name == $user.Name and .GID == $user.UID)] | all' "$work/now")"
told=$(grep -ho '^+ user [ab][0-9]*: uid [0-9]*' "$work/output" | sort -u)
same "what was told is what is stored" "$told" \
  "$(jq -r '.Users[] | select(.Name.S | test("^[ab][0-9]+$")) | "+ user \(.Name.S): uid \(.UID.N)"' "$work/now" | sort)"

one=0
for ((round = 1; round <= rounds; round++)); do
  at_once "user add c$round --uid $((5000 + round))" "user add d$round --uid $((5000 + round))"
  [[ $first != 0 && $second != 0 ]] || one=$((one + 1))
done
dump "$work/now"
same "a UID that two ask for is never given to both" "$one" "$(jq '[.Users[].UID.N | tonumber | select(. > 5000)] | length' "$work/now")"
same "and not twice" true "$(jq '[.Users[].UID.N] | length == (unique | length)' "$work/now")"

does 0 "+ group crowd: gid 9000, members (none)" group add crowd --gid 9000
for ((round = 1; round <= rounds; round++)); do
  at_once "group join crowd a$round" "group join crowd b$round"
  at_once "group join crowd c$round" "group leave crowd a$round"
done
ddum group show crowd --json
same "who joins and leaves at once does all of it" "$(for ((round = 1; round <= rounds; round++)); do
  printf 'b%s\nc%s\n' "$round" "$round"
done | sort)" "$(jq -r '.members[]' "$work/stdout" | sort)"

# --- Away, and back again into an empty tree
ddum export --from-tables --to-files /srv/users.json /srv/groups.json
expect "export --from-tables" 0
mkdir "$root/srv/tree" "$root/srv/baked"
ddum -c "$config" --root /srv/tree sync
one_of "sync from the tables into an empty tree" "$status" 0 3
ddum --root /srv/baked --users /srv/users.json --groups /srv/groups.json sync
one_of "sync from the snapshot into another" "$status" 0 3
for file in passwd shadow group gshadow; do
  same_file "both have the same $file" "$root/srv/tree/etc/$file" "$root/srv/baked/etc/$file"
done
true_that "and the same keys" diff -r "$root/srv/tree/home/alice/.ssh" "$root/srv/baked/home/alice/.ssh"

in_root useradd --uid 1501 --create-home --shell /bin/bash --comment "Böb, Room 1" guest
echo "guest:$hash" | in_root chpasswd -e
in_root chage --mindays 1 --maxdays 90 --warndays 7 --inactive 30 --expiredate 2031-12-31 guest
in_root groupadd --gid 1700 team
in_root gpasswd -M guest,host team
install -d -m 0700 -o 1501 -g 1501 "$root/home/guest/.ssh"
install -m 0600 -o 1501 -g 1501 "$work/keys/phone.pub" "$root/home/guest/.ssh/authorized_keys"
ddum export
expect "export to the tables" 0
has "tells each" "$out" "+ user guest: uid 1501, gid 1501, 1 key, password set"
ddum export
same "export again has nothing to do" "0 " "$status $out"
mkdir "$root/srv/host"
ddum -c "$config" --root /srv/host sync
one_of "sync of the exported accounts into an empty tree" "$status" 0 3
for file in passwd shadow group gshadow; do
  for account in guest host team; do
    same "$file of $account is the same again" "$(grep "^$account:" "$root/etc/$file")" "$(grep "^$account:" "$root/srv/host/etc/$file")"
  done
done
same "and so are the keys" "$(<"$work/keys/phone.pub")" "$(grep -v '^#' "$root/srv/host/home/guest/.ssh/authorized_keys")"
in_root usermod --shell /bin/sh guest
ddum export
same "an item that differs is left" 3 "$status"
ddum export --overwrite
same "unless it is asked for" "0 ~ user guest: Shell" "$status $out"

# --- Progress, where somebody sits who would wait
for ((user = 0; user < 150; user++)); do
  echo "bulk$user:x:$((20000 + user)):100::/home/bulk$user:/bin/sh"
done >"$root/srv/passwd"
watched() {
  script -qec "$(printf '%q ' "${enter[@]}" /usr/sbin/ddum export --passwd /srv/passwd --no-shadow --no-group "$@")" /dev/null \
    </dev/null >"$work/terminal" 2>&1
}
true_that "an export at a terminal" watched
true_that "says how far it is" grep -aqE $'\r[0-9]+ of 150 items written' "$work/terminal"
same "and nothing of that stays on the screen" $'\r\e[K' "$(grep -aoE $'\r\e\\[K' "$work/terminal" | head -n 1)"
ddum export --passwd /srv/passwd --no-shadow --no-group
lacks "elsewhere nothing moves" "$out$err" $'\r'

# --- IAM: what was asked for is what the policies allow
needed=$(asked '[.[] | if .target == "TransactWriteItems" then .body.TransactItems[] | keys[] + "Item" else .target end
  | "dynamodb:" + .] | unique | .[]' | grep -vx 'dynamodb:')
same "all that administrators' commands ask for is in the policy" "" \
  "$(comm -23 <(sort <<<"$needed") <(jq -r '.Statement[].Action[]' "$work/policy-admin.json" | sort))"
: >"$work/requests"
ddum -c "$config" --root /srv/host sync
ddum -c "$config" --root /srv/host check
ddum -c "$config" --root /srv/host explain alice
same "a host asks for nothing but what a reader may" "$(jq -r '.Statement[].Action[]' "$work/policy-reader.json")" \
  "$(asked '[.[] | "dynamodb:" + .target] | unique | .[]')"

read -r access secret < <(tables caller "$endpoint" alice)
configure '. + {aws_access_key: "'"$access"'", aws_secret_key: "'"$secret"'"}' /srv/alice.cfg
: >"$work/requests"
own() { run in_root env AWS_ENDPOINT_URL_STS="$endpoint" ddum -c /srv/alice.cfg key "$@"; }
for line in list "add /srv/phone.pub --expires 2031-02-03" "delete phone" "enable phone" "disable laptop" "enable laptop" \
  "add /srv/laptop.pub --expires 2031-02-03" "delete laptop"; do
  read -ra words <<<"$line"
  own "${words[@]}"
  if [[ $line == add*phone* ]]; then
    expect "as alice by STS: key $line (is disabled)" 1
  elif [[ $line == "delete phone" ]]; then
    expect "as alice by STS: key $line" 0
  elif [[ $line == "enable phone" ]]; then
    expect "as alice by STS: key $line (is gone)" 1
  else
    expect "as alice by STS: key $line" 0
  fi
done
same "one's own keys take no more than reads and changes of one item" \
  '["GetItem","UpdateItem"]' "$(asked '[.[].target] | unique | tostring')"
same "which is one's own" '[{"Name":{"S":"alice"}}]' "$(asked '[.[].body.Key] | unique | tostring')"
same "and name no attribute that the policy does not" "" "$(comm -23 \
  <(asked '.[].body | (.ExpressionAttributeNames // {} | .[]), (.Key | keys[])' | sort -u) \
  <(jq -r '.Statement[].Condition["ForAllValues:StringEquals"]["dynamodb:Attributes"][]' "$work/policy-self.json" | sort -u))"
same "and name all of them by an alias" true "$(asked '[.[].body | .UpdateExpression, .ConditionExpression, .ProjectionExpression
  | select(.) | [scan("[#:]?[A-Za-z_][A-Za-z_0-9]*")] | all(.[]; test("^[#:]") or IN("ADD", "DELETE", "SET", "REMOVE", "AND",
  "contains", "attribute_exists", "attribute_not_exists"))] | all')"
same "reads name attributes, as the policy's Select wants" true \
  "$(asked '[.[] | select(.target == "GetItem") | .body.ProjectionExpression | type == "string"] | all')"
same "changes give back nothing else" '["UPDATED_NEW"]' \
  "$(asked '[.[] | select(.target == "UpdateItem") | .body.ReturnValues] | unique | tostring')"
echo "NOT CHECKED: that AWS evaluates the policies so; no emulator does"

lacks "no output holds the secret key" "$(<"$work/output")" examplesecret
finish
