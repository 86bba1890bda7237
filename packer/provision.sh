#!/bin/sh
# Puts ddum into a machine image: installed, configured and enabled, but not started. For Packer's shell provisioner,
# as root, after file provisioners have uploaded what the variables name; README.md beside this file has an example.
#
# One of these two says where ddum comes from:
#   DDUM_PACKAGE          an uploaded .deb or .rpm
#   DDUM_REPOSITORY       the address of a repository with apt/ and dnf/ in it, as packaging/repos makes it; then also
#   DDUM_REPOSITORY_KEY   its public key, uploaded: a key that came from the repository would vouch for nothing
#   DDUM_VERSION          which version of it; without it, the newest
# All others may be left out:
#   DDUM_CONFIG           an uploaded configuration, for /etc/dynamodb-user-manager.cfg
#   DDUM_SNAPSHOT_USERS, DDUM_SNAPSHOT_GROUPS
#                         two uploaded files, as `ddum export --from-tables --to-files` writes them: their accounts are
#                         made now, so that people can log in before the image's first update
#   DDUM_SNAPSHOT_REFUSED `allow` goes on when an item of the snapshot is refused; otherwise that ends the bake
#   DDUM_HOST_KEYS        what to do with the ssh host keys: `remove`, `keep`, or `auto`, the default: remove them where
#                         cloud-init or sshd-keygen makes new ones at the first boot
#   DDUM_UPLOADS          a directory that was made for the uploads, removed at the end with all that is in it
#
# The uploaded files are removed in any case, also when something fails.
set -eu
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

config=/etc/dynamodb-user-manager.cfg
policy=/usr/sbin/policy-rc.d
aside=/usr/sbin/policy-rc.d.before-ddum
keyring=/etc/apt/keyrings/ddum.asc
rpm_key=/etc/pki/rpm-gpg/RPM-GPG-KEY-ddum
policy_is_ours=

say() { echo "ddum: $*"; }

die() {
  echo "ddum: $*" >&2
  exit 1
}

cleanup() {
  if [ -n "$policy_is_ours" ]; then
    rm -f "$policy"
    [ ! -e "$aside" ] || mv "$aside" "$policy"
  fi
  for uploaded in "${DDUM_PACKAGE-}" "${DDUM_REPOSITORY_KEY-}" "${DDUM_CONFIG-}" "${DDUM_SNAPSHOT_USERS-}" \
    "${DDUM_SNAPSHOT_GROUPS-}"; do
    [ -z "$uploaded" ] || rm -f -- "$uploaded"
  done
  [ -z "${DDUM_UPLOADS-}" ] || rm -rf -- "$DDUM_UPLOADS"
}

