#!/usr/bin/env bash
# A new administrator's first hour, from no tables to a login through a real sshd and to a key that is taken away, and
# what follows it in docs/administration.md: all that is shown there, typed again and compared.
# suites: bookworm
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

backend=5001
serve moto "$backend" "$area/venv/bin/moto_server" -H 127.0.0.1 -p "$backend"
cat >"$root/etc/dynamodb-user-manager.cfg" <<END
{
  "aws_access_key": "AKIDEXAMPLE",
  "aws_secret_key": "examplesecret",
  "aws_region": "eu-west-1",
  "endpoint_url": "http://127.0.0.1:$backend"
}
END
chmod 0600 "$root/etc/dynamodb-user-manager.cfg"
mkdir -p "$root/run/sshd" "$work/keys"
serve sshd 22001 "${enter[@]}" /usr/sbin/sshd -D -e -p 22001 -o ListenAddress=127.0.0.1 -o PidFile=none \
  -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o UsePAM=yes
new_key "$work/keys/alice-laptop" >/dev/null
cp "$work/keys/alice-laptop.pub" "$root/root"

# The host is called web1 where nothing resolves names.
cat >"$work/ssh_config" <<END
Host web1
  ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/22001; cat <&3 & cat >&3; kill %%1'
  IdentityFile $work/keys/alice-laptop
  IdentitiesOnly yes
  IdentityAgent none
  BatchMode yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
END
sed -i 's/%%1/$!/' "$work/ssh_config"

started=$SECONDS
typed=0
: >"$work/transcript"
# types LINE: types it, with an empty line between two; $status is its exit status.
types() {
  [[ ! -s $work/transcript ]] || echo >>"$work/transcript"
  echo "\$ $1" >>"$work/transcript"
  status=0
  case $1 in
    ssh*) bash -c "ssh -F '$work/ssh_config' ${1#ssh}" >"$work/answer" 2>&1 </dev/null || status=$? ;;
    *)
      typed=$((typed + 1))
      in_root sh -c "cd /root && $1" >"$work/answer" 2>&1 </dev/null || status=$?
      ;;
  esac
  # ssh ends its lines as a terminal in raw mode wants it.
  tr -d '\r' <"$work/answer" >>"$work/transcript"
  cat "$work/answer" >>"$work/output"
}
goes() {
  types "$1"
  same "$1" 0 "$status"
}

goes "ddum tables create --tag team=ops"
goes "ddum tables policy reader --account 123456789012 >reader.json"
goes "ddum group add developers"
goes 'ddum user add alice --real-name "Alice Example" --groups developers --key alice-laptop.pub'
goes "ddum sync"
goes "ssh alice@web1 id"
same "five commands lead to a login" 5 "$typed"
true_that "the policy is one for IAM" in_root grep -q '"dynamodb:Scan"' /root/reader.json
has "alice is who she should be" "$(<"$work/answer")" "uid=2001(alice) gid=2001(alice) groups=2001(alice),2000(developers)"

goes "ddum key list alice"
goes "ddum key disable alice alice-laptop"
goes "ddum sync"
types "ssh alice@web1 id"
same "a key that was taken away lets nobody in" 255 "$status"
has "because sshd refuses it" "$(<"$work/answer")" "Permission denied"
same "three more commands take the key away" 8 "$typed"

goes "ddum user expire alice"
goes "ddum sync"
same "the account is closed" 1 "$(in_root chage -l alice | grep -c '^Account expires.*: [^n]')"
goes "ddum explain alice"

# --- Accounts that a host had before there were tables
in_root useradd --create-home --shell /bin/bash --comment "Bob Example" bob
in_root groupadd operators
in_root gpasswd -M bob operators >"$work/answer"
goes "ddum export --dry-run"
goes "ddum export"
goes "ddum export --from-tables --to-files users.json groups.json"
goes "ddum sync --root /mnt/image --users users.json --groups groups.json"
has "the image has both users" "$(cut -d: -f1 "$root/mnt/image/etc/passwd" | sort | tr '\n' ' ')" "alice bob"

echo "# --- transcript: $typed commands, $((SECONDS - started)) s"
cat "$work/transcript"
echo "# ---"

# Fingerprints and dates are of the day, the lines of the account files those of today's Debian.
settled() {
  sed -E -e 's,SHA256:[A-Za-z0-9+/]{43},SHA256:KEY,g' -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}/DATE/g' -e 's/^(  .etc.[a-z]+:)[0-9]+/\1N/' \
    -e 's/ +/ /g' | grep -v '^$'
}
documented() {
  awk '/^```/ { inside = !inside; next } inside' "$top/docs/administration.md"
}
same_file "the documentation shows the same" <(documented | settled) <(settled <"$work/transcript")
finish
