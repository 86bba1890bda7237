# shellcheck shell=bash disable=SC2154 # What is not set here lib.sh sets.
# Sourced after lib.sh by tests that boot their root with its own systemd, in a container on the test's network.

# boot STATE: starts the root, returns when it is `running`, or in the other state; `inside` is then the way in.
boot() {
  local leader
  [[ -n ${group-} ]] || own_place
  # The container has its own; with another one systemd takes its root for a chroot.
  ! mountpoint -q "$root/proc" || umount "$root/proc"
  (
    for hierarchy in "${hierarchies[@]}"; do
      echo "$BASHPID" >"$hierarchy/$group/cgroup.procs"
    done
    exec systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --machine=ddum-test \
      --resolv-conf=off --timezone=off --link-journal=no
  ) >>"$work/console.log" 2>&1 </dev/null &
  container=$!
  soon 60 pgrep -P "$container" -x systemd || die "the container does not start: $(tail -5 "$work/console.log")"
  leader=$(pgrep -P "$container" -x systemd)
  inside=(nsenter --target "$leader" --mount --uts --ipc --pid --cgroup --root --wd
    /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8)
  soon 120 is_up "$1" || die "the container does not come up: $(inside systemctl --failed; tail -5 "$work/console.log")"
}

inside() {
  "${inside[@]}" "$@"
}

# A failed unit is for the test to find.
is_up() {
  local state
  state=$(inside systemctl is-system-running) || true
  [[ $state == @(running|degraded|$1) ]]
}

# halt: shuts the container down.
halt() {
  inside systemctl poweroff
  soon 90 dead "$container" || die "the container does not shut down: $(tail -5 "$work/console.log")"
  wait "$container" || die "the container ended badly: $(tail -5 "$work/console.log")"
}

dead() {
  ! kill -0 "$1" 2>/dev/null || [[ $(awk '{ print $3 }' "/proc/$1/stat") == Z ]]
}

# nspawn makes control groups below its caller's, and notes the names of containers below /run: two tests at once must
# not meet there.
own_place() {
  local hierarchy
  group=ddum-test-$(cksum <<<"$work" | cut -d ' ' -f 1)
  hierarchies=()
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [[ -e $hierarchy/cgroup.procs ]] || continue
    hierarchies+=("$hierarchy")
    # One of a test that was killed may be there.
    mkdir -p "$hierarchy/$group"
  done
  mkdir -p /run/systemd/nspawn
  mount -t tmpfs tmpfs /run/systemd/nspawn
}

# finish_booted: halts and tidies up, then gives the verdict.
finish_booted() {
  local hierarchy
  inside journalctl --no-pager >"$work/journal" 2>/dev/null || true
  cat "$work/journal" >>"$work/output"
  halt
  for hierarchy in "${hierarchies[@]}"; do
    find "$hierarchy/$group" -depth -type d -exec rmdir '{}' ';'
  done
  finish
}

# in_container COMMAND...: runs it inside and keeps what came of it, as `ddum` does.
in_container() {
  run inside "$@"
}

# main_pid: the service's process, as the container numbers it.
main_pid() {
  inside systemctl show --property=MainPID --value ddum
}

# login USER KEY [COMMAND]: through the container's own sshd; prints what the command says over there.
login() {
  ssh -F none -i "$work/keys/$2" -p 22 -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=10 \
    "$1@127.0.0.1" "${3:-id -un}" </dev/null 2>"$work/ssh-said"
}

# gets_in SENTENCE USER KEY
gets_in() {
  same "$1" "$2" "$(login "$2" "$3" || cat "$work/ssh-said")"
}

# kept_out SENTENCE USER KEY
kept_out() {
  local said
  if said=$(login "$2" "$3"); then
    fail "$1: logged in as $said"
  else
    one_of "$1" "$(grep -o 'Permission denied\|Connection closed' "$work/ssh-said" | head -n 1)" \
      "Permission denied" "Connection closed"
  fi
}
