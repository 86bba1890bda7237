#!/usr/bin/env bash
# Packer bakes ddum into a Debian that booted: over ssh alone, then by the AMI template with an emulator of EC2.
# suites: systemd-bookworm
# shellcheck disable=SC2016 # The variables in single quotes are jq's.
# shellcheck source=lib.sh
source "$(dirname -- "$0")/lib.sh"
# shellcheck source=booted.sh
source "$(dirname -- "$0")/booted.sh"
# shellcheck disable=SC2034 # lib.sh reads it.
binary=
begin "$@"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)
dist=$area/dist
endpoint=http://127.0.0.1:5001
tables() { "$python" "$here/tables.py" "$@"; }
# Packer without a look at the network for newer ones, and with its files where they go with the test.
packed() {
  env CHECKPOINT_DISABLE=1 PACKER_CONFIG="$work/packer.json" PACKER_CONFIG_DIR="$work" PACKER_CACHE_DIR="$work/cache" \
    TMPDIR="$work" HOME="$work" AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=examplesecret packer "$@"
}
# What a bake leaves of itself in the machine, beside its accounts.
litter() {
  inside find /tmp /var/tmp /root /home/baker -mindepth 1 -not -path '*/systemd-private-*' -not -path '*/.ssh*' \
    -not -name '.*-unix' -not -name '.bash*' -not -name .profile
  inside find /var/lib/apt/lists /var/cache/apt/archives -type f -not -name lock
  inside find /run -xdev -path '*ddum*' -not -path '/run/systemd/*'
  inside find /usr/sbin -name 'policy-rc.d*'
}

# --- The tables, and a snapshot of them
mkdir "$work/keys"
for each in alice laptop baker; do
  new_key "$work/keys/$each" >/dev/null
done
serve moto 5001 "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5001
moto=$server
tables create "$endpoint" Users
tables create "$endpoint" Groups
people() {
  jq -n --arg alice "$(<"$work/keys/alice.pub")" --arg laptop "$(<"$work/keys/laptop.pub")" --arg hash "$hash" "$1" |
    tables load "$endpoint" Users
}
people '[{Name: "alice", UID: 4001, GID: 4000, Home: "/home/alice", Shell: "/bin/bash", Password: $hash, SSHPublicKeys: [$alice]}]'
echo '[{"Name": "people", "GID": 4000, "Members": ["alice"]}]' | tables load "$endpoint" Groups
jq -n --arg endpoint "$endpoint" '{aws_region: "us-east-1", endpoint_url: $endpoint, full_update_jitter: 0,
  metrics_file: "/var/lib/ddum-metrics.prom"}' >"$work/ddum.cfg"
with_keys() { AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=examplesecret "$@"; }
run with_keys "$dist/bin/amd64/ddum" export --from-tables \
  --to-files "$work/users.json" "$work/groups.json" --config "$work/ddum.cfg"
expect "a snapshot of the tables is written" 0

# --- What Packer and AWS would say of the files
echo '{"aws_region": "eu-west-1"}' >"$work/region.cfg"
run "$dist/bin/amd64/ddum" tables policy reader --account 123456789012 --config "$work/region.cfg"
same "the policy of the instance is what ddum prints" "$(jq -S . "$top/packer/instance-policy.json")" "$(jq -S . <<<"$out")"
echo "# $(packed version)"
aws=(-var config="$work/ddum.cfg" -var packages="$work/packages" -var version="$version" -var snapshot="$work")
mkdir "$work/packages"
for each in "ddum_${version}_amd64.deb" "ddum_${version}_arm64.deb" "ddum-$version-1.x86_64.rpm" "ddum-$version-1.aarch64.rpm"; do
  cp "$dist/$each" "$work/packages/"
done
host=(-var host=127.0.0.1 -var user=baker -var private_key_file="$work/keys/baker" -var host_keys=remove
  -var repository=http://127.0.0.1:8099 -var repository_key="$dist/ddum.asc" -var config="$work/ddum.cfg"
  -var users="$work/users.json" -var groups="$work/groups.json")
run packed validate "${aws[@]}" "$top/packer/aws.pkr.hcl"
expect "the AMI template is valid" 0
run packed validate "${aws[@]}" -var snapshot= "$top/packer/aws.pkr.hcl"
expect "without a snapshot too" 0
run packed validate "${host[@]}" "$top/packer/host.pkr.hcl"
expect "so is the one for any machine" 0
run packed fmt -check "$top/packer"
expect "they are formatted as Packer does it" 0
run packed validate -syntax-only "$top/packer/plugins.pkr.hcl"
if [[ $status == 0 ]]; then
  pass "the list of plugins is valid"
else
  echo "NOT CHECKED: packer/plugins.pkr.hcl, which this Packer is too old for; it has the plugin built in"
fi

