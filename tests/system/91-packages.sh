#!/usr/bin/env bash
# The packages of both architectures and kinds: clean in the eyes of the distributions' checkers, the same files in all,
# the same bytes from wherever they are built; the service's sandbox; manual pages and completions; dpkg alone.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

export DDUM_DIST=$area/dist
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)
declare -A machine=([amd64]=x86_64 [arm64]=aarch64)
deb() { echo "$DDUM_DIST/ddum_${version}_$1.deb"; }
rpm_of() { echo "$DDUM_DIST/ddum-$version-1.${machine[$1]}.rpm"; }

# --- Building them leaves nothing else
before=$(cd -- "$top" && find . -path ./target -prune -o -path ./.git -prune -o -print | sort)
for arch in amd64 arm64; do
  rm -f "$(deb $arch)" "$(rpm_of $arch)"
  true_that "the .deb for $arch is made" "$top/packaging/deb" "$arch"
  true_that "so is the .rpm" "$top/packaging/rpm" "$arch"
done
same "the checkout is as it was" "$before" \
  "$(cd -- "$top" && find . -path ./target -prune -o -path ./.git -prune -o -print | sort)"
same "no stage is left" "" "$(find "$DDUM_DIST" -maxdepth 1 \( -name 'deb-*' -o -name 'rpm-*' \))"

# --- The distributions' own checkers
for arch in amd64 arm64; do
  run lintian --allow-root --fail-on error,warning "$(deb $arch)"
  expect "lintian finds no error and no warning in the .deb for $arch" 0
  same "nor says anything else" "" "$out$err"
  run rpmlint --config "$top/rpm/rpmlint.toml" "$(rpm_of $arch)" "$top/rpm/ddum.spec"
  has "rpmlint finds none in the .rpm" "$out" " 0 errors, 0 warnings"
  true_that "whose digests are right" rpm --dbpath "$work/rpmdb" --checksig "$(rpm_of $arch)"
done
grep '^[^#]' "$top/debian/ddum.lintian-overrides" | sed 's/^/overridden: /'

# --- The same files everywhere. What differs: where systemd, zsh and licences are, and what only one of the two has.
unpack() {
  mkdir -p "$work/$1.deb" "$work/$1.rpm"
  dpkg-deb --extract "$(deb "$1")" "$work/$1.deb"
  rpm2archive - <"$(rpm_of "$1")" | tar -C "$work/$1.rpm" -xzf -
}
# listing DIRECTORY: mode, owner, size and content, or target, of all that is no directory.
listing() {
  (
    cd -- "$1"
    find . ! -type d -printf '%m %U %G %l ' \( -type f -exec sha256sum '{}' ';' -o -printf '%p\n' \)
  ) | sed -e 's|\./lib/systemd|./usr/lib/systemd|' -e 's|zsh/vendor-completions|zsh/site-functions|' |
    grep -vE '/usr/share/doc/ddum/(copyright|changelog\.gz)$|/lintian/|/licenses/|/80-ddum\.preset$' | LC_ALL=C sort -k 5
}
for arch in amd64 arm64; do
  unpack "$arch"
  same_file "both packages for $arch have the same files, modes and owners" \
    <(listing "$work/$arch.deb") <(listing "$work/$arch.rpm")
  true_that "and the binary that was built" cmp "$DDUM_DIST/bin/$arch/ddum" "$work/$arch.deb/usr/bin/ddum"
done
not_binary() { listing "$1" | grep -v '\./usr/bin/ddum$'; }
same_file "but for the binary both architectures have the same" \
  <(not_binary "$work/amd64.deb") <(not_binary "$work/arm64.deb")
same "only root can read the configuration" "600 root root" \
  "$(stat -c '%a %U %G' "$work/amd64.deb/etc/dynamodb-user-manager.cfg")"
rpm -qp --qf '[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEUSERNAME}\n]' "$(rpm_of amd64)" >"$work/flags"
has "and rpm keeps a changed one" "$(<"$work/flags")" "/etc/dynamodb-user-manager.cfg cn root"
same "everything is root's in the rpm too" "root" "$(awk '{ print $NF }' "$work/flags" | sort -u)"
same "a conffile for dpkg" "/etc/dynamodb-user-manager.cfg" "$(dpkg-deb --info "$(deb amd64)" conffiles)"
same "nothing is needed but a shell for the scripts" "/bin/sh config(ddum)" \
  "$(rpm -qp --requires "$(rpm_of amd64)" | grep -v '^rpmlib' | awk '{ print $1 }' | sort -u | xargs)"
