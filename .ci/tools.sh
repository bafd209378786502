# Sourced, not run: installs what the tests need beside Node and exports where it is. Skips whatever is already there.
#   TRUNKLINE_TEST_PYTHON    a Python with grpcio, grpcio-tools and confluent-kafka
#   TRUNKLINE_TEST_CHROMIUM  a Chromium
#   TRUNKLINE_TEST_GRPCURL   grpcurl
# Redis, Java and Maven are found in PATH: the tests start the services of a cluster themselves.
# Expects Debian, and root if a package is missing.

trunkline_cache="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/.cache"
trunkline_python_packages=(grpcio==1.85.1 grpcio-tools==1.85.1 googleapis-common-protos==1.76.0 confluent-kafka==2.16.1)
# The older one builds with the Go of Debian 12.
trunkline_grpcurl_versions=(v1.9.3 v1.8.9)

mkdir -p "$trunkline_cache/bin"

# Runs a command silently; when it fails, shows what it said without the hosts it spoke to.
trunkline_quietly() {
  local log="$trunkline_cache/last.log"
  "$@" >"$log" 2>&1 && return 0
  echo "failed: $1" >&2
  tail -n 40 "$log" | sed -E 's#(https?://)[^/ "]+#\1…#g' >&2
  return 1
}

trunkline_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome || true
}

trunkline_grpcurl() {
  if [ -x "$trunkline_cache/bin/grpcurl" ]; then echo "$trunkline_cache/bin/grpcurl"; else command -v grpcurl || true; fi
}

trunkline_install_packages() {
  local missing=()
  command -v git >/dev/null || missing+=(git)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-pip python3-venv)
  [ -n "$(trunkline_chromium)" ] || missing+=(chromium)
  [ -n "$(trunkline_grpcurl)" ] || command -v go >/dev/null || missing+=(golang-go ca-certificates)
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v javac >/dev/null || missing+=(default-jdk-headless)
  command -v mvn >/dev/null || missing+=(maven)
  [ "${#missing[@]}" -eq 0 ] && return 0
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  trunkline_quietly apt-get update || return 1
  trunkline_quietly apt-get install -y --no-install-recommends "${missing[@]}"
}

trunkline_install_python() {
  local stamp="$trunkline_cache/venv/.packages"
  [ "$(cat "$stamp" 2>/dev/null)" = "${trunkline_python_packages[*]}" ] && return 0
  echo "installing ${trunkline_python_packages[*]}"
  trunkline_quietly python3 -m venv --clear "$trunkline_cache/venv" || return 1
  trunkline_quietly "$trunkline_cache/venv/bin/python" -m pip install --disable-pip-version-check \
    "${trunkline_python_packages[@]}" || return 1
  echo "${trunkline_python_packages[*]}" >"$stamp"
}

trunkline_install_grpcurl() {
  local version
  [ -z "$(trunkline_grpcurl)" ] || return 0
  for version in "${trunkline_grpcurl_versions[@]}"; do
    echo "installing grpcurl $version"
    if GOBIN="$trunkline_cache/bin" trunkline_quietly go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$version"; then
      return 0
    fi
  done
  return 1
}

trunkline_install_packages && trunkline_install_python && trunkline_install_grpcurl || return 1

export TRUNKLINE_TEST_PYTHON="$trunkline_cache/venv/bin/python"
TRUNKLINE_TEST_CHROMIUM="$(trunkline_chromium)"
TRUNKLINE_TEST_GRPCURL="$(trunkline_grpcurl)"
export TRUNKLINE_TEST_CHROMIUM TRUNKLINE_TEST_GRPCURL