# --- A machine to bake in
prepare_machine() {
  in_root useradd --create-home --shell /bin/bash baker
  echo 'baker ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/baker"
  install -d -m 0700 -o 1000 -g 1000 "$root/home/baker/.ssh"
  install -m 0600 -o 1000 -g 1000 "$work/keys/baker.pub" "$root/home/baker/.ssh/authorized_keys"
  rm -f "$root"/etc/apt/sources.list
}
prepare_machine
boot running
serve repository 8099 "$python" -m http.server --bind 127.0.0.1 --directory "$dist" 8099
requests() { grep -c 'DynamoDB\|"POST / ' "$work/moto.log" || true; }
asked=$(requests)
true_that "requests to the tables are counted" test "$asked" -gt 0

# What must end a bake, before one that goes well.
jq '. + {full_update_period: "often"}' "$work/ddum.cfg" >"$work/wrong.cfg"
run packed build -color=false "${host[@]}" -var config="$work/wrong.cfg" "$top/packer/host.pkr.hcl"
true_that "a wrong configuration ends the bake" test "$status" != 0
has "with its error" "$out" full_update_period
jq '. + {aws_secret_key: "examplesecret"}' "$work/ddum.cfg" >"$work/wrong.cfg"
run packed build -color=false "${host[@]}" -var config="$work/wrong.cfg" "$top/packer/host.pkr.hcl"
true_that "so do credentials in it" test "$status" != 0
has "which are named" "$out" "holds AWS keys"
echo '[{"Name": "mallory", "UID": 0, "GID": 4000}]' | scan_file >"$work/refused.json"
run packed build -color=false "${host[@]}" -var users="$work/refused.json" "$top/packer/host.pkr.hcl"
true_that "so does an item of the snapshot that is refused" test "$status" != 0
has "which is named" "$out" "! user mallory"
same "a bake that failed leaves no upload" "" "$(inside find /tmp -name '*ddum*')"
# Packer itself leaves its copy of a script that failed.
inside find /tmp -name 'script_*.sh' -delete

run packed build -color=false "${host[@]}" "$top/packer/host.pkr.hcl"
expect "packer build over ssh" 0
has "installs the newest version" "$out" "installed ddum $version"
has "makes the accounts of the snapshot" "$out" "+ user alice"
lacks "prints no password hash" "$out" "$salt"
same "the service is enabled" enabled "$(inside systemctl is-enabled ddum)"
same "it is not active" inactive "$(inside systemctl is-active ddum || true)"
same "nor ever was" "" "$(inside journalctl --no-pager -q -u ddum)"
same "the builder read no table" "$asked" "$(requests)"
same_file "the configuration is there" "$work/ddum.cfg" "$root/etc/dynamodb-user-manager.cfg"
same "for root alone" "600 0 0" "$(stat -c '%a %u %g' "$root/etc/dynamodb-user-manager.cfg")"
true_that "what ddum manages is known to the image" test -s "$root/var/lib/ddum/ledger.json"
same "and is all of its state" "/var/lib/ddum/ledger.json" "$(inside find /var/lib/ddum -type f)"
no "no metrics of the bake are left" test -e "$root/var/lib/ddum-metrics.prom"
same "no upload, list, package or report is left" "" "$(litter)"
same "no host key is left" "" "$(find "$root/etc/ssh" -name 'ssh_host_*')"
no "no credential is left" inside grep -rqs -e examplesecret -e AKIDEXAMPLE /etc /root /home /var /tmp

# --- The first boot, with tables that cannot be reached yet
halt
stop_server "$moto"
in_root ssh-keygen -A >/dev/null
boot running
same "the service runs after the first boot" active "$(inside systemctl is-active ddum)"
gets_in "an account of the snapshot gets in before the first update" alice alice
serve moto 5001 "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5001
tables create "$endpoint" Users
tables create "$endpoint" Groups
people '[{Name: "alice", UID: 4101, GID: 4000, Home: "/home/alice", Shell: "/bin/bash", SSHPublicKeys: [$laptop]}]'
echo '[{"Name": "people", "GID": 4000, "Members": ["alice"]}]' | tables load "$endpoint" Groups
mkdir -p "$root/etc/systemd/system/ddum.service.d"
printf '[Service]\nEnvironment=AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=examplesecret\n' \
  >"$root/etc/systemd/system/ddum.service.d/credentials.conf"
inside systemctl daemon-reload
inside systemctl restart ddum
moved() { [[ $(inside id -u alice) == 4101 ]]; }
within "the first update knows the account as its own" 60 moved
kept_out "the key of the snapshot is out" alice alice
gets_in "the table's is in" alice laptop