for tag in POSTIN PREUN POSTUN; do
  rpm -qp --qf "%{$tag}" "$(rpm_of amd64)" >"$work/$tag"
  true_that "the scriptlet $tag is one for sh" sh -n "$work/$tag"
  has "about the service" "$(<"$work/$tag")" ddum.service
done

# --- The same bytes, from another place, with another umask, time zone and language, and later
copy=$work/another/place
mkdir -p "$copy/target/dist"
(cd -- "$top" && tar --exclude=./target --exclude=./.git -cf - .) | tar -C "$copy" -xf -
cp -r "$DDUM_DIST/bin" "$copy/target/dist/"
find "$copy" -exec touch -d '2001-01-01' '{}' +
for each in deb rpm; do
  (
    umask 077
    cd /
    TZ=Asia/Tokyo LANG=de_DE.UTF-8 DDUM_DIST=$copy/target/dist "$copy/packaging/$each" amd64
  ) >"$work/again" 2>&1 || fail "building the .$each elsewhere: $(tail -3 "$work/again")"
done
true_that "a .deb is the same bytes wherever it is built" cmp "$(deb amd64)" "$copy/target/dist/$(basename "$(deb amd64)")"
true_that "so is an .rpm" cmp "$(rpm_of amd64)" "$copy/target/dist/$(basename "$(rpm_of amd64)")"
cp /bin/true "$copy/target/dist/bin/amd64/ddum"
DDUM_DIST=$copy/target/dist DDUM_VERSION=0.9.0 "$copy/packaging/deb" amd64 >"$work/again" 2>&1
same "a version of one's choice" "0.9.0" "$(dpkg-deb --field "$copy/target/dist/ddum_0.9.0_amd64.deb" Version)"
rm -rf "$work/another"

# --- dpkg alone, in a Debian that was not booted
rm "$root/usr/sbin/ddum"
cp "$(deb amd64)" "$root/ddum.deb"
run in_root dpkg --install /ddum.deb
expect "dpkg installs it" 0
same "as it is in the package" "" "$(in_root dpkg --verify ddum)"
run in_root ddum --version
same "the program runs" "ddum $version" "$out"
run in_root dynamodb-user-manager --help
has "also by its old name" "$out" "Usage: ddum [-c FILE] [-f] [-p FILE]"
run in_root dynamodb-user-export --help
has "and as the export" "$out" "Usage: ddum export"
in_root cp /etc/passwd /exported
run in_root dynamodb-user-export --passwd /exported --no-shadow --no-group --all --to-files /users.json /groups.json
expect "which takes the original's options" 0
run in_root ddum sync --users /usr/share/doc/ddum/examples/users.json --groups /usr/share/doc/ddum/examples/groups.json
expect "an update from the examples, with the configuration as shipped" 0
echo '{"full_update_period": 7200}' >"$root/etc/dynamodb-user-manager.cfg"
run in_root dpkg --install --force-confold /ddum.deb
expect "it is installed over itself" 0
same "and a changed configuration is kept" '{"full_update_period": 7200}' "$(<"$root/etc/dynamodb-user-manager.cfg")"
content "$root" | grep -v 'user-manager\|systemd\|var/lib/ddum' >"$work/with-accounts"
run in_root dpkg --remove ddum
expect "it is removed" 0
true_that "the configuration and the ledger stay" test -e "$root/etc/dynamodb-user-manager.cfg" -a -e "$root/var/lib/ddum/ledger.json"
run in_root dpkg --purge ddum
expect "it is purged" 0
no "neither does then" test -e "$root/etc/dynamodb-user-manager.cfg" -o -e "$root/var/lib/ddum" -o -e "$root/run/ddum"
same_file "every account, home and key stays" "$work/with-accounts" \
  <(content "$root" | grep -v 'user-manager\|systemd\|var/lib/ddum')
same "nothing else of the package does" "" "$(find "$root/usr" "$root/etc" "$root/var" -path "$root/var/lib/dpkg" -prune -o \
  \( -name '*ddum*' -o -name 'dynamodb-user-*' \) -print)"

