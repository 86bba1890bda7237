#!/usr/bin/env bash
# The static binaries that are packaged run with nothing of a machine, on either architecture, and as the others do.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
dynamic=$binary
binary=$area/dist/bin/amd64/ddum
begin "$@"

tables() { AWS_CA_BUNDLE=$work/tls/ca.pem "$python" "$here/tables.py" "$@"; }

# --- The tables: over HTTP, over TLS with a certificate that no public authority signed, and as files
mkdir "$work/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=authority of this test' \
  -keyout "$work/tls/ca.key" -out "$work/tls/ca.pem"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=tables.test' \
  -keyout "$work/tls/server.key" -out "$work/tls/server.csr"
openssl x509 -req -in "$work/tls/server.csr" -CA "$work/tls/ca.pem" -CAkey "$work/tls/ca.key" -CAcreateserial -days 2 \
  -extfile <(echo 'subjectAltName=DNS:tables.test,IP:127.0.0.1') -out "$work/tls/server.pem"

serve moto 5001 "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5001
serve moto-tls 5002 "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5002 \
  -s -c "$work/tls/server.pem" -k "$work/tls/server.key"
serve names 53 "$python" "$here/name_server.py" 53 tables.test long.tables.test

cat >"$work/users.json" <<'END'
[{"Name": "alice", "UID": 7000, "GID": 7100, "RealName": "Alice", "Home": "/home/alice", "Shell": "/bin/sh",
  "SSHPublicKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPkvnQVUZ6bYpxJkVMMHqzZP3gPf3jL6aDMiJKkVZ1dB a"]},
 {"Name": "bob", "UID": 7001, "GID": 7100, "Home": "/home/bob", "Shell": "/bin/sh"}]
END
cat >"$work/groups.json" <<'END'
[{"Name": "devs", "GID": 7100, "Members": ["alice", "bob"], "Administrators": ["bob"]}]
END
for endpoint in http://127.0.0.1:5001 https://127.0.0.1:5002; do
  tables create "$endpoint" Users
  tables create "$endpoint" Groups
  tables load "$endpoint" Users <"$work/users.json"
  tables load "$endpoint" Groups <"$work/groups.json"
done

# box NAME: an empty directory with the tables as files and an empty tree to act on.
box() {
  box=$work/$1
  mkdir -p "$box/tree"
  scan_file <"$work/users.json" >"$box/users.json"
  scan_file <"$work/groups.json" >"$box/groups.json"
}

# configure URL: leads ddum in the box there.
configure() {
  jq -n --arg url "$1" '{endpoint_url: $url, aws_region: "us-east-1",
    aws_access_key: "AKIDEXAMPLE", aws_secret_key: "examplesecret"}' >"$box/ddum.cfg"
  chmod 0600 "$box/ddum.cfg"
}

# The ledger holds times.
made() { content "$box/tree" | grep -v ledger; }

# What the binary for a machine with a C library does, to be done again without one.
box dynamic
run "$dynamic" --version
version=$out
run "$dynamic" --root "$box/tree" sync --users "$box/users.json" --groups "$box/groups.json"
expect "a sync from files with the system's C library" 0
changes=$out
made >"$work/expected-tree"

# examine ARCHITECTURE [EMULATOR]
examine() {
  local arch=$1 file=$area/dist/bin/$1/ddum alone sentence
  box "$arch"
  install "$file" "$box/ddum"
  alone=(env -i "$(command -v chroot)" "$box")
  if (($# == 2)); then
    install "$(command -v "$2")" "$box/emulator"
    alone+=(/emulator)
  fi
  alone+=(/ddum)

  # --- The file
  run ldd "$file"
  one_of "$arch: ldd finds nothing to load" "${out//[[:space:]]/}${err//[[:space:]]/}" \
    staticallylinked notadynamicexecutable
  no "$arch: it does not tell where it was built" grep -aFq -e "$top/" -e "${CARGO_HOME:-$HOME/.cargo}/" "$file"

  # --- Nothing but itself: no /proc, no /dev, no /etc, no library
  run "${alone[@]}" --version
  expect "$arch: it runs alone in an empty root" 0
  same "$arch: and has a version" "$version" "$out"
  run "${alone[@]}" --root /tree sync --users /users.json --groups /groups.json
  expect "$arch: a sync from files" 0
  same "$arch: changes the same" "$changes" "$out"
  same_file "$arch: leaves the same files" "$work/expected-tree" <(made)
  run "${alone[@]}" --root /tree sync --users /users.json --groups /groups.json
  expect "$arch: another sync" 0
  same "$arch: has nothing to do" "" "$out"

  # --- The tables themselves
  rm -rf "$box/tree"
  mkdir "$box/tree"
  configure http://127.0.0.1:5001
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$arch: a sync from the tables" 0
  same_file "$arch: leaves the same files as one from files" "$work/expected-tree" <(made)

  # --- Names
  sentence="$arch: a name that only /etc/hosts knows"
  configure http://localhost:5001
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$sentence, without it" 75
  echo "# $sentence, without it: $took ms: $err"
  mkdir "$box/etc"
  echo '127.0.0.1 localhost' >"$box/etc/hosts"
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$sentence, with it" 0
  echo 'nameserver 127.0.0.1' >"$box/etc/resolv.conf"
  configure http://tables.test:5001
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$arch: a name that the name server knows" 0
  echo "# $arch: with a name from the name server: $took ms"
  configure http://long.tables.test:5001
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$arch: a name whose answer takes TCP" 0
  configure http://none.tables.test:5001
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$arch: a name that nobody knows" 75
  echo "# $arch: a name that nobody knows: $took ms: $err"

  # --- Certificates, where Debian's family has its authorities and where Red Hat's has
  configure https://tables.test:5002
  run "${alone[@]}" -c /ddum.cfg --root /tree sync
  expect "$arch: a certificate that the built-in authorities did not sign" 75
  has "$arch: the message names the certificate" "$err" UnknownIssuer
  for file in etc/ssl/certs/ca-certificates.crt etc/pki/tls/certs/ca-bundle.crt; do
    install -D -m 0644 "$work/tls/ca.pem" "$box/$file"
    run "${alone[@]}" -c /ddum.cfg --root /tree sync
    expect "$arch: a certificate of an authority in /$file" 0
    rm "$box/$file"
  done
  same_file "$arch: all of it left the files alone" "$work/expected-tree" <(made)
}

examine amd64
examine arm64 qemu-aarch64-static

lacks "no output holds the secret key" "$(<"$work/output")" examplesecret
finish