# --- What was asked for
[ "$(id -u)" = 0 ] || die "this must run as root; give the provisioner an execute_command with sudo"
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
case ${DDUM_UPLOADS:-/none/given} in
  /*/?*) ;;
  *)
    asked=$DDUM_UPLOADS
    DDUM_UPLOADS=
    die "DDUM_UPLOADS is $asked; it must be a directory that was made for the uploads, such as /tmp/ddum"
    ;;
esac
for name in DDUM_PACKAGE DDUM_REPOSITORY_KEY DDUM_CONFIG DDUM_SNAPSHOT_USERS DDUM_SNAPSHOT_GROUPS; do
  eval "file=\${$name-}"
  [ -z "$file" ] || [ -f "$file" ] || die "$name is $file, and there is no such file: upload it first"
done
[ -n "${DDUM_PACKAGE-}${DDUM_REPOSITORY-}" ] || die "DDUM_PACKAGE or DDUM_REPOSITORY must say where ddum comes from"
[ -z "${DDUM_PACKAGE-}" ] || [ -z "${DDUM_REPOSITORY-}${DDUM_VERSION-}" ] ||
  die "DDUM_PACKAGE goes with neither DDUM_REPOSITORY nor DDUM_VERSION: the package is what it is"
[ -z "${DDUM_REPOSITORY-}" ] || [ -n "${DDUM_REPOSITORY_KEY-}" ] ||
  die "DDUM_REPOSITORY needs DDUM_REPOSITORY_KEY, the public key that its packages are signed with"
case ${DDUM_SNAPSHOT_USERS:+users}${DDUM_SNAPSHOT_GROUPS:+groups} in
  '' | usersgroups) ;;
  *) die "DDUM_SNAPSHOT_USERS and DDUM_SNAPSHOT_GROUPS go together" ;;
esac
case ${DDUM_SNAPSHOT_REFUSED:-fail} in
  fail | allow) ;;
  *) die "DDUM_SNAPSHOT_REFUSED is $DDUM_SNAPSHOT_REFUSED; it can be: fail, allow" ;;
esac
case ${DDUM_HOST_KEYS:-auto} in
  auto | remove | keep) ;;
  *) die "DDUM_HOST_KEYS is $DDUM_HOST_KEYS; it can be: auto, remove, keep" ;;
esac
# An image is copied, shared and kept. What an instance may read is its role's, not the image's.
if [ -n "${DDUM_CONFIG-}" ] && grep -Eq '"aws_(access_key|secret_key|session_token)"' "$DDUM_CONFIG"; then
  die "the configuration holds AWS keys, which do not belong into an image; take them out and give the instances a role"
fi

# --- Installation, which must not start the service: it would read the tables with the builder's role
install_deb() {
  # Another one may be there for a reason, and comes back.
  [ ! -e "$policy" ] || mv "$policy" "$aside"
  policy_is_ours=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  set -- apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$@"
  if [ -n "${DDUM_PACKAGE-}" ]; then
    case $DDUM_PACKAGE in
      *.deb) ;;
      *) die "DDUM_PACKAGE is $DDUM_PACKAGE, and this system takes a .deb" ;;
    esac
    # Without ca-certificates, which it recommends, ddum has Amazon's certificates built in; without lists apt has no others.
    "$@" install --allow-downgrades "$(realpath "$DDUM_PACKAGE")"
  else
    install -D -m 0644 "$DDUM_REPOSITORY_KEY" "$keyring"
    printf 'Types: deb\nURIs: %s/apt\nSuites: stable\nComponents: main\nSigned-By: %s\n' \
      "${DDUM_REPOSITORY%/}" "$keyring" >/etc/apt/sources.list.d/ddum.sources
    "$@" -o APT::Update::Error-Mode=any update
    "$@" install --allow-downgrades "ddum${DDUM_VERSION:+=$DDUM_VERSION}"
  fi
  apt-get clean
  rm -rf /var/lib/apt/lists/*
}

install_rpm() {
  if [ -n "${DDUM_PACKAGE-}" ]; then
    case $DDUM_PACKAGE in
      *.rpm) ;;
      *) die "DDUM_PACKAGE is $DDUM_PACKAGE, and this system takes an .rpm" ;;
    esac
    dnf -y install "$(realpath "$DDUM_PACKAGE")"
  else
    install -D -m 0644 "$DDUM_REPOSITORY_KEY" "$rpm_key"
    # shellcheck disable=SC2016 # dnf's variable
    printf '[ddum]\nname=ddum\nbaseurl=%s/dnf/$basearch\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%s\n' \
      "${DDUM_REPOSITORY%/}" "$rpm_key" >/etc/yum.repos.d/ddum.repo
    dnf -y install "ddum${DDUM_VERSION:+-$DDUM_VERSION}"
  fi
  dnf -q clean all
}

if command -v apt-get >/dev/null; then
  install_deb
elif command -v dnf >/dev/null; then
  install_rpm
else
  die "this system has neither apt-get nor dnf; nothing was installed"
fi
say "installed $(ddum --version)"

# --- Configuration, checked with empty tables: what is wrong in it ends the bake, not the first boot of a fleet
[ -z "${DDUM_CONFIG-}" ] || install -m 0600 -o root -g root "$DDUM_CONFIG" "$config"
empty=$(mktemp)
echo '{"Items": [], "Count": 0, "ScannedCount": 0}' >"$empty"
checked=0
ddum check --quiet --users "$empty" --groups "$empty" || checked=$?
rm -f "$empty"
case $checked in
  0 | 3) ;;
  2) die "the configuration is wrong, see above; the image is not made" ;;
  *) die "ddum check ended with $checked, see above; the image is not made" ;;
esac

# --- The service: for the first boot
systemctl enable ddum.service
if [ -d /run/systemd/system ]; then
  # One that ran in the image which this one is made from.
  systemctl stop ddum.service
fi

# --- The first accounts
if [ -n "${DDUM_SNAPSHOT_USERS-}" ]; then
  synced=0
  ddum sync --users "$DDUM_SNAPSHOT_USERS" --groups "$DDUM_SNAPSHOT_GROUPS" || synced=$?
  case $synced:${DDUM_SNAPSHOT_REFUSED:-fail} in
    0:* | 3:allow) ;;
    3:*) die "some items of the snapshot were refused, see above; DDUM_SNAPSHOT_REFUSED=allow goes on without them" ;;
    *) die "the accounts of the snapshot could not be made; the image is not made" ;;
  esac
  # The report of this sync is not one of an update that the instance made.
  for key in status_file metrics_file; do
    written=$(sed -n "s/.*\"$key\"[[:space:]]*:[[:space:]]*\"\(\/[^\"]*\)\".*/\1/p" "$config")
    [ -z "$written" ] || rm -f -- "$written"
  done
fi
rm -rf /run/ddum

# --- What must not be in two machines
new_host_keys() {
  # Each makes the keys of an instance that has none.
  command -v cloud-init >/dev/null || [ -e /usr/lib/systemd/system/sshd-keygen@.service ]
}
case ${DDUM_HOST_KEYS:-auto} in
  keep) say "the ssh host keys stay: remove them later, or all machines from this image are one to ssh" ;;
  remove) rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub ;;
  auto)
    if new_host_keys; then
      rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
    else
      say "WARNING: the ssh host keys stay, as nothing here would make new ones: all machines from this image are one to ssh"
    fi
    ;;
esac
say "done; the service is enabled and starts with the first boot"
