#!/usr/bin/env bash
# The Debian package for arm64 from our signed repository, in a Debian of that architecture under qemu-user.
# suites: arm64-bookworm
# shellcheck disable=SC2016 # dpkg's variables.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck disable=SC2034 # lib.sh reads it.
binary=
begin "$@"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)
older=0.9.0
arm() { run "$here/emulate" "${enter[@]}" "$@"; }

# A root that was made in a user namespace has no devices.
rm -f "$root/dev/null" "$root/dev/random" "$root/dev/urandom"
mknod -m 0666 "$root/dev/null" c 1 3
mknod -m 0444 "$root/dev/random" c 1 8
mknod -m 0444 "$root/dev/urandom" c 1 9
serve repository 8099 "$python" -m http.server --bind 127.0.0.1 --directory "$area/dist" 8099
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
install -D -m 0644 "$area/dist/ddum.asc" "$root/etc/apt/keyrings/ddum.asc"
install -m 0644 "$area/dist/ddum.sources" "$root/etc/apt/sources.list.d/ddum.sources"

arm dpkg --print-architecture
same "this Debian is for arm64" arm64 "$out"
arm apt-get update
expect "its apt reads the signed repository" 0
arm apt-get install -y "ddum=$older"
expect "the package installs" 0
arm apt-get install -y ddum
expect "and is upgraded" 0
arm dpkg-query -W -f '${Version} ${Architecture} ${db:Status-Status}' ddum
same "dpkg has it" "$version arm64 installed" "$out"
arm dpkg --verify ddum
expect "with all its files as they were packed" 0
same "none of them altered" "" "$out"
has "the program is for aarch64" "$(readelf -h "$root/usr/bin/ddum")" AArch64
arm ddum --version
same "it runs" "ddum $version" "$out"

key=$(new_key "$work/alice")
jq -n --arg key "$key" --arg hash "$hash" '[{Name: "alice", UID: 4001, GID: 4000, Home: "/home/alice", Shell: "/bin/sh",
  Password: $hash, SSHPublicKeys: [$key]}]' | scan_file >"$root/srv/users.json"
jq -n '[{Name: "people", GID: 4000, Members: ["alice"]}]' | scan_file >"$root/srv/groups.json"
grep -v '^alice:' "$root/etc/passwd" >"$work/others"
arm ddum sync --users /srv/users.json --groups /srv/groups.json
expect "a sync from files" 0
arm id alice
same "makes the account" "uid=4001(alice) gid=4000(people) groups=4000(people)" "$out"
same "with its keys" "$key" "$(grep -v '^#' "$root/home/alice/.ssh/authorized_keys")"
same "in a home that is the user's" "4001 4000 600" "$(stat -c '%u %g %a' "$root/home/alice/.ssh/authorized_keys")"
same_file "the others are as they were" "$work/others" <(grep -v '^alice:' "$root/etc/passwd")
look "$root" >"$work/before"
arm ddum sync --users /srv/users.json --groups /srv/groups.json
expect "a second one" 0
same "finds nothing to do" "" "$out"
same_file "and does nothing" "$work/before" <(look "$root")

arm apt-get purge -y ddum
expect "the package is purged" 0
no "its configuration is gone" test -e "$root/etc/dynamodb-user-manager.cfg"
arm id -u alice
same "the account is not" 4001 "$out"
finish
