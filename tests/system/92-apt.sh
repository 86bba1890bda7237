#!/usr/bin/env bash
# The Debian package from our signed repository in a Debian that booted: installed, used, upgraded, removed, purged.
# suites: systemd-bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck source=booted.sh
source "$(dirname -- "$0")/booted.sh"
# shellcheck disable=SC2034 # lib.sh reads it.
binary=
begin "$@"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)
older=0.9.0
dist=$area/dist
endpoint=http://127.0.0.1:5001
tables() { "$python" "$here/tables.py" "$@"; }
config=$root/etc/dynamodb-user-manager.cfg

mkdir "$work/keys"
for each in alice laptop bob; do
  new_key "$work/keys/$each" >/dev/null
done

# people JSON-EDIT: alters the Users table, edit_people only what start_moto will put there.
echo '[]' >"$work/users.json"
edit_people() {
  jq --arg alice "$(<"$work/keys/alice.pub")" --arg laptop "$(<"$work/keys/laptop.pub")" \
    --arg bob "$(<"$work/keys/bob.pub")" --arg hash "$hash" "$1" "$work/users.json" >"$work/edited"
  mv "$work/edited" "$work/users.json"
}
people() {
  edit_people "$1"
  tables load "$endpoint" Users <"$work/users.json"
}

start_moto() {
  serve moto 5001 "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5001
  moto=$server
  tables create "$endpoint" Users
  tables load "$endpoint" Users <"$work/users.json"
  # Nothing is read before the second table is there.
  tables create "$endpoint" Groups
  echo '[{"Name": "people", "GID": 4000, "Members": ["alice"]}]' | tables load "$endpoint" Groups
}

serve repository 8099 "$python" -m http.server --bind 127.0.0.1 --directory "$dist" 8099
edit_people '[{Name: "alice", UID: 4001, GID: 4000, RealName: "Alice", Home: "/home/alice", Shell: "/bin/bash", Password: $hash,
  SSHPublicKeys: [$alice, $laptop]}]'
start_moto
boot running

# --- The repository, as the documentation has it
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
install -D -m 0644 "$dist/ddum.asc" "$root/etc/apt/keyrings/ddum.asc"
install -m 0644 "$dist/ddum.sources" "$root/etc/apt/sources.list.d/ddum.sources"
apt() { in_container apt-get -o Dpkg::Options::=--force-confold "$@"; }
apt update
expect "apt reads the signed repository" 0
same "without a warning" "" "$err"
in_container apt-cache madison ddum
same "both versions are offered" "$version $older" "$(awk '{ print $3 }' <<<"$out" | xargs)"

# altered FILE SED: the repository with something changed in one file, to apt at another address.
altered() {
  rm -rf "$work/altered"
  cp -r "$dist/apt" "$work/altered"
  sed -i "$2" "$work/altered/$1"
  ! cmp -s "$work/altered/$1" "$dist/apt/$1" || die "$1 was not altered"
}
altered dists/stable/InRelease 's/^Suite: stable/Suite: stabler/'
cp -r "$work/altered" "$root/srv/altered"
sed 's|^URIs:.*|URIs: file:/srv/altered|' "$dist/ddum.sources" >"$root/srv/altered.sources"
elsewhere=(-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::SourceList=/srv/altered.sources -o Dir::State::Lists=/srv/lists)
mkdir -p "$root/srv/lists/partial"
apt "${elsewhere[@]}" update
true_that "an altered release file is refused" test "$status" != 0
has "as not signed" "$err" "BADSIG"
rm -r "$root/srv/altered"
altered dists/stable/main/binary-amd64/Packages '1s/.*/Package: ddum/;s/^Architecture: amd64$/Architecture: all/'
rm "$work/altered/dists/stable/main/binary-amd64/Packages.gz"
cp -r "$work/altered" "$root/srv/altered"
apt "${elsewhere[@]}" update
true_that "so is an altered index" test "$status" != 0
rm -r "$root/srv/altered"
cp -r "$dist/apt" "$root/srv/altered"
printf 'x' | dd of="$root/srv/altered/pool/main/d/ddum/ddum_${version}_amd64.deb" bs=1 seek=1000 conv=notrunc status=none
apt "${elsewhere[@]}" update
expect "the index of a repository with one altered package is good" 0
apt "${elsewhere[@]}" install -y ddum
true_that "but the altered package is refused" test "$status" != 0
has "for its digest" "$out$err" "Hash Sum mismatch"
rm "$root/etc/apt/keyrings/ddum.asc"
apt update
true_that "without our key the repository is refused" test "$err" != ""
install -m 0644 "$dist/ddum.asc" "$root/etc/apt/keyrings/ddum.asc"
apt update
expect "with the key it is read again" 0
no "nothing of all this was installed" inside dpkg-query -s ddum