# --- The sandbox, with and without the additions of the examples
unit=$work/amd64.deb/lib/systemd/system/ddum.service
run systemd-analyze security --offline=true --threshold=30 --no-pager "$unit"
expect "systemd counts an exposure of 3.0 at most" 0
tail -n 1 <<<"$out"
same "which the documentation names" "$(sed -n 's/.*says \*\*\(.*\) OK\*\*.*/\1/p' "$top/docs/service.md")" \
  "$(sed -n 's/.*ddum.service: \([0-9.]*\) .*/\1/p' <<<"$out")"
image=$work/image
mkdir -p "$image/etc/systemd/system/ddum.service.d" "$image/usr/lib/systemd" "$image/bin"
cp -r /lib/systemd/system "$image/usr/lib/systemd/"
cp "$unit" "$image/usr/lib/systemd/system/"
for program in usr/bin/ddum bin/kill; do install -D -m 0755 /bin/true "$image/$program"; done
ln -s usr/lib "$image/lib"
run systemd-analyze verify --root="$image" --man=no ddum.service
expect "systemd understands every word of the unit" 0
lacks "without a remark" "$err" ddum.service
cp "$top"/examples/service/*.conf "$image/etc/systemd/system/ddum.service.d/"
run systemd-analyze verify --root="$image" --man=no ddum.service
expect "and of the additions" 0
lacks "without a remark on them" "$err" ddum.service
echo 'ReadWritePath=/srv' >>"$image/etc/systemd/system/ddum.service.d/homes.conf"
run systemd-analyze verify --root="$image" --man=no ddum.service
has "a word that it does not know would be remarked on" "$err" "ReadWritePath"
for name in homes credentials; do
  # The documents have the same lines, between the comments of the one and the text of the other.
  lines=$(grep -v '^#' "$top/examples/service/$name.conf")
  has "docs/service.md has the lines of $name.conf" "$(<"$top/docs/service.md")" "$lines"
  has "so has ddum(8)" "$(<"$top/man/ddum.8")" "$lines"
done

# --- Manual pages
for page in ddum.8 dynamodb-user-manager.cfg.5; do
  run mandoc -T lint -W warning "$top/man/$page"
  same "mandoc finds nothing wrong in $page" "" "$out$err"
  run env MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings=w -l "$top/man/$page"
  expect "man shows it" 0
  same "and warns of nothing" "" "$err"
  same "no line is too long for a terminal" "" "$(col -bx <<<"$out" | grep -E '^.{81,}$' || true)"
done

# --- Completions: fish and zsh offer what bash does
true_that "fish reads its completions" fish --no-execute "$top/completions/ddum.fish"
true_that "zsh reads its own" zsh -n "$top/completions/_ddum"
export HOME=$work XDG_CONFIG_HOME=$work/config LC_ALL=C.UTF-8
for place in ddum 'ddum '{sync,check,status,explain,export,help} 'ddum tables '{create,describe,policy} \
  'ddum user '{list,show,add,set,expire,enable,delete} 'ddum group '{list,show,add,set,join,leave,delete} \
  'ddum key '{list,add,disable,enable,delete} dynamodb-user-export; do
  # shellcheck disable=SC2016 # For the shells that are started.
  of_bash=$(bash --norc -c 'source "$1"; COMP_WORDS=($2 --); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ddum
    printf "%s\n" "${COMPREPLY[@]}"' bash "$top/completions/ddum.bash" "$place" | sort)
  of_fish=$(fish --no-config -c "source $top/completions/ddum.fish; complete -C '$place --'" | cut -f 1 | sort)
  same "fish offers after '$place' what bash does" "$of_bash" "$of_fish"
done
cat >"$work/complete.zsh" <<'END'
# Types $2 and a tab into an interactive zsh that finds completions in $1, and prints its screen.
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word; echo re''ady"
zpty -r -m shell screen '*ready*' || exit 1
zpty -w -n shell "$2"$'\t\t'
zpty -w -n shell $'\C-a: \C-e # en\'\'d\n'
for ((tries = 0; tries < 100; tries++)); do
  while zpty -r -t shell screen; do print -rn -- $screen; done
  sleep 0.02
done
END
for each in 'ddum user set x --p|password-hash-stdin' 'ddum tab|tables' 'ddum key add x --exp|expires' \
  'dynamodb-user-export --no-s|shadow' 'ddum group |administrators|leave'; do
  run zsh -f "$work/complete.zsh" "$top/completions" "${each%%|*}"
  has "zsh completes '${each%%|*}'" "$out" "${each##*|}"
done

finish
