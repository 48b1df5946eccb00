#!/usr/bin/env bash
# A MinIO server for development, in a container or as a program.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=bin/utils
. "$here/utils"
# shellcheck source=bin/config
. "$here/config"

usage() {
  cat <<TEXT
Usage: bin/minio.sh COMMAND

A MinIO server for development, on 127.0.0.1, with docker, podman or a minio program, whichever is there.

  start     starts it, waits until it answers, creates the bucket; does nothing when it runs already
  stop      stops it; the data stays in the data folder
  status    says whether it runs; exit code 3 when it does not
  endpoint  prints the address for S3 clients
  console   prints the address for a browser

Settings come from the environment (bin/config): MINIO_PORT ($MINIO_PORT), MINIO_CONSOLE_PORT ($MINIO_CONSOLE_PORT),
MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, MINIO_BUCKET ($MINIO_BUCKET), MINIO_DATA ($MINIO_DATA),
MINIO_ENGINE (docker, podman or minio), MINIO_IMAGE, MINIO_CONTAINER, BLOBS_WAIT (seconds).
TEXT
}

endpoint="http://127.0.0.1:$MINIO_PORT"
console="http://127.0.0.1:$MINIO_CONSOLE_PORT"
# One path, whatever name leads to it: the files beside it are named after it.
MINIO_DATA=$(realpath --canonicalize-missing -- "$MINIO_DATA")
pidfile="$MINIO_DATA.pid"

# Prints which engine to use.
engine() {
  local name found=''
  case $MINIO_ENGINE in
  '') ;;
  docker | podman | minio)
    has "$MINIO_ENGINE" || die "MINIO_ENGINE is $MINIO_ENGINE, which is not on the PATH"
    echo "$MINIO_ENGINE"
    return
    ;;
  *) die "MINIO_ENGINE must be docker, podman or minio, not '$MINIO_ENGINE'" ;;
  esac
  for name in docker podman; do
    has "$name" || continue
    if timeout 20 "$name" info >/dev/null 2>&1; then
      echo "$name"
      return
    fi
    found="$found; $name is installed, but '$name info' fails: is its service running?"
  done
  if has minio; then
    echo minio
    return
  fi
  die "there is nothing to run MinIO with: install docker, podman or minio, or use bin/ceph.sh$found"
}

is_running() { # engine
  if [ "$1" = minio ]; then
    is_alive "$pidfile" "$MINIO_DATA"
  else
    [ "$("$1" container inspect --format '{{.State.Running}}' "$MINIO_CONTAINER" 2>/dev/null)" = true ]
  fi
}

answers() { curl --silent --fail --max-time 3 --output /dev/null "$endpoint/minio/health/live"; }

run_container() { # engine
  # One of an earlier start, with settings that may have changed. Its data is in the folder.
  "$1" rm --force "$MINIO_CONTAINER" >/dev/null 2>&1 || true
  local user=()
  # Docker's containers write as root unless told otherwise; podman's as who starts them.
  if [ "$1" = docker ]; then user=(--user "$(id -u):$(id -g)"); fi
  # Names without values are taken from the environment, so that the password is not among the arguments.
  "$1" run --detach --name "$MINIO_CONTAINER" "${user[@]}" \
    --publish "127.0.0.1:$MINIO_PORT:9000" --publish "127.0.0.1:$MINIO_CONSOLE_PORT:9001" \
    --volume "$MINIO_DATA:/data:Z" --env MINIO_ROOT_USER --env MINIO_ROOT_PASSWORD \
    "$MINIO_IMAGE" server /data --console-address :9001 >/dev/null
}

show_log() { # engine
  if [ "$1" = minio ]; then
    tail -n 20 "$MINIO_DATA.log" >&2 || true
  else
    "$1" logs --tail 20 "$MINIO_CONTAINER" >&2 || true
  fi
}

start() {
  local port with
  for port in "$MINIO_PORT" "$MINIO_CONSOLE_PORT"; do
    is_port "$port" || die "'$port' is not a port"
  done
  need_curl
  with=$(engine)
  mkdir -p "$MINIO_DATA"
  if is_running "$with"; then
    note "already running"
  else
    for port in "$MINIO_PORT" "$MINIO_CONSOLE_PORT"; do
      ! is_listening "$port" || die "port $port is in use by something else; set MINIO_PORT and MINIO_CONSOLE_PORT"
    done
    if [ "$with" = minio ]; then
      launch "$pidfile" "$MINIO_DATA.log" minio server "$MINIO_DATA" \
        --address "127.0.0.1:$MINIO_PORT" --console-address "127.0.0.1:$MINIO_CONSOLE_PORT"
    else
      run_container "$with"
    fi
  fi
  if ! wait_for "$BLOBS_WAIT" answers; then
    show_log "$with"
    die "MinIO does not answer at $endpoint after $BLOBS_WAIT s; its last words are above"
  fi
  make_bucket "$endpoint" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" "$MINIO_BUCKET"
  note "MinIO ($with) at $endpoint, bucket $MINIO_BUCKET, console at $console, data in $MINIO_DATA"
}

stop() {
  local with
  with=$(engine)
  if ! is_running "$with"; then
    note "not running"
  elif [ "$with" = minio ]; then
    end "$pidfile" "$MINIO_DATA"
    note "stopped"
  else
    "$with" stop --time 10 "$MINIO_CONTAINER" >/dev/null
    note "stopped"
  fi
}

status() {
  local with
  with=$(engine)
  if ! is_running "$with"; then
    echo "stopped"
    exit 3
  fi
  if ! answers; then
    echo "running ($with), but it does not answer at $endpoint"
    exit 3
  fi
  echo "running ($with) at $endpoint"
}

[ $# -le 1 ] || die "one command at a time; see bin/minio.sh --help"
case ${1:-} in
start | stop | status) "$1" ;;
endpoint) echo "$endpoint" ;;
console) echo "$console" ;;
-h | --help | help) usage ;;
'')
  usage >&2
  exit 2
  ;;
*)
  note "there is no command '$1'; see bin/minio.sh --help"
  exit 2
  ;;
esac
