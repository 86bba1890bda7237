#!/usr/bin/env bash
# Every kind of key and every form of option that sshd knows passes through the table and the file to a real login.
# suites: bookworm trixie
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck source=logins.sh
source "$here/logins.sh"
begin "$@"

mkdir "$work/keys"
start_sshd
echo '[{"Name": "people", "GID": 3000}]' | scan_file >"$root/srv/groups.json"
tables=(--users /srv/users.json --groups /srv/groups.json)
# user NAME LINE [MORE]: a user whose one key is that line, with more attributes.
: >"$work/people"
user() {
  jq -n --arg name "$1" --arg key "$2" "{Name: \$name, SSHPublicKeys: [\$key]} + ${3-"{}"}" >>"$work/people"
}
put() {
  jq -s 'to_entries | map({UID: (3001 + .key), GID: 3000, Home: "/home/\(.value.Name)", Shell: "/bin/sh"} + .value)' \
    "$work/people" | scan_file >"$root/srv/users.json"
}
sync() {
  put
  ddum "${tables[@]}" sync
}
fingerprint() { ssh-keygen -lf "$1" | cut -d' ' -f2; }

# --- Kinds of keys. Of some, sshd wants a token, or no more to hear: ssh-keygen at least reads them as what they are.
kinds=(rsa-2048 rsa-3072 rsa-4096 ecdsa-256 ecdsa-384 ecdsa-521 ed25519-256)
for kind in "${kinds[@]}"; do
  ssh-keygen -q -t "${kind%-*}" -b "${kind#*-}" -N '' -C "$kind" -f "$work/keys/$kind"
  user "$kind" "$(<"$work/keys/$kind.pub")"
done
others=()
while read -r kind data comment; do
  others+=("$comment")
  echo "$kind $data $comment" >"$work/keys/$comment.pub"
  user "$comment" "$kind $data $comment"
done <"$here/data/keys"

# --- Options: what sshd then does, and the option. The key is the same for all.
new_key "$work/keys/key" >/dev/null
key=$(<"$work/keys/key.pub")
options=(
  'in     restrict'
  'in     restrict,pty,port-forwarding'
  'in     no-pty'
  'in     NO-PTY,No-User-Rc'
  'in     no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc'
  'in     port-forwarding,agent-forwarding,X11-forwarding,pty,user-rc'
  'in     no-touch-required'
  'in     verify-required'
  'forced command="echo forced"'
  'forced command="echo \"forced\" # a, b"'
  'in     from="127.0.0.1"'
  'in     from="10.0.0.0/8,!192.0.2.1,127.*"'
  'out    from="192.0.2.1"'
  'out    from="127.0.0.*,!127.0.0.1"'
  'in     expiry-time="20991231"'
  'in     expiry-time="209912312359"'
  'in     expiry-time="20991231235959Z"'
  'out    expiry-time="20200101"'
  'in     environment="COLOUR=blue"'
  'in     permitopen="localhost:80",permitopen="[::1]:*"'
  'in     permitlisten="8080",permitlisten="localhost:*"'
  'in     tunnel="0"'
  'in     from="127.0.0.1",no-pty,permitopen="localhost:80"'
  'out    cert-authority'
  'out    cert-authority,principals="somebody,else"'
)
for at in "${!options[@]}"; do
  user "option$at" "${options[at]:7} $key"
done
# Whoever has a certificate of that authority gets in.
ssh-keygen -q -t ed25519 -N '' -f "$work/keys/certified"
ssh-keygen -q -s "$work/keys/key" -I test -n option23 "$work/keys/certified.pub"
ssh-keygen -q -t ed25519 -N '' -f "$work/keys/else"
ssh-keygen -q -s "$work/keys/key" -I test -n else "$work/keys/else.pub"

# --- Ageing: without a date of the last change, a new account's counts from today.
user aged "$key" '{PasswordAgeMaxDays: 90, PasswordDisableDays: 7}'
sync
expect "the sync succeeds" 0

for kind in "${kinds[@]}" "${others[@]}"; do
  same "$kind: ssh-keygen reads the key" "$(fingerprint "$work/keys/$kind.pub")" "$(fingerprint "$root/home/$kind/.ssh/authorized_keys")"
done
for kind in "${kinds[@]}"; do
  gets_in "$kind: a login" "$kind" "$kind"
done
# PAM has no say in options.
ports=(22001)
for at in "${!options[@]}"; do
  option=${options[at]:7}
  same "$option: ssh-keygen reads the key" "$(fingerprint "$work/keys/key.pub")" "$(fingerprint "$root/home/option$at/.ssh/authorized_keys")"
  case ${options[at]%% *} in
    in) gets_in "$option: a login" "option$at" key ;;
    forced) gets_in "$option: its command" "option$at" key forced ;;
    out) kept_out "$option: no login" "option$at" key ;;
  esac
done
gets_in "cert-authority: a certificate" option23 certified
gets_in "principals: a certificate for one of them" option24 else
kept_out "principals: no certificate for another" option24 certified
ports=(22001 22002)
gets_in "PasswordAgeMaxDays without LastPasswordChangeDate: a login" aged key

ports=(22001)
# --- Lines as editors and other systems leave them
comment=$(head -c 20000 /dev/zero | tr '\0' c)
user long "$key $comment"
user crlf "$key"$'\r'
user mark $'\xef\xbb\xbf'"$key"
user blanks "  $key  "
sync
one_of "lines as editors leave them are taken or refused" "$status" 0 3
for each in long crlf mark blanks; do
  if grep -q "^! user $each: \|^! keys $each: " <<<"$out"; then
    pass "$each is refused by name: $(grep "^! [a-z]* $each: " <<<"$out" | head -n 1 | cut -c1-150)"
    no "$each: and no key is written" grep -q ssh-ed25519 "$root/home/$each/.ssh/authorized_keys"
  else
    gets_in "$each is taken: a login" "$each" key
    same "$each: one line, as ssh-keygen reads it" "1 $(fingerprint "$work/keys/key.pub")" \
      "$(grep -c ssh-ed25519 "$root/home/$each/.ssh/authorized_keys") $(fingerprint "$root/home/$each/.ssh/authorized_keys")"
    lacks "$each: without a carriage return or a mark" "$(<"$root/home/$each/.ssh/authorized_keys")" $'\r'
  fi
done

# --- Days are counted in UTC, wherever the host is
for zone in Pacific/Kiritimati America/Los_Angeles UTC; do
  name=$(basename -- "$zone")
  user "$name" "$key" '{AccountExpireDate: "2031-03-09", LastPasswordChangeDate: "2025-03-09"}'
  put
  run in_root env TZ="$zone" /usr/sbin/ddum "${tables[@]}" sync
  same "$zone: the days in shadow" "20156 22347" "$(in_root getent shadow "$name" | cut -d: -f3,8 | tr : ' ')"
done
same "chage shows the day" "2031-03-09" "$(in_root chage --iso8601 --list UTC | sed -n 's/^Account expires[^:]*: //p')"

finish