# --- Installing
printf 'Package: ddum\nPin: version %s*\nPin-Priority: 1001\n' "$older" >"$root/etc/apt/preferences.d/ddum"
apt install -y ddum
expect "the package installs" 0
same "a pinned version is the one that comes" "$older" "$(inside dpkg-query -W -f '${Version}' ddum)"
rm "$root/etc/apt/preferences.d/ddum"
same "the service is up" active "$(inside systemctl is-active ddum)"
same "and will be after a boot" enabled "$(inside systemctl is-enabled ddum)"
same "it says itself when it is ready" notify "$(inside systemctl show -P Type ddum)"
same "the configuration is root's alone" "600 0 0" "$(stat -c '%a %u %g' "$config")"
for each in dynamodb-user-manager dynamodb-user-export; do
  same "$each is ddum" /usr/bin/ddum "$(inside readlink -f "/usr/bin/$each")"
done
in_container systemd-analyze security --no-pager ddum
echo "# $(tail -n 1 <<<"$out")"
true_that "its exposure is at most 3.0" \
  test "$(sed -n 's/.*exposure level for ddum.service: \([0-9.]*\).*/\1/p' <<<"$out" | tr -d .)" -le 30

# --- Configured, with credentials that only the service gets
jq -n --arg endpoint "$endpoint" '{aws_region: "us-east-1", endpoint_url: $endpoint, full_update_jitter: 0}' >"$work/cfg"
cat "$work/cfg" >"$config"
install -d -m 0700 "$root/etc/ddum"
printf '[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = examplesecret\n' >"$root/etc/ddum/credentials"
chmod 0600 "$root/etc/ddum/credentials"
# drop_in NAME LINE...: a drop-in of the service, and the service started again with it.
drop_in() {
  local file=$root/etc/systemd/system/ddum.service.d/$1.conf
  shift
  mkdir -p "${file%/*}"
  printf '%s\n' '[Service]' "$@" >"$file"
  inside systemctl daemon-reload
  inside systemctl restart ddum
}
drop_in credentials LoadCredential=aws:/etc/ddum/credentials Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws
within "the first update brings the user" 60 inside id alice
within "and the home with the keys" 60 test -s "$root/home/alice/.ssh/authorized_keys"
gets_in "who logs in through the distribution's sshd" alice alice
gets_in "with each of the keys" alice laptop
same "the home is the user's" "4001 4000" "$(stat -c '%u %g' "$root/home/alice")"
same "the group has its member" "people:x:4000:alice" "$(inside getent group people)"
in_container ddum status
expect "the status says that all is well" 0
same "the service is told what it did" 1 "$(inside systemctl show -P StatusText ddum | grep -c 'user')"
in_container journalctl --no-pager -u ddum
has "the journal has what was done" "$out" alice
lacks "and no password hash" "$out" "$salt"
lacks "nor a secret key" "$out" examplesecret

# --- Reload, restart, stop
people 'map(.SSHPublicKeys = [$alice])'
before=$(main_pid)
inside systemctl reload ddum
revoked() { ! grep -qF "$(cut -d ' ' -f 2 "$work/keys/laptop.pub")" "$root/home/alice/.ssh/authorized_keys"; }
within "a reload updates at once" 60 revoked
kept_out "the revoked key is out" alice laptop
gets_in "the other is not" alice alice
same "by the same process" "$before" "$(main_pid)"

people 'map(.UID = 4101)'
inside systemctl restart ddum
true_that "a restart is another process" test "$(main_pid)" != "$before"
moved() { [[ $(stat -c %u "$root/home/alice/.ssh/authorized_keys") == 4101 ]]; }
within "a new UID comes, and the home follows" 60 moved
gets_in "the user still gets in" alice alice

started=$(date +%s%N)
inside systemctl stop ddum
took=$((($(date +%s%N) - started) / 1000000))
true_that "a stop takes less than 3 s ($took ms)" test "$took" -lt 3000
same "and is a clean one" "success 0" \
  "$(inside systemctl show -P Result ddum) $(inside systemctl show -P ExecMainStatus ddum)"
same "no pidfile is left" "" "$(inside find /run -name 'dynamodb-user-manager.pid')"
same "no temporary file is left" "" "$(find "$root/etc" "$root/home" "$root/var/lib/ddum" -name '.ddum*')"
gets_in "without the service logins go on" alice alice
inside systemctl start ddum

# --- What goes wrong with it
before=$(main_pid)
inside kill -KILL "$before"
restarted() { [[ $(main_pid) != "$1" && $(main_pid) != 0 && $(inside systemctl is-active ddum) == active ]]; }
within "killed, it is started again" 60 restarted "$before"
drop_in watchdog WatchdogSec=3
before=$(main_pid)
inside kill -STOP "$before"
within "stuck, it is started again by the watchdog" 60 restarted "$before"
rm "$root/etc/systemd/system/ddum.service.d/watchdog.conf"
inside systemctl daemon-reload
inside systemctl restart ddum

