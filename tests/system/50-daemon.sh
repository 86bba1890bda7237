#!/usr/bin/env bash
# The daemon as an administrator meets it: it starts, stops, takes signals, outlives an outage and says how it is.
# suites: bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
begin "$@"

backend=5001
proxy=5002
endpoint=http://127.0.0.1:$backend
config=/etc/dynamodb-user-manager.cfg
pidfile=/run/ddum-test.pid
tables() { "$python" "$here/tables.py" "$@"; }
start_proxy() {
  serve proxy "$proxy" "$python" "$here/fault_proxy.py" "$proxy" "$backend" "$work/requests" "$work/faults"
}
faults() { echo "$1" >"$work/faults"; }
# listen SOCKET FILE: a place in the root that datagrams go to.
listen() {
  mkdir -p "$(dirname -- "$root$1")"
  "$python" "$here/listen.py" "$root$1" "$2" >>"$work/listen.log" 2>&1 &
  servers+=($!)
  soon 60 test -S "$root$1" || die "nothing listens on $1"
}

# configure JSON-EDIT: the configuration, with something altered.
configure() {
  jq -n --arg endpoint "http://127.0.0.1:$proxy" '{aws_access_key: "AKIDEXAMPLE", aws_secret_key: "examplesecret",
    aws_session_token: "plantedsessiontoken",
    aws_region: "us-east-1", endpoint_url: $endpoint, full_update_period: 3600, full_update_jitter: 0,
    metrics_file: "/var/lib/node_exporter/ddum.prom"} | '"$1" >"$root$config"
  chmod 0600 "$root$config"
}

# user NAME SHELL: an item of the Users table.
user() {
  jq -n --arg name "$1" --arg shell "$2" --argjson uid "$((4000 + $(printf '%d' "'${1:0:1}")))" \
    '[{Name: $name, UID: $uid, GID: 4000, Home: "/home/\($name)", Shell: $shell}]' | tables load "$endpoint" "${3:-Users}"
}
shell_is() { [[ $(grep "^$1:" "$root/etc/passwd" | cut -d: -f7) == "$2" ]]; }
alive() { kill -0 "$1" 2>/dev/null && [[ $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) != Z ]]; }
dead() { ! alive "$1"; }
gone() { [[ ! -e $1 ]]; }
report=$root/run/ddum/status.json
# settled: the update that wrote passwd came to its end; its report is the last that an update writes.
settled() { [[ -s $report && ! $root/etc/passwd -nt $report ]]; }
# mark, updated: whether an update came to its end since. Each report is a new file.
mark() { before=$(stat -c %i-%y "$report"); }
updated() { [[ $(stat -c %i-%y "$report") != "$before" ]]; }
daemons() { pgrep -x ddum || true; }

serve moto "$backend" "$area/venv/bin/moto_server" -H 127.0.0.1 -p "$backend"
faults '[]'
start_proxy
tables create "$endpoint" Users
tables create "$endpoint" OtherUsers
tables create "$endpoint" Groups
echo '[{"Name": "people", "GID": 4000}]' | tables load "$endpoint" Groups
user alice /bin/bash
listen /dev/log "$work/syslog"
mkdir -p "$root/var/lib/node_exporter"

# --- What cannot start says so before it returns
rm -f "$root$config"
ddum -p "$pidfile"
expect "without a configuration the start fails" 2
has "and names the file" "$err" "$config"
echo '{"full_update_period": "often"}' >"$root$config"
ddum -p "$pidfile"
expect "with a wrong value the start fails" 2
has "and names the key" "$err" full_update_period
echo '{' >"$root$config"
ddum -p "$pidfile"
expect "with broken JSON the start fails" 2
configure .
ddum -p /etc/hostname/ddum.pid
true_that "with an impossible pidfile the start fails" test "$status" != 0
has "and names the pidfile" "$err" /etc/hostname/ddum.pid
ddum -p /nonexistent/ddum.pid
true_that "where there is no directory for it the start fails" test "$status" != 0
has "and names that pidfile" "$err" /nonexistent/ddum.pid
true_that "and none is made outside /run" gone "$root/nonexistent"
same "no daemon is left of all this" "" "$(daemons)"
true_that "and no pidfile" gone "$root$pidfile"

# --- Starting
ddum -p "$pidfile"
expect "the daemon starts in the background" 0
true_that "the parent returns" test "$took" -lt 60000
pid=$(<"$root$pidfile")
true_that "the pidfile names a process that runs" alive "$pid"
same "which is ddum" ddum "$(<"/proc/$pid/comm")"
same "in a session of its own" "$pid" "$(ps -o sid= -p "$pid" | tr -d ' ')"
same "without a terminal" "?" "$(ps -o tty= -p "$pid" | tr -d ' ')"
same "standing in no directory that could be unmounted" "$(readlink -f "$root")" "$(readlink "/proc/$pid/cwd")"
within "the first update comes at once" 60 shell_is alice /bin/bash
within "the system log has it" 60 grep -q alice "$work/syslog"
within "the status file is there" 60 settled
within "the metrics file is there" 60 test -s "$root/var/lib/node_exporter/ddum.prom"

ddum -p "$pidfile"
true_that "a second daemon with this pidfile fails" test "$status" != 0
has "and names the first" "$err" "$pid"
true_that "the first goes on" alive "$pid"
same "the pidfile is still the first's" "$pid" "$(<"$root$pidfile")"