# --- The AMI template, each of its six sources against an emulator of EC2 whose instances all are this container
jq -n '[
  ["ami-00000001", "137112412989", "x86_64", "al2023-ami-2023.9.20251105.0-kernel-6.1-x86_64", "/dev/xvda"],
  ["ami-00000002", "137112412989", "arm64", "al2023-ami-2023.9.20251105.0-kernel-6.1-arm64", "/dev/xvda"],
  ["ami-00000003", "136693071363", "x86_64", "debian-12-amd64-20251112-2294", "/dev/xvda"],
  ["ami-00000004", "136693071363", "arm64", "debian-12-arm64-20251112-2294", "/dev/xvda"],
  ["ami-00000005", "099720109477", "x86_64", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022", "/dev/sda1"],
  ["ami-00000006", "099720109477", "arm64", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251022", "/dev/sda1"]
] | map({ami_id: .[0], owner_id: .[1], architecture: .[2], name: .[3], root_device_name: .[4], description: "to begin with",
  public: true, virtualization_type: "hvm", hypervisor: "xen", state: "available", image_location: "amazon/image",
  image_type: "machine", platform: null, root_device_type: "ebs", sriov: "simple",
  creation_date: "2025-11-12T00:00:00.000Z"})' >"$work/amis.json"
serve ec2 5066 env MOTO_AMIS_PATH="$work/amis.json" "$area/venv/bin/moto_server" -H 127.0.0.1 -p 5066
ami=(-var endpoint=http://127.0.0.1:5066 -var ssh_host=127.0.0.1 -var ssh_private_key_file="$work/keys/baker" -var region=us-east-1)
# The container is a Debian for amd64: where the template wants something else, it finds what the container can take.
cp "$dist/ddum_${version}_amd64.deb" "$work/packages/ddum_${version}_arm64.deb"
cp "$dist/ddum-$version-1.x86_64.rpm" "$work/packages/ddum-$version-1.aarch64.rpm"
sed 's/^  ssh_username  = .*/  ssh_username  = "baker"/' "$top/packer/aws.pkr.hcl" >"$work/aws.pkr.hcl"
cp "$top/packer/provision.sh" "$work/"
# Debian's rpm would keep its database in root's home.
mkdir -p "$root/etc/rpm"
echo '%_dbpath /var/lib/rpm' >"$root/etc/rpm/macros"
# clear_machine SOURCE: the next image begins without ddum and what it made.
clear_machine() {
  ! inside dpkg-query -s ddum >/dev/null 2>&1 || inside dpkg --purge ddum >/dev/null
  ! inside rpm -q ddum >/dev/null 2>&1 || inside rpm -e ddum 2>/dev/null
  ! inside id alice >/dev/null 2>&1 || inside userdel --force --remove alice 2>/dev/null
  ! inside getent group people >/dev/null || inside groupdel people
  rm -rf "$root"/var/lib/ddum "$root"/etc/dynamodb-user-manager.cfg* "$root/etc/systemd/system/ddum.service.d"
  no "$1: nothing of ddum is there before" test -e "$root/usr/bin/ddum"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
}
bake() {
  clear_machine "$1"
  run packed build -color=false -only="amazon-ebs.$1" "${aws[@]}" "${ami[@]}" "$work/aws.pkr.hcl"
  expect "$1: packer build" 0
  has "$1: an image comes out" "$out" "us-east-1: ami-"
  has "$1: ddum is installed" "$out" "installed ddum $version"
  has "$1: with the accounts of the snapshot" "$out" "+ user alice"
  lacks "$1: no password hash is printed" "$out" "$salt"
  same "$1: the service is enabled" enabled "$(inside systemctl is-enabled ddum)"
  same "$1: but not active" inactive "$(inside systemctl is-active ddum || true)"
  same "$1: nothing is left lying about" "" "$(litter)"
  same "$1: the machine has no id yet" 0 "$(stat -c %s "$root/etc/machine-id")"
}
for each in debian_amd64 debian_arm64 ubuntu_amd64 ubuntu_arm64; do
  bake "$each"
done
# What provision.sh sees of Amazon Linux: no apt-get, and a dnf; the packages are installed by the real rpm.
mv "$root/usr/bin/apt-get" "$root/usr/bin/apt-get.aside"
cat >"$root/usr/local/bin/dnf" <<'END'
#!/bin/sh
echo "dnf $*" >>/var/log/dnf-stub.log
case $* in
  '-y install '*.rpm) exec rpm -i --nodeps "$3" ;;
  '-q clean all') ;;
  *) exit 1 ;;
esac
END
chmod 0755 "$root/usr/local/bin/dnf"
for each in amazon_amd64 amazon_arm64; do
  bake "$each"
done
images() {
  AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=examplesecret "$python" - <<'END'
import boto3

ec2 = boto3.client("ec2", endpoint_url="http://127.0.0.1:5066", region_name="us-east-1")
print(*sorted(each["Name"].rsplit("-", 2)[0] for each in ec2.describe_images(Owners=["self"])["Images"]))
left = [i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
print(*sorted(set(left)))
END
}
same "there is an image for each system and architecture, and no instance is left" \
  "ddum-amazon-amd64 ddum-amazon-arm64 ddum-debian-amd64 ddum-debian-arm64 ddum-ubuntu-amd64 ddum-ubuntu-arm64
terminated" "$(images)"
echo "NOT CHECKED: a real AMI; instances for arm64 and of Amazon Linux (this container is a Debian for amd64, with a stand-in for dnf)"
finish_booted
