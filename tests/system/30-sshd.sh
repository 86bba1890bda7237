#!/usr/bin/env bash
# Real logins through the release's own sshd, with PAM and without: who is in the table gets in, who is not does not.
# suites: bookworm trixie
# shellcheck disable=SC2016 # The variables in single quotes are jq's, or those of a shell in the root.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck source=logins.sh
source "$here/logins.sh"
begin "$@"

mkdir "$work/keys"
for each in alice laptop bob host; do
  new_key "$work/keys/$each" >/dev/null
done
public() { echo "$(<"$work/keys/$1.pub")"; }

start_sshd

# The harness itself: an account made by the release's own tools.
in_root useradd --create-home --shell /bin/sh --password '*' host
install -d -m 0700 -o 1000 -g 1000 "$root/home/host/.ssh"
public host >"$root/home/host/.ssh/authorized_keys"
gets_in "a hand-made account gets in" host host
kept_out "with another key it does not" host alice

# table JSON-EDIT: alters the Users table and syncs.
echo '[]' >"$work/users.json"
echo '[{"Name": "people", "GID": 3000}]' | scan_file >"$root/srv/groups.json"
table() {
  jq --arg alice "$(public alice)" --arg laptop "$(public laptop)" --arg bob "$(public bob)" \
    "$1" "$work/users.json" >"$work/edited"
  mv "$work/edited" "$work/users.json"
  scan_file <"$work/users.json" >"$root/srv/users.json"
  ddum --users /srv/users.json --groups /srv/groups.json sync
  expect "sync" "${2:-0}"
}

table '. + [
  {Name: "alice", UID: 3001, GID: 3000, Home: "/home/alice", Shell: "/bin/sh", SSHPublicKeys: [$alice, $laptop]},
  {Name: "bob", UID: 3002, GID: 3000, Home: "/home/bob", Shell: "/bin/bash", SSHPublicKeys: [$bob],
    Password: "$6$rounds=1000$abcdefgh$0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"}]'
gets_in "a new user without a password gets in by key" alice alice
gets_in "with each of the keys" alice laptop
gets_in "a user with a password gets in by key" bob bob
kept_out "nobody gets in with another's key" alice bob

table 'map(if .Name == "alice" then .SSHPublicKeys = [$alice] else . end)'
kept_out "a revoked key is out at once" alice laptop
gets_in "the other key still works" alice alice

table 'map(if .Name == "alice" then .SSHPublicKeys = [$alice + "", "from=\"192.0.2.1\" " + $laptop] else . end)'
kept_out "a key with options is held to them" alice laptop
table 'map(if .Name == "alice" then .SSHPublicKeys = ["from=\"127.0.0.1\",no-pty " + $laptop] else . end)'
gets_in "a key with options gets in where they allow it" alice laptop
kept_out "and is then the only one" alice alice

table 'map(if .Name == "alice" then del(.SSHPublicKeys) else . end)'
kept_out "without keys in the table nobody gets in" alice laptop
table 'map(if .Name == "alice" then .SSHPublicKeys = [$alice] else . end)'

today=$(date -u +%F)
for expired in 2020-01-01 1970-01-01 "$today"; do
  table "map(if .Name == \"alice\" then .AccountExpireDate = \"$expired\" else . end)"
  kept_out "an account that expired on $expired is out" alice alice
done
gets_in "others are not" bob bob
table "map(if .Name == \"alice\" then .AccountExpireDate = \"$(date -u -d '+2 days' +%F)\" else . end)"
gets_in "an account that expires in two days is in again" alice alice
table 'map(if .Name == "alice" then del(.AccountExpireDate) else . end)'
gets_in "and one that does not expire" alice alice

table 'map(if .Name == "bob" then .Password = "!" + .Password else . end)'
same "a locked password is locked" L "$(in_root passwd -S bob | cut -d' ' -f2)"
same "which PAM holds against passwords alone" bob "$(login 22001 bob bob || cat "$work/ssh-said")"
no "and sshd without PAM against keys too" login 22002 bob bob
table 'map(if .Name == "bob" then .Password |= ltrimstr("!") else . end)'
gets_in "unlocked again" bob bob
table 'map(if .Name == "bob" then del(.Password) else . end)'
same "without a password in the table there is none" "*" "$(in_root getent shadow bob | cut -d: -f2)"
gets_in "and keys go on" bob bob

# What a user puts there by hand does not stay.
public laptop >>"$root/home/alice/.ssh/authorized_keys"
gets_in "a key added by hand works" alice laptop
table .
kept_out "until the next sync" alice laptop
chmod 0666 "$root/home/alice/.ssh/authorized_keys"
table .
gets_in "a mode that sshd refuses is mended" alice alice

table 'map(if .Name == "alice" then .UID = 3101 else . end)'
gets_in "a user whose UID moved still gets in" alice alice
same "and has the new number" 3101 "$(in_root id -u alice)"
same "as have the files in the home" 3101 "$(stat -c %u "$root/home/alice/.ssh/authorized_keys")"

gets_in "the hand-made account was left alone" host host
finish
