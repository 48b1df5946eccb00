#!/usr/bin/env bash
# A real S3 server without a container engine: Ceph's object gateway from Debian's packages, with one monitor and one disk
# (a sparse file) behind it, as three ordinary processes. For CI and for development; nothing is kept twice.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bin/utils
. "$here/utils"
# shellcheck source=bin/config
. "$here/config"
# One path, whatever name leads to it: servers are known by the path that they were started with.
CEPH_DATA=$(realpath --canonicalize-missing -- "$CEPH_DATA")

usage() {
  cat <<TEXT
Usage: bin/ceph.sh COMMAND

A real S3 server (Ceph's object gateway) for tests and development, on 127.0.0.1.

  install  installs Debian's packages; as root or by sudo
  start    starts it, waits until it answers, creates the bucket; does nothing when it runs already
  stop     stops it; the data stays
  status   says whether it runs; exit code 3 when it does not
  env      prints how to reach it as NAME=VALUE lines, with the secret: export \$(bin/ceph.sh env)
  wipe     stops it and removes the data folder

Settings come from the environment (bin/config): CEPH_DATA ($CEPH_DATA), CEPH_PORT,
CEPH_ACCESS_KEY, CEPH_SECRET_KEY (chosen at the first start and kept, unless given), CEPH_BUCKET ($CEPH_BUCKET),
CEPH_SIZE ($CEPH_SIZE GiB), BLOBS_WAIT ($BLOBS_WAIT seconds for each step).
TEXT
}

PACKAGES=(ceph-mon ceph-osd radosgw ceph-common curl)
PROGRAMS=(ceph ceph-mon monmaptool ceph-osd radosgw radosgw-admin curl flock setsid)
# One for the gateway, one for the monitor, the others for the disk.
PORTS=10

missing() {
  local program
  for program in "${PROGRAMS[@]}"; do has "$program" || printf ' %s' "$program"; done
}

install() {
  [ -n "$(missing)" ] || { note "already installed"; return; }
  has apt-get || die "the packages come from Debian or Ubuntu, and there is no apt-get"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || die "packages are installed by root, and there is no sudo"
    as_root=(sudo --non-interactive)
  fi
  "${as_root[@]}" apt-get update --quiet
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${PACKAGES[@]}"
}

# What the first start has chosen stays: the monitor's port, for one, is written into its data.
port='' access_key='' secret_key='' cluster='' disk='' conf='' endpoint=''
read_settings() {
  [ -s "$CEPH_DATA/settings" ] || return 1
  # shellcheck source=/dev/null
  . "$CEPH_DATA/settings"
  conf=$CEPH_DATA/ceph.conf endpoint=http://127.0.0.1:$port
}

choose_settings() {
  local uuid=/proc/sys/kernel/random/uuid
  [ -z "$CEPH_PORT" ] || { is_port "$CEPH_PORT" && is_port $((CEPH_PORT + PORTS)); } || die "'$CEPH_PORT' is not a port"
  [[ $CEPH_ACCESS_KEY$CEPH_SECRET_KEY =~ ^[A-Za-z0-9]*$ ]] || die "keys may only consist of letters and digits"
  (
    umask 077
    cat >"$CEPH_DATA/settings" <<SETTINGS
port=${CEPH_PORT:-$(free_ports $PORTS)}
access_key=${CEPH_ACCESS_KEY:-BLOBS$(tr -dc 0-9a-f <$uuid | tr a-f A-F)}
secret_key=${CEPH_SECRET_KEY:-$(cat $uuid $uuid | tr -dc a-f0-9)}
cluster=$(cat $uuid)
disk=$(cat $uuid)
SETTINGS
  )
}

check_settings() {
  local wanted
  for wanted in "CEPH_PORT $CEPH_PORT $port" "CEPH_ACCESS_KEY $CEPH_ACCESS_KEY $access_key" \
    "CEPH_SECRET_KEY $CEPH_SECRET_KEY $secret_key"; do
    # Words: the name, what is given, what was chosen. When nothing is given, there are two.
    # shellcheck disable=SC2086
    set -- $wanted
    [ $# -eq 2 ] || [ "$2" = "$3" ] || die "$1 is another one than when $CEPH_DATA was made; use bin/ceph.sh wipe first"
  done
}

write_conf() {
  cat >"$conf" <<CONF
[global]
fsid = $cluster
mon host = [v2:127.0.0.1:$((port + 1))]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
# All processes are ours and on this machine: no keys among them. The gateway waits for ever for a monitor that encrypts
# unless it is told that plain checksums will do.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
keyring = /dev/null
crash dir = $CEPH_DATA/crash
# Paths of sockets are limited to some 100 bytes, and nobody uses this one.
admin socket =
pid file =
log file =
log to stderr = true
mon cluster log file =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
rgw rados pool pg num min = 4
osd crush chooseleaf type = 0
mon allow pool size one = true

[mon]
mon data = $CEPH_DATA/mon
# Else the monitor ends itself on a disk that is nearly full.
mon data avail crit = 0
# Changes, of which a start makes dozens, take effect at once rather than once a second.
paxos propose interval = 0.02
paxos min wait = 0.01

[osd]
osd data = $CEPH_DATA/osd
ms bind port min = $((port + 2))
ms bind port max = $((port + PORTS - 1))
osd objectstore = bluestore
bluestore block size = $((CEPH_SIZE << 30))
bluestore block preallocate file = false
bluestore fsck on mkfs = false
bluestore cache autotune = false
bluestore cache size = 134217728
# What a killed gateway watched is held against the next one for this many seconds.
osd client watch timeout = 12

[client]
# Also for radosgw-admin: they must agree, or the gateway does not hear of new users.
rgw num control oids = 1

[client.rgw.s3]
rgw data = $CEPH_DATA/rgw
# Without tcp_nodelay many answers wait 40 ms for the network stack.
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw enable apis = s3
rgw run sync thread = false
rgw dynamic resharding = false
# With these threads it takes seconds to stop.
rgw enable lc threads = false
# Room of deleted objects is free again after a minute rather than after hours.
rgw gc obj min wait = 60
rgw gc processor period = 30
rgw gc processor max time = 30
CONF
}

ceph_() { timeout 10 ceph --conf "$conf" --connect-timeout 2 "$@"; }
has_quorum() { ceph_ quorum_status; }
disk_is_up() { ceph_ osd stat | grep -q '1 up'; }
answers() { curl --silent --max-time 3 "$endpoint/" | grep -q ListAllMyBucketsResult; }

is_up() { is_alive "$CEPH_DATA/$1.pid" "$conf"; }
all_up() { is_up mon && is_up osd && is_up rgw && answers; }
end_all() {
  local name
  for name in rgw osd mon; do end "$CEPH_DATA/$name.pid" "$conf"; done
}

# once COMMAND...: of the commands that make something; what they say is of interest only when they fail.
once() {
  timeout "$BLOBS_WAIT" "$@" >"$CEPH_DATA/once.log" 2>&1 || {
    tail -n 20 "$CEPH_DATA/once.log" >&2
    die "$1 failed; its last words are above"
  }
}

# serve NAME CONDITION COMMAND...: starts one of the three, and waits for the condition.
serve() {
  local name=$1 condition=$2
  shift 2
  launch "$CEPH_DATA/$name.pid" "$CEPH_DATA/$name.log" "$@" --conf "$conf" --foreground
  wait_for "$BLOBS_WAIT" ended_or "$name" "$condition" || {
    tail -n 20 "$CEPH_DATA/$name.log" >&2
    die "$1 did not come up within $BLOBS_WAIT s; its last words are above"
  }
  is_up "$name" || {
    tail -n 20 "$CEPH_DATA/$name.log" >&2
    die "$1 has ended; its last words are above"
  }
}
ended_or() { ! is_up "$1" || "$2"; }

make_user() {
  local admin=(radosgw-admin --conf "$conf" --uid blobs)
  timeout "$BLOBS_WAIT" "${admin[@]}" user info >/dev/null 2>&1 ||
    once "${admin[@]}" user create --display-name blobs --max-buckets 100000 --access-key "$access_key" --secret-key "$secret_key"
}

start() {
  [ -z "$(missing)" ] || die "these programs are missing:$(missing); install them with bin/ceph.sh install"
  need_curl
  mkdir -p "$CEPH_DATA"
  [ -e "$CEPH_DATA/lock" ] || [ -z "$(ls -A "$CEPH_DATA")" ] || die "there is something else in $CEPH_DATA; set CEPH_DATA"
  exec 9>"$CEPH_DATA/lock"
  flock --wait 120 9 || die "another bin/ceph.sh has been busy with $CEPH_DATA for two minutes"
  read_settings || { choose_settings && read_settings; }
  check_settings
  if all_up; then
    note "already running"
  else
    start_all
  fi
  make_bucket "$endpoint" "$access_key" "$secret_key" "$CEPH_BUCKET"
  note "S3 at $endpoint, bucket $CEPH_BUCKET, data in $CEPH_DATA; bin/ceph.sh env prints the keys"
}

start_all() {
  local taken
  end_all
  for taken in "$port" $((port + 1)); do
    ! is_listening "$taken" || die "port $taken is in use by something else; wipe, and set CEPH_PORT or leave it empty"
  done
  trap end_all EXIT # A start that fails leaves nothing running.
  # A first start that did not get to its end is begun anew.
  [ -e "$CEPH_DATA/made" ] || rm -rf "$CEPH_DATA"/{mon,osd,rgw}
  mkdir -p "$CEPH_DATA"/{mon,osd,rgw,crash}
  write_conf
  if [ ! -e "$CEPH_DATA/made" ]; then
    once monmaptool --create --clobber --fsid "$cluster" --addv a "[v2:127.0.0.1:$((port + 1))]" "$CEPH_DATA/monmap"
    once ceph-mon --conf "$conf" --mkfs --id a --monmap "$CEPH_DATA/monmap"
  fi
  serve mon has_quorum ceph-mon --id a
  if [ ! -e "$CEPH_DATA/made" ]; then
    once ceph --conf "$conf" osd new "$disk"
    once ceph-osd --conf "$conf" --id 0 --mkfs --osd-uuid "$disk"
  else
    # The monitor may remember the disk as up from the last time.
    once ceph --conf "$conf" osd down 0
  fi
  serve osd disk_is_up ceph-osd --id 0
  make_user
  serve rgw answers radosgw --name client.rgw.s3
  touch "$CEPH_DATA/made"
  trap - EXIT
}

stop() {
  if read_settings; then
    end_all
    note "stopped"
  else
    note "not running"
  fi
}

status() {
  if read_settings && all_up; then
    echo "running at $endpoint"
  else
    echo "stopped"
    exit 3
  fi
}

print_env() {
  read_settings || die "there is none in $CEPH_DATA yet; start it first"
  cat <<LINES
S3_ENDPOINT=$endpoint
S3_BUCKET=$CEPH_BUCKET
AWS_ACCESS_KEY_ID=$access_key
AWS_SECRET_ACCESS_KEY=$secret_key
BLOBS_S3_URL=s3://$access_key:$secret_key@127.0.0.1:$port/$CEPH_BUCKET
BLOBS_TEST_S3_URL=s3://$access_key:$secret_key@127.0.0.1:$port
LINES
}

wipe() {
  [ -e "$CEPH_DATA" ] || { note "there is nothing in $CEPH_DATA"; return; }
  [ -e "$CEPH_DATA/lock" ] || die "$CEPH_DATA was not made by bin/ceph.sh"
  stop
  rm -rf "$CEPH_DATA"
}

[ $# -le 1 ] || die "one command at a time; see bin/ceph.sh --help"
# Settings of another cluster, for its tools, are not for this one.
unset CEPH_ARGS CEPH_CONF CEPH_KEYRING
case ${1:-} in
install | start | stop | status | wipe) "$1" ;;
env) print_env ;;
-h | --help | help) usage ;;
'')
  usage >&2
  exit 2
  ;;
*)
  note "there is no command '$1'; see bin/ceph.sh --help"
  exit 2
  ;;
esac
