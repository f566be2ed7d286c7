# What a fresh machine lacks, for script/test and script/demo. Source this, then say what is needed:
#
#   setup EXTRA[,EXTRA...]    a virtualenv with this checkout in it (editable), first on PATH; nearly free the second time
#                             With `test` among them, the distribution in speed/ too, where a compiler can build it.
#   want COMMAND...           the same for programs that tests can do without
#   need COMMAND...           programs, from the system's package manager where they are missing
#   find_valkey               `valkey` is the path of valkey-server: the system's, or Debian's, unpacked in the virtualenv and
#                             not installed; empty where there is none, which is said
#   find_ignite               `ignite` is a folder with the libraries of an Apache Ignite server, fetched by Maven into the virtualenv;
#                             empty where there are none, or no Java, which is said
#   browser                   a browser for the tests of the dashboard, and axe-core
#   newer_memcached           a memcached of a later Debian, unpacked in the virtualenv and not installed; `newer` is its path,
#                             or empty where there can be none, which is said
#
#   PYTHON         the interpreter (default python3), 3.11 or later
#   DCACHE_VENV    the virtualenv (default .venv)
#
# bash 3.2, which macOS has, must be able to read this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
venv=${DCACHE_VENV:-.venv}
[[ $venv = /* ]] || venv=$PWD/$venv

die() {
  echo "$0: $*" >&2
  exit 1
}

# Runs a command; what it prints is shown only if it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1 </dev/null) || status=$?
  [[ $status = 0 ]] || printf '%s\n' "$output" >&2
  return "$status"
}

as_root() {
  if [[ $(id -u) = 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  local apt="as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=60"
  # A fresh image has no package lists, an old one has lists of packages that are gone.
  $apt install --no-install-recommends "$1" || { $apt update && $apt install --no-install-recommends "$1"; }
}

need() {
  local command
  for command in "$@"; do
    command -v "$command" >/dev/null && continue
    echo "installing $command"
    if command -v apt-get >/dev/null; then
      quietly apt_install "${command/#varnishd/varnish}"
    elif command -v dnf >/dev/null; then
      quietly as_root dnf install -y "/usr/bin/$command" # by file: which package provides it depends on the release
    elif command -v brew >/dev/null; then
      quietly brew install "${command%-server}"
    else
      false
    fi || die "$command is missing and can't be installed from here: install it, then try again"
  done
}

want() {
  local command
  for command in "$@"; do
    (need "$command") || echo "skipped  the tests that need $command"
  done
}

# A later Debian's memcached and the libraries it brings, libc among them, started by that libc's own loader. apt has its
# lists and its cache in a folder of their own, so that nothing changes for the system.
newer_release=trixie
newer_packages="memcached libc6 libevent-2.1-7t64 libsasl2-2 libssl3t64 libzstd1 zlib1g"

# unpack FOLDER RELEASE PACKAGE...: those of a release of Debian, with nothing they depend on.
unpack() {
  local folder=$1 release=$2 package apt
  shift 2
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $release main" \
    >"$folder/apt/sources.list"
  apt=(apt-get -q -o "APT::Sandbox::User=$(id -un)" -o Dir::Etc::sourceparts=- -o "Dir::Etc::sourcelist=$folder/apt/sources.list")
  apt+=(-o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Default-Release=)
  "${apt[@]}" update && (cd "$folder/apt" && "${apt[@]}" download "$@") || return
  for package in "$folder"/apt/*.deb; do dpkg -x "$package" "$folder" || return; done
  rm -r "$folder/apt"
}

unpack_memcached() {
  local folder=$1 loader libraries
  # shellcheck disable=SC2086
  unpack "$folder" "$newer_release" $newer_packages || return
  loader=$(find "$folder/usr/lib" -name 'ld-linux*.so*' | head -n 1)
  libraries=$(dirname "$(find "$folder/usr/lib" -name 'libevent-2.1.so*' | head -n 1)")
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$folder/usr/bin/memcached" \
    >"$folder/memcached"
  chmod +x "$folder/memcached"
  "$folder/memcached" -V
}

newer_memcached() {
  local folder=$venv/$newer_release
  newer=$folder/memcached
  [[ ! -x $newer ]] || return 0
  newer=
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "skipped  a newer memcached: it would come from Debian, and there is no apt-get here"
  elif unpack_memcached "$folder" >"$venv/newer-memcached.log" 2>&1; then
    newer=$folder/memcached
  else
    rm -rf "$folder"
    echo "skipped  a newer memcached: that of Debian $newer_release can't be had here ($venv/newer-memcached.log)"
  fi
}

# Its libraries are those that redis-server has, too.
find_valkey() {
  local folder=$venv/valkey release
  valkey=$(command -v valkey-server || true)
  [[ ! $valkey ]] || return 0
  valkey=$folder/usr/bin/valkey-server
  ! "$valkey" --version >/dev/null 2>&1 || return 0
  release=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
  [[ $release != bookworm ]] || release=bookworm-backports
  if command -v apt-get >/dev/null && command -v dpkg >/dev/null && mkdir -p "$folder" &&
    { unpack "$folder" "$release" valkey-server valkey-tools && "$valkey" --version; } >"$venv/valkey.log" 2>&1; then
    return 0
  fi
  rm -rf "$folder"
  valkey=
  echo "skipped  Valkey: there is no valkey-server on PATH, and none could be had from Debian ($venv/valkey.log)"
}

find_ignite() {
  ignite=$venv/ignite
  if ! command -v java >/dev/null || { [[ ! -d $ignite ]] && ! command -v mvn >/dev/null; }; then
    echo "installing java, maven"
    { apt_install openjdk-17-jre-headless && apt_install maven; } >"$venv/java.log" 2>&1 </dev/null || true
  fi
  if ! command -v java >/dev/null; then
    echo "skipped  Apache Ignite: java is not on PATH, and can't be installed from here ($venv/java.log)"
  elif [[ -d $ignite ]]; then
    return 0
  elif mvn -q -B -f script/ignite dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$ignite.part" \
    >"$venv/ignite.log" 2>&1 </dev/null && mv "$ignite.part" "$ignite"; then
    return 0
  else
    rm -rf "$ignite.part"
    echo "skipped  Apache Ignite: Maven can't fetch it here ($venv/ignite.log)"
  fi
  ignite=
}

# The system's Chromium, its driver, and axe-core below the virtualenv; what can't be had is said, and its tests are skipped.
browser() {
  if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if command -v apt-get >/dev/null; then
      echo "installing chromium, chromium-driver"
      { apt_install chromium && apt_install chromium-driver; } >"$venv/browser.log" 2>&1 </dev/null || true
    fi
    command -v chromedriver >/dev/null || {
      echo "skipped  the dashboard in a browser: there is no chromium with its chromedriver here, and none can be installed"
      return
    }
  fi
  [[ -f $venv/axe/node_modules/axe-core/axe.min.js ]] ||
    npm install --silent --no-audit --no-fund --prefix "$venv/axe" axe-core@4 >"$venv/axe.log" 2>&1 </dev/null ||
    echo "skipped  the dashboard's accessibility: npm can't fetch axe-core here"
}

make_venv() {
  local version
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  # Debian's python3 comes without ensurepip, which `venv` fails for want of.
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && command -v apt-get >/dev/null; then
    echo "installing python$version-venv"
    quietly apt_install "python$version-venv"
  fi
  quietly "$python" -m venv "$venv"
}

# From a copy, so that nothing is left in the checkout.
install_speed() {
  local copy status=0
  "$venv/bin/python" -c 'import os, shlex, shutil, sysconfig as made, sys
compiler, header = made.get_config_var("CC") or "cc", os.path.join(made.get_path("include"), "Python.h")
sys.exit(not (shutil.which(os.environ.get("CC") or shlex.split(compiler)[0]) and os.path.exists(header)))' || {
    echo "skipped  django-dcache-speed: there is no C compiler here, or no Python.h; its tests are skipped too"
    return
  }
  copy=$(mktemp -d)
  cp -R speed "$copy"
  quietly "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation \
    --force-reinstall "$copy/speed" || status=$?
  rm -rf "$copy"
  [[ $status = 0 ]] || die "django-dcache-speed could not be built"
}

setup() {
  local extras=$1 key stamp
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "$python is missing or older than Python 3.11: name another one, as in PYTHON=python3.12 $0"
  stamp=$venv/.installed-$extras
  key=$({ "$python" -V && echo "$PWD" && cat setup.cfg pyproject.toml django_dcache/__init__.py drill/pyproject.toml speed/*.{c,py,toml}; } | cksum)
  if [[ ! -x $venv/bin/python || $(cat "$stamp" 2>/dev/null) != "$key" ]]; then
    # pip, because a venv that was interrupted half-way has a Python and no pip.
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv || die "$python can't make a virtualenv in $venv"
    [[ $("$venv/bin/python" -V) = $("$python" -V) ]] ||
      die "$venv runs another Python than $python: remove it, or choose another place with DCACHE_VENV"
    echo "installing django-dcache[$extras] in $venv"
    quietly "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input -e ".[$extras]" -e drill ||
      die "pip could not install django-dcache[$extras]"
    [[ ,$extras, != *,test,* ]] || install_speed
    echo "$key" >"$stamp"
  fi
  export PATH=$venv/bin:$PATH
}
