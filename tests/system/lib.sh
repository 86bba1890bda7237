# shellcheck shell=bash
# Sourced by every test in this folder; `begin` first, `finish` last.
#
# A test runs in mount, process and network namespaces of its own: ports are free, processes die with the test, and
# the only account files in reach of a mistake are those of a Debian root that was unpacked for this one test.

set -euo pipefail
shopt -s inherit_errexit

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
top=$(cd -- "$here/../.." && pwd)
built=${CARGO_TARGET_DIR:-$top/target}
area=$built/tests
binary=${DDUM_BIN:-$built/debug/ddum}
python=$area/venv/bin/python
failures=0
checks=0

# Passwords of the tables under test. No output of ddum may hold the salt, so that one search finds every leak.
salt=ddumsecretsalt
# shellcheck disable=SC2016,SC2034 # A crypt string, not a variable; the tests use it.
hash='$6$'$salt'$3Jk1VvQeWcG8oZ0yq5l7n2bA9dXfMhTtRrUuSsPpKkLlZzYyXxWwVvCcBbNnMm0123456789abcdefghijkl.'

# What tests configure as the tables' secret key and session token must not be in any output either.
secrets=("$salt" examplesecret plantedsecretkey plantedsessiontoken)

# begin SUITE: enters the namespaces, unpacks a fresh root of that Debian release and puts the binary into it. A test that
# has set `binary` to nothing gets a root without one: what it is about is a package.
begin() {
  suite=${1:-bookworm}
  name=$(basename -- "$0" .sh)
  if [[ -z ${DDUM_TEST_INSIDE-} ]]; then
    [[ $(id -u) == 0 ]] || die "needs root: it builds a Debian root and enters it"
    [[ -z $binary || -x $binary ]] || die "no binary at $binary; run: cargo build"
    DDUM_TEST_INSIDE=1 exec unshare --mount --pid --net --fork --kill-child --mount-proc bash "$0" "$@"
  fi
  trap 'exit 130' INT TERM
  trap 'stopped "$BASH_COMMAND" "${BASH_LINENO[@]}"' EXIT
  ip link set lo up
  umask 022
  work=$area/work/$name-$suite
  mkdir -p "$area/work"
  exec {lock}>"$work.lock"
  flock --nonblock "$lock" || die "this test is running already"
  rm -rf --one-file-system "$work"
  root=$work/root
  mkdir -p "$root" "$work/run"
  unpack_root "$root"
  enter_root "$root"
  echo "# $name on $suite"
}

# A test that ends before its `finish` says where.
stopped() {
  [[ -n ${finished-} || $BASHPID != 1 ]] || echo "FAILED: stopped at: $1 (lines ${*:2})" >&2
}

# finish: the verdict. The root of a test that failed stays for a look.
finish() {
  if grep -qF -f <(printf '%s\n' "${secrets[@]}") -- "$work"/output 2>/dev/null; then
    fail "no password hash, secret key or token in any output of ddum"
    grep -noF -f <(printf '%s\n' "${secrets[@]}") -- "$work"/output | head -20
  fi
  finished=1
  echo "# $checks checks, $failures failed"
  [[ $failures == 0 ]] || exit 1
  stop_servers
  ! mountpoint -q "$root/proc" || umount --recursive "$root/proc"
  rm -rf --one-file-system "$work"
}

die() {
  finished=1
  echo "FAILED: $*" >&2
  exit 1
}

unpack_root() {
  local cache=$area/roots/$suite.tar
  [[ -f $cache ]] || die "no root of $suite; run: tests/system/prepare root $suite"
  tar -C "$1" --numeric-owner --xattrs --xattrs-include='*' -xf "$cache"
  [[ -z $binary ]] || install -m 0755 "$binary" "$1/usr/sbin/ddum"
}

# $enter is what runs a command in the root, with a login's environment and nothing of ours.
enter_root() {
  enter=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8)
  mount -t proc proc "$1/proc"
  [[ -n $binary ]] || return 0
  in_root /usr/sbin/ddum --version >"$work/version" 2>&1 ||
    die "the binary does not run in $suite (a newer C library here than there?): $(cat "$work/version")"
}

# in_root COMMAND...: runs it in the test's Debian. In the background use "${enter[@]}" itself: $! is then the command.
in_root() {
  "${enter[@]}" "$@"
}

# ddum ARGUMENTS...: runs it in the root and keeps what came of it: $status, $out, $err, $took (milliseconds).
# shellcheck disable=SC2034 # The tests read them.
ddum() {
  run in_root /usr/sbin/ddum "$@"
}

# run COMMAND...: the same for any command.
# shellcheck disable=SC2034
run() {
  local started
  started=$(date +%s%N)
  status=0
  "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
  took=$((($(date +%s%N) - started) / 1000000))
  out=$(<"$work/stdout")
  err=$(<"$work/stderr")
  {
    echo "$ $* [status $status, $took ms]"
    cat "$work/stdout" "$work/stderr"
  } >>"$work/output"
}

