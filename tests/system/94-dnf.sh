#!/usr/bin/env bash
# The RPM packages from our signed repository, by Debian's rpm and dnf, into empty roots of both architectures.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck disable=SC2034 # lib.sh reads it.
binary=
begin "$@"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)
older=0.9.0
dist=$area/dist
export HOME=$work/home
mkdir "$HOME"
# Debian's rpm would keep its database in the caller's home.
echo '%_dbpath /var/lib/rpm' >"$HOME/.rpmmacros"

# --- Signatures and contents
rpm --dbpath "$work/keys" --import "$dist/ddum.asc"
for machine in x86_64 aarch64; do
  for each in "$older" "$version"; do
    package=$dist/dnf/$machine/ddum-$each-1.$machine.rpm
    same "rpm finds $machine $each signed with our key" "$package: digests signatures OK" \
      "$(rpm --dbpath "$work/keys" -K "$package")"
    rpm -qlp "$package" >"$work/files" 2>/dev/null
    for file in /etc/dynamodb-user-manager.cfg /usr/bin/ddum /usr/bin/dynamodb-user-manager \
      /usr/bin/dynamodb-user-export /usr/lib/systemd/system/ddum.service /usr/share/man/man8/ddum.8.gz \
      /usr/share/man/man5/dynamodb-user-manager.cfg.5.gz /usr/share/bash-completion/completions/ddum \
      /usr/share/zsh/site-functions/_ddum /usr/share/fish/vendor_completions.d/ddum.fish; do
      true_that "it has $file" grep -qFx "$file" "$work/files"
    done
    same "its configuration is one" "/etc/dynamodb-user-manager.cfg" "$(rpm -qp --configfiles "$package" 2>/dev/null)"
  done
  package=$dist/dnf/$machine/ddum-$version-1.$machine.rpm
  cp "$package" "$work/altered.rpm"
  printf 'x' | dd of="$work/altered.rpm" bs=1 seek=$(($(stat -c %s "$package") - 1000)) conv=notrunc status=none
  no "an altered package is not taken for ours" rpm --dbpath "$work/keys" -K "$work/altered.rpm"
  no "nor is ours without our key" rpm --dbpath "$work/nokeys" -K "$package"
done

# --- What the packages need of a system: a shell for their scriptlets, and a systemctl, which here takes notes
mkdir -p "$work/stub"
cp /bin/busybox "$work/stub/"
cat >"$work/stub/systemctl" <<'END'
#!/bin/sh
echo "$*" >>/systemctl.log
END
cat >"$work/stub/stub.spec" <<'END'
Name: stub
Version: 1
Release: 1
Summary: A shell
License: none
BuildArch: noarch
%global __os_install_post %{nil}
%global _binaries_in_noarch_packages_terminate_build 0
%description
A shell.
%install
install -D -m 0755 %{_sourcedir}/busybox %{buildroot}/bin/sh
install -D -m 0755 %{_sourcedir}/systemctl %{buildroot}/usr/bin/systemctl
%files
/bin/sh
/usr/bin/systemctl
END
rpmbuild -bb --quiet --define "_sourcedir $work/stub" --define "_topdir $work/stub" "$work/stub/stub.spec" >"$work/said" 2>&1 ||
  die "the stand-in for a system cannot be built: $(tail -5 "$work/said")"

# dnf_in REPOSITORIES COMMAND...: dnf in the root, with that repository alone.
dnf_in() {
  local repos=$1
  shift
  run dnf -y --installroot="$box" --forcearch="$machine" --releasever=1 --setopt=reposdir="$repos" \
    --setopt=cachedir="$work/cache-$machine" --setopt=install_weak_deps=True --setopt=metadata_expire=0 \
    --setopt=logdir="$work" --setopt=varsdir=/dev/null "$@"
}
# altered: a copy of the repositories to alter, and what leads dnf there.
altered() {
  rm -rf "$work/altered" "$work/altered.d"
  cp -r "$dist/dnf" "$work/altered"
  mkdir "$work/altered.d"
  sed "s|^baseurl=.*|baseurl=file://$work/altered/\$basearch|" "$dist/ddum.repo" >"$work/altered.d/ddum.repo"
}

serve repository 8099 "$python" -m http.server --bind 127.0.0.1 --directory "$dist" 8099
mkdir "$work/repos.d"
cp "$dist/ddum.repo" "$work/repos.d/"
key=$(new_key "$work/alice")
jq -n --arg key "$key" --arg hash "$hash" '[{Name: "alice", UID: 4001, GID: 4000, Home: "/home/alice", Shell: "/bin/sh",
  Password: $hash, SSHPublicKeys: [$key]}]' | scan_file >"$work/users.json"