# --- Homes elsewhere need the documented drop-in
people '. + [{Name: "bob", UID: 4002, GID: 4000, Home: "/srv/homes/bob", Shell: "/bin/sh", SSHPublicKeys: [$bob]}]'
inside systemctl kill --signal=USR1 ddum
refused() { in_container ddum status && [[ $out == *"bob"*"Read-only file system"* ]]; }
within "a home outside /home is refused, and the status says why" 60 refused
no "it is not there" test -e "$root/srv/homes/bob"
drop_in homes ReadWritePaths=/srv
within "with the drop-in it is made" 60 test -s "$root/srv/homes/bob/.ssh/authorized_keys"
gets_in "and its user gets in" bob bob

# --- Beside the host's own tools
in_container useradd --create-home local
expect "useradd works beside it" 0
in_container chage -M 90 local
expect "so does chage" 0
in_container gpasswd -a local people
expect "and gpasswd" 0
in_container chage -M 30 alice
expect "on its own users too" 0
inside systemctl reload ddum
ages_of() { [[ $(inside getent shadow "$1" | cut -d : -f 5) == "$2" ]]; }
within "what the table says of its users comes back" 60 ages_of alice ""
same "what was done to others stays" 90 "$(inside getent shadow local | cut -d : -f 5)"

# --- Upgrade of a service that runs
before=$(main_pid)
inside systemctl is-active ddum >/dev/null
apt install -y ddum
expect "the package is upgraded while it runs" 0
same "to the newest version" "$version" "$(inside dpkg-query -W -f '${Version}' ddum)"
true_that "the service was started anew" restarted "$before"
same "it runs what was installed" "ddum $version" "$(inside ddum --version)"
same_file "the changed configuration is kept" "$work/cfg" "$config"
same "with its mode" 600 "$(stat -c %a "$config")"
true_that "the new one lies beside it" test -e "$config.dpkg-dist"
people 'map(if .Name == "alice" then .SSHPublicKeys = [$laptop] else . end)'
inside systemctl reload ddum
opened() { grep -qF "$(cut -d ' ' -f 2 "$work/keys/laptop.pub")" "$root/home/alice/.ssh/authorized_keys"; }
within "and it goes on updating" 60 opened
inside systemctl disable --now ddum
apt install -y --reinstall --allow-downgrades "ddum=$older"
expect "going back to a version works" 0
same "a disabled service stays disabled" disabled "$(inside systemctl is-enabled ddum || true)"
apt install -y ddum
inside systemctl enable ddum

# --- A boot without a network: logins do not wait
cat >"$root/etc/systemd/system/wait-for-network.service" <<'END'
[Unit]
Description=Waits for a network that does not come
DefaultDependencies=no
After=network.target
Before=network-online.target
[Service]
Type=oneshot
SuccessExitStatus=TERM
ExecStart=/bin/sleep 600
TimeoutStartSec=infinity
[Install]
WantedBy=network-online.target
END
inside systemctl enable wait-for-network.service
halt
stop_server "$moto"
boot starting
within "sshd is up although the network is not" 60 inside systemctl is-active --quiet ssh
within "and so is ddum" 60 inside systemctl is-active --quiet ddum
gets_in "a user gets in" alice laptop
same "while the network is waited for" activating "$(inside systemctl is-active wait-for-network.service || true)"
unreached() {
  in_container ddum status
  [[ $status == 1 && $out == *"cannot scan table"* ]]
}
within "the status says that the tables cannot be reached" 60 unreached
edit_people 'map(if .Name == "alice" then .SSHPublicKeys = [$alice] else . end)'
start_moto
within "when they can, the keys are the table's" 60 revoked
inside systemctl stop wait-for-network.service

# --- Removed and purged
accounts() { cat "$root"/etc/{passwd,shadow,group,gshadow} "$root"/home/alice/.ssh/authorized_keys "$root"/srv/homes/bob/.ssh/authorized_keys; }
accounts >"$work/before"
true_that "it keeps what it manages" test -s "$root/var/lib/ddum/ledger.json"
apt remove -y ddum
expect "the package is removed" 0
same "the service is gone" "inactive" "$(inside systemctl is-active ddum || true)"
no "the program too" test -e "$root/usr/bin/ddum"
same_file "the configuration stays" "$work/cfg" "$config"
true_that "so does what it managed" test -s "$root/var/lib/ddum/ledger.json"
apt purge -y ddum
expect "the package is purged" 0
for each in /etc/dynamodb-user-manager.cfg /etc/dynamodb-user-manager.cfg.dpkg-dist /var/lib/ddum /run/ddum; do
  no "$each is gone" inside test -e "$each"
done
accounts >"$work/after"
same_file "no account, home or key was touched" "$work/before" "$work/after"
gets_in "and everybody still gets in" alice alice
same "no unit failed in all this" "" "$(inside systemctl --failed --plain --no-legend)"
finish_booted