# --- Status and metrics
ddum status
expect "status of a good update" 0
true_that "status says something" test -n "$out"
ddum status --json
expect "status as JSON" 0
true_that "it is JSON" jq -e . "$work/stdout"
same "every metric has its type" "" \
  "$(awk '/^# TYPE/ { known[$3] } /^[a-z]/ { split($1, name, "{"); if (!(name[1] in known)) print }' "$root/var/lib/node_exporter/ddum.prom")"
same "others can read the metrics" 644 "$(stat -c %a "$root/var/lib/node_exporter/ddum.prom")"

# --- Signals
user alice /bin/sh
kill -USR1 "$pid"
within "SIGUSR1 updates at once" 60 shell_is alice /bin/sh

echo '{' >"$root$config"
kill -HUP "$pid"
within "a broken configuration is reported" 60 grep -q "$config" "$work/syslog"
true_that "the daemon goes on with the old one" alive "$pid"
user alice /bin/dash
kill -USR1 "$pid"
within "and still updates" 60 shell_is alice /bin/dash

user bob /bin/bash OtherUsers
configure '.user_table_name = "OtherUsers"'
kill -HUP "$pid"
within "SIGHUP reads the configuration and updates" 60 shell_is bob /bin/bash
within "and reports it" 60 settled
configure .
mark
kill -HUP "$pid"
within "and once more" 60 updated

# --- An outage
stop_server "$server"
content "$root" >"$work/before"
kill -USR1 "$pid"
failing() {
  ddum status
  [[ $status != 0 || $out == *fail* || $out == *again* ]]
}
within "an outage shows in the status" 60 failing
true_that "the daemon lives" alive "$pid"
content "$root" >"$work/after"
same_file "an outage changes nothing" "$work/before" "$work/after"
user alice /bin/bash
start_proxy
within "after the outage it updates by itself" 180 shell_is alice /bin/bash
working() {
  ddum status
  [[ $status == 0 ]]
}
within "and the status is well again" 60 working

# --- Stopping
kill -TERM "$pid"
within "SIGTERM ends it" 60 dead "$pid"
true_that "the pidfile is gone" gone "$root$pidfile"
same "no temporary file is left" "" "$(find "$root" -xdev -name '.ddum*')"

ddum -p "$pidfile"
expect "it starts again" 0
pid=$(<"$root$pidfile")
kill -KILL "$pid"
within "SIGKILL ends it" 60 dead "$pid"
user alice /bin/sh
ddum -p "$pidfile"
expect "the stale pidfile is no obstacle" 0
pid=$(<"$root$pidfile")
within "it updates" 60 shell_is alice /bin/sh
requests() { wc -l <"$work/requests"; }
within "and reports that" 60 settled
asked=$(requests)
faults '[{"kind": "hang"}]'
kill -USR1 "$pid"
asks() { (($(requests) > asked)); }
within "it asks DynamoDB" 60 asks
# Less than the 10 s that an answer is waited for, four times over.
kill -TERM "$pid"
within "SIGTERM ends it while DynamoDB keeps it waiting" 15 dead "$pid"
true_that "the pidfile is gone again" gone "$root$pidfile"
faults '[]'

# --- In the foreground, as systemd starts it
listen /run/notify "$work/notified"
foreground() {
  "${enter[@]}" NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=2000000 /usr/sbin/ddum -f -p "$pidfile" >"$work/foreground" 2>&1 </dev/null &
  pid=$!
}
user alice /bin/bash
configure '.full_update_period = 2'
foreground
within "in the foreground it updates" 60 shell_is alice /bin/bash
within "systemd hears that it is ready" 60 grep -qx 'READY=1' "$work/notified"
within "and that it is alive" 60 grep -qx 'WATCHDOG=1' "$work/notified"
within "and how it is" 60 grep -q '^STATUS=' "$work/notified"
within "it logs to standard error" 60 grep -q alice "$work/foreground"
user alice /bin/sh
within "it updates again when the period is over" 60 shell_is alice /bin/sh
beats=$(grep -cx 'WATCHDOG=1' "$work/notified")
fed() { (($(grep -cx 'WATCHDOG=1' "$work/notified") > beats + 1)); }
within "the watchdog is fed all the time" 60 fed
kill -TERM "$pid"
within "SIGTERM ends it" 60 dead "$pid"
ended=0
wait "$pid" || ended=$?
same "with exit status 0" 0 "$ended"
within "systemd hears that it is stopping" 60 grep -qx 'STOPPING=1' "$work/notified"

foreground
within "it starts once more" 60 test -s "$root$pidfile"
kill -INT "$pid"
within "SIGINT ends it" 60 dead "$pid"
ended=0
wait "$pid" || ended=$?
same "with exit status 0 too" 0 "$ended"
true_that "the pidfile is gone at last" gone "$root$pidfile"

# A daemon that starts while the tables cannot be reached is no failure: the network may come later.
stop_server "$server"
configure .
ddum -p "$pidfile"
expect "it starts without its tables" 0
pid=$(<"$root$pidfile")
user alice /bin/dash
within "it says that they are not there" 60 failing
true_that "it waits for them" alive "$pid"
start_proxy
within "it updates when they are there" 180 shell_is alice /bin/dash
kill -TERM "$pid"
within "it stops" 60 dead "$pid"

cat "$work/syslog" "$work/foreground" "$root/run/ddum/status.json" "$root/var/lib/node_exporter/ddum.prom" >>"$work/output"
finish
