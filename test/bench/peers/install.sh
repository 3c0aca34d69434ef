#!/usr/bin/env bash
# Installs what the benchmark compares Dogear with: `npm run bench:peers`. It may be run again at any time.
#
# What has no package of Debian's goes into this folder, and nothing becomes a dependency of Dogear. Debian's packages are
# installed without their services: the benchmark starts what it needs by itself. One line is printed for each peer.
set -uo pipefail
cd "$(dirname "$0")"

centrifugoVersion=v6.9.1
natsVersion=v2.15.2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { printf '%-16s %s\n' "$1" "$2"; }
has() { PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null; }
# The last line that says something is nearly always the reason.
why() { say "$1" "not to be had: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"; }

npmPackages() {
  if npm ls --workspaces=false >/dev/null 2>&1; then say "$1" present
  elif npm ci --workspaces=false --no-audit --no-fund >"$log" 2>&1; then say "$1" installed
  else why "$1"; fi
}

# Debian's scripts ask this one whether they may start a service.
policy=/usr/sbin/policy-rc.d

aptGet() {
  local status=0 own=
  if [ ! -e "$policy" ]; then
    own=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" || status=$?
  [ -z "$own" ] || rm -f "$policy"
  # Without this they would start with the machine.
  if has systemctl; then systemctl disable --now "$@" >/dev/null 2>&1; fi
  return "$status"
}

debianPackage() {
  local name=$1 program=$2 package=$3
  if has "$program"; then say "$name" present
  elif ! has apt-get || [ "$(id -u)" != 0 ]; then say "$name" "not to be had: needs Debian's $package, and root to install it"
  elif aptGet "$package" >"$log" 2>&1; then say "$name" installed
  else why "$name"; fi
}

# `flags` are the linker's: some are told by it which version they are.
goProgram() {
  local name=$1 module=$2 flags=${3:-}
  if [ -x "bin/$name" ]; then say "$name" present
  elif ! has go; then say "$name" "not to be had: needs Go to build it"
  elif GOBIN=$PWD/bin timeout 1200 go install -ldflags "$flags" "$module" >"$log" 2>&1; then say "$name" installed
  else why "$name"; fi
}

natsServer() {
  if [ -x "${NATS_SERVER:-}" ] || has nats-server; then say nats-server present
  else goProgram nats-server "github.com/nats-io/nats-server/v2@$natsVersion"; fi
}

# Kafka is the libraries that pom.xml names.
kafka() {
  if ls kafka/kafka_*.jar >/dev/null 2>&1 && has java; then say kafka present && return; fi
  if ! has mvn || ! has java; then
    if ! has apt-get || [ "$(id -u)" != 0 ]; then say kafka "not to be had: needs a Java runtime and Maven" && return; fi
    if ! aptGet default-jre-headless maven >"$log" 2>&1; then why kafka && return; fi
  fi
  rm -rf kafka
  if timeout 600 mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/kafka" >"$log" 2>&1
  then say kafka installed
  else why kafka; fi
}

npmPackages "socket.io"
debianPackage mosquitto mosquitto mosquitto
debianPackage redis redis-server redis-server
debianPackage rabbitmq rabbitmq-server rabbitmq-server
natsServer
kafka
module=github.com/centrifugal/centrifugo/v6
goProgram centrifugo "$module@$centrifugoVersion" "-X $module/internal/build.Version=${centrifugoVersion#v}"