jq -n '[{Name: "people", GID: 4000, Members: ["alice"]}]' | scan_file >"$work/groups.json"

for machine in x86_64 aarch64; do
  emulator=()
  [[ $machine == x86_64 ]] || emulator=(qemu-aarch64-static)
  box=$work/root-$machine
  mkdir "$box"
  rpm --root "$box" --force-debian -i "$work/stub/RPMS/noarch/stub-1-1.noarch.rpm"

  altered
  sed -i 's/<revision>/<revision>1/' "$work/altered/$machine/repodata/repomd.xml"
  dnf_in "$work/altered.d" install ddum
  true_that "$machine: altered metadata are refused" test "$status" != 0
  has "$machine: for their signature" "$out$err" "repomd.xml GPG signature verification error"
  altered
  rpmsign --delsign "$work/altered/$machine"/*.rpm >"$work/said" 2>&1
  createrepo_c --quiet --no-database "$work/altered/$machine"
  GNUPGHOME=$dist/gnupg gpg --batch --yes --quiet --armor --detach-sign \
    --output "$work/altered/$machine/repodata/repomd.xml.asc" "$work/altered/$machine/repodata/repomd.xml"
  dnf_in "$work/altered.d" install ddum
  true_that "$machine: a package without a signature is refused" test "$status" != 0
  has "$machine: for that reason" "$out$err" "is not signed"
  no "$machine: nothing of all this was installed" test -e "$box/usr/bin/ddum"

  dnf_in "$work/repos.d" install "ddum-$older"
  expect "$machine: dnf installs a version that was asked for" 0
  same "$machine: that one" "ddum-$older-1.$machine" "$(rpm --root "$box" -q ddum)"
  same "$machine: the scriptlets leave it to the presets whether it starts" "--no-reload preset ddum.service" \
    "$(cat "$box/systemctl.log")"
  same "$machine: all files are as they were packed" "" "$(rpm --root "$box" -V ddum)"
  same "$machine: the configuration is root's alone" "600 0 0" "$(stat -c '%a %u %g' "$box/etc/dynamodb-user-manager.cfg")"
  same "$machine: the program runs" "ddum $(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)" \
    "$("${emulator[@]}" "$box/usr/bin/ddum" --version)"

  echo '{"full_update_period": 60}' >"$box/etc/dynamodb-user-manager.cfg"
  dnf_in "$work/repos.d" upgrade
  expect "$machine: dnf upgrades it" 0
  same "$machine: to the newest version" "ddum-$version-1.$machine" "$(rpm --root "$box" -q ddum)"
  same "$machine: a changed configuration is kept" '{"full_update_period": 60}' "$(<"$box/etc/dynamodb-user-manager.cfg")"
  true_that "$machine: the new one lies beside it" test -e "$box/etc/dynamodb-user-manager.cfg.rpmnew"
  same "$machine: the service is not enabled or disabled again" 1 "$(wc -l <"$box/systemctl.log")"

  run "${emulator[@]}" "$box/usr/bin/ddum" sync --root "$box" --users "$work/users.json" --groups "$work/groups.json"
  expect "$machine: a sync from files" 0
  same "$machine: makes the account" alice:x:4001:4000::/home/alice:/bin/sh "$(grep '^alice:' "$box/etc/passwd")"
  cat "$box"/etc/{passwd,shadow,group,gshadow} "$box/home/alice/.ssh/authorized_keys" >"$work/before"
  dnf_in "$work/repos.d" remove ddum
  expect "$machine: dnf removes it" 0
  no "$machine: the program is gone" test -e "$box/usr/bin/ddum"
  same "$machine: the service was disabled before" "--no-reload disable ddum.service" "$(tail -n 1 "$box/systemctl.log")"
  true_that "$machine: the changed configuration is kept aside" test -e "$box/etc/dynamodb-user-manager.cfg.rpmsave"
  same_file "$machine: no account, home or key was touched" "$work/before" \
    <(cat "$box"/etc/{passwd,shadow,group,gshadow} "$box/home/alice/.ssh/authorized_keys")
done
gpgconf --homedir "$dist/gnupg" --kill gpg-agent || true
echo "NOT CHECKED: a real RPM distribution; here the shell is busybox, systemctl takes notes, and there is no SELinux"
finish
