# shellcheck shell=bash
# Sourced by the tests that log in: the release's own sshd, with PAM at port 22001 and without at 22002.
# shellcheck disable=SC2154 # lib.sh sets root, work and enter.

# Where gets_in and kept_out try.
ports=(22001 22002)

# start_sshd: both of them.
start_sshd() {
  local use_pam port options
  mkdir -p "$root/run/sshd"
  options=(-o ListenAddress=127.0.0.1 -o PidFile=none -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no
    -o LogLevel=VERBOSE -o StrictModes=yes)
  # Newer releases shut out an address that fails too often, which is what a test does.
  if in_root /usr/sbin/sshd -T -o PerSourcePenalties=no >/dev/null 2>&1; then
    options+=(-o PerSourcePenalties=no)
  fi
  for use_pam in yes no; do
    port=22001
    [[ $use_pam == yes ]] || port=22002
    serve "sshd-pam-$use_pam" "$port" "${enter[@]}" /usr/sbin/sshd -D -e -p "$port" -o UsePAM="$use_pam" "${options[@]}"
  done
}

# login PORT USER KEY: prints what `id` says over there, or what the key's own command says.
login() {
  ssh -F none -i "$work/keys/$3" -p "$1" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=60 \
    "$2@127.0.0.1" id -un </dev/null 2>"$work/ssh-said"
}

gets_in() {
  local port
  for port in "${ports[@]}"; do
    same "$1 (UsePAM $( ((port == 22001)) && echo yes || echo no))" "${4-$2}" "$(login "$port" "$2" "$3" || cat "$work/ssh-said")"
  done
}

kept_out() {
  local port said
  for port in "${ports[@]}"; do
    if said=$(login "$port" "$2" "$3"); then
      fail "$1 (port $port): logged in as $said"
    else
      # Refused by sshd, not by a server that has gone away.
      one_of "$1 (UsePAM $( ((port == 22001)) && echo yes || echo no))" \
        "$(grep -o 'Permission denied\|Connection closed' "$work/ssh-said" | head -n 1)" "Permission denied" "Connection closed"
      true_that "sshd is still there" listening "$port"
    fi
  done
}