pass() {
  checks=$((checks + 1))
  echo "ok: $1"
}

fail() {
  checks=$((checks + 1))
  failures=$((failures + 1))
  echo "FAILED: $1"
}

# same SENTENCE EXPECTED ACTUAL
same() {
  if [[ $2 == "$3" ]]; then
    pass "$1"
  else
    fail "$1"
    diff -u --label expected --label actual <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -60 || true
  fi
}

# same_file SENTENCE EXPECTED-FILE ACTUAL-FILE
same_file() {
  # Either may be a pipe, to be read but once.
  cat -- "$2" >"$work/expected"
  cat -- "$3" >"$work/actual"
  if cmp -s "$work/expected" "$work/actual"; then
    pass "$1"
  else
    fail "$1"
    diff -u --text --label expected --label actual "$work/expected" "$work/actual" | head -60 || true
  fi
}

# one_of SENTENCE ACTUAL ALLOWED...
one_of() {
  local sentence=$1 actual=$2 allowed
  shift 2
  for allowed; do
    if [[ $actual == "$allowed" ]]; then
      pass "$sentence"
      return
    fi
  done
  fail "$sentence"
  printf '  expected one of: %s\n  actual:          %s\n' "$*" "$actual"
}

# has SENTENCE TEXT NEEDLE
has() {
  if [[ $2 == *"$3"* ]]; then
    pass "$1"
  else
    fail "$1"
    printf '  expected to hold: %s\n  actual:           %s\n' "$3" "$(head -c 2000 <<<"$2")"
  fi
}

# lacks SENTENCE TEXT NEEDLE
lacks() {
  if [[ $2 != *"$3"* ]]; then
    pass "$1"
  else
    fail "$1"
    printf '  expected not to hold: %s\n  actual:               %s\n' "$3" "$(head -c 2000 <<<"$2")"
  fi
}

# expect SENTENCE STATUS: the last run's exit status; shows what it said when it is another.
expect() {
  if [[ $status == "$2" ]]; then
    pass "$1"
  else
    fail "$1"
    printf '  expected exit status: %s\n  actual:               %s\n' "$2" "$status"
    sed 's/^/  | /' "$work/stdout" "$work/stderr" | head -40
  fi
}

# true_that SENTENCE COMMAND...
true_that() {
  local sentence=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    pass "$sentence"
  else
    fail "$sentence"
    printf '  this failed: %s\n' "$*"
    sed 's/^/  | /' "$work/said" | head -20
  fi
}

# soon SECONDS COMMAND...: true as soon as the command is.
soon() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || return 1
    sleep 0.1
  done
}

# within SENTENCE SECONDS COMMAND...
within() {
  local sentence=$1 seconds=$2 started=$SECONDS
  shift 2
  if soon "$seconds" "$@"; then
    pass "$sentence"
  else
    fail "$sentence"
    printf '  not within %s s: %s\n' "$((SECONDS - started))" "$*"
  fi
}

# no SENTENCE COMMAND...: the command must fail.
no() {
  local sentence=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    fail "$sentence"
    printf '  this succeeded: %s\n' "$*"
  else
    pass "$sentence"
  fi
}

# look DIRECTORY: everything about the accounts, homes and state below it that a needless write would change.
look() {
  below "$1" -printf '%p %y %i %m %U %G %s %T@ %C@ %l\n'
}

# content DIRECTORY: what the files hold, and who owns them; equal after a rewrite with the same bytes.
content() {
  below "$1" -printf '%p %y %m %U %G %l\n'
  (cd -- "$1" && below . -type f | tr '\n' '\0' | xargs -0 -r sha256sum)
}

# below DIRECTORY WHAT...: find, where there may be no state yet.
below() {
  (
    cd -- "$1"
    shift
    find etc home var/lib/ddum "$@" 2>/dev/null || true
  ) | LC_ALL=C sort
}

# unmanaged FILE NAME...: the lines that are not those accounts'.
unmanaged() {
  local file=$1
  shift
  grep -avE "^($(
    IFS='|'
    echo "$*"
  )):" "$file" || true
}

# scan_file < plain items > what `aws dynamodb scan` prints
scan_file() {
  "$python" "$here/tables.py" scan
}

# new_key FILE: a key pair without a passphrase; prints the public line.
new_key() {
  ssh-keygen -q -t ed25519 -N '' -C "$(basename -- "$1")" -f "$1"
  cat "$1.pub"
}

servers=()

# serve NAME PORT COMMAND...: starts it in the background, returns when the port answers; its process id is in $server.
serve() {
  local title=$1 port=$2
  shift 2
  "$@" >>"$work/$title.log" 2>&1 </dev/null &
  server=$!
  servers+=("$server")
  soon 60 listening "$port" || die "$title does not answer on port $port: $(tail -5 "$work/$title.log")"
}

listening() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

stop_server() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

stop_servers() {
  local pid
  for pid in "${servers[@]}"; do
    stop_server "$pid"
  done
  servers=()
}
