# shellcheck shell=bash
# How an image root is made from Debian packages: a private apt, one shared base root, an overlay per image.
# Sourced by build.sh inside its scratch directory $WORK; recipes call only what is listed under "For recipes".

SUITE=bookworm
# What no image needs. Copyright files stay: licences ask for them.
LEFT_OUT=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*'
  '/usr/share/bug/*' '/usr/share/gtk-doc/*')

# ---- Set-up, once per run that builds something ---------------------------------------------------------------------

# A private apt (state, cache, sources) that follows the host's own set-up for Debian's main section and proxies, so
# that nothing is said here about where packages come from.
prepare_apt() {
  mkdir -p apt/etc/apt.conf.d apt/etc/preferences.d apt/state/lists/partial apt/cache/archives/partial
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format \
    'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Identifier: Packages' 'Origin: Debian' | grep " $SUITE" | grep ' main$' | sort -u >apt/etc/sources.list || true
  [ -s apt/etc/sources.list ] || die "no Debian $SUITE package source in this machine's apt set-up (run apt-get update?)"
  {
    apt-config dump | grep -E '^Acquire::(http|https|ftp)::.*(Proxy|CaInfo|CAInfo|Verify)' || true
    cat <<CONF
Dir::Etc "$WORK/apt/etc";
Dir::State "$WORK/apt/state";
Dir::Cache "$WORK/apt/cache";
Acquire::Retries "5";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Apt::Cmd::Disable-Script-Warning "true";
Dpkg::Use-Pty "false";
DPkg::Options { "--force-unsafe-io"; "--force-confnew"; };
CONF
  } >apt/apt.conf
  touch apt/no-packages
  retry private_apt update
  if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    local released
    released=$(sed -n 's/^Date: //p' apt/state/lists/*_dists_"${SUITE}"_InRelease | head -n1)
    SOURCE_DATE_EPOCH=$(date -ud "$released" +%s)
  fi
  export SOURCE_DATE_EPOCH
}

# apt that believes no package is installed: for downloading.
private_apt() {
  APT_CONFIG="$WORK/apt/apt.conf" apt-get -qq -y -o Dir::State::status="$WORK/apt/no-packages" "$@"
}

# apt that installs into the open image root.
root_apt() {
  local path options=(-o "Dir::State::status=$ROOT/var/lib/dpkg/status" -o "DPkg::Options::=--root=$ROOT")
  for path in "${LEFT_OUT[@]}"; do options+=(-o "DPkg::Options::=--path-exclude=$path"); done
  options+=(-o "DPkg::Options::=--path-include=/usr/share/doc/*/copyright")
  APT_CONFIG="$WORK/apt/apt.conf" apt-get -qq -y "${options[@]}" "$@"
}

# Removes what differs between two builds of the same packages.
tidy() {
  sed -i -E 's/^([^:]*:[^:]*):[0-9]*:/\1:19000:/' "$1/etc/shadow" 2>/dev/null || true
  rm -rf "$1"/var/cache/debconf/* "$1"/var/log/* "$1"/var/cache/ldconfig/* "$1"/tmp/* 2>/dev/null || true
}

# Debian's essential packages without documentation and translations: the lower layer of most images, made once.
make_base() {
  [ ! -e base.tar ] || return 0
  say "  base root"
  local path options=()
  for path in "${LEFT_OUT[@]}"; do options+=(--dpkgopt="path-exclude=$path"); done
  # shellcheck disable=SC2317 # called through retry
  make_base_once() {
    rm -rf --one-file-system base
    mmdebstrap -q --mode=root --variant=essential --aptopt='Acquire::Retries "5"' "${options[@]}" \
      --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt=force-unsafe-io --skip=cleanup/apt \
      --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr "$SUITE" base apt/etc/sources.list
  }
  quietly retry make_base_once
  rm -rf base/var/lib/apt/lists/* base/var/cache/apt/* base/etc/apt/sources.list base/etc/dpkg/dpkg.cfg.d/* \
    base/etc/apt/apt.conf.d/99mmdebstrap
  tidy base
  python3 "$IMAGES_DIR/pack.py" layer base base.tar
}

# A root with nothing but a static busybox and its applets: the whole of busybox and alpine, the lower layer of cirros.
make_busybox() {
  [ ! -e busybox.tar ] || return 0
  say "  busybox root"
  local applet
  mkdir -p busybox/{bin,sbin,etc,root,tmp,home,proc,sys,dev,run,usr/bin,usr/sbin,usr/local/bin,var/www,var/log}
  chmod 1777 busybox/tmp
  unpack busybox-deb busybox-static
  cp busybox-deb/bin/busybox busybox/bin/busybox 2>/dev/null || cp busybox-deb/usr/bin/busybox busybox/bin/busybox
  mkdir -p busybox/usr/share/doc/busybox-static
  cp busybox-deb/usr/share/doc/busybox-static/copyright busybox/usr/share/doc/busybox-static/
  for applet in $(busybox/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "busybox/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >busybox/etc/passwd
  printf 'root:x:0:\nnobody:x:65534:\n' >busybox/etc/group
  printf 'hosts: files dns\n' >busybox/etc/nsswitch.conf
  python3 "$IMAGES_DIR/pack.py" layer busybox busybox.tar
}

# ---- For recipes ----------------------------------------------------------------------------------------------------

# unpack DIRECTORY PACKAGE...: the files of packages without installing them.
unpack() {
  local into=$1 name
  shift
  mkdir -p "$into"
  (cd apt/cache/archives && quietly retry private_apt download "$@")
  for name in "$@"; do dpkg-deb -x "$(find apt/cache/archives -name "${name}_*.deb" | head -n1)" "$into"; done
}

# open_root NAME PACKAGE...: an overlay over the base with the packages installed, at $ROOT.
open_root() {
  local name=$1
  shift
  make_base
  say "  $name: packages"
  mkdir -p "layer-$name"/{upper,work,mounted}
  ROOT=$WORK/layer-$name/mounted
  mount -t overlay overlay -o "lowerdir=$WORK/base,upperdir=$WORK/layer-$name/upper,workdir=$WORK/layer-$name/work" "$ROOT"
  # Services must not start while their packages are installed.
  printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
  chmod 755 "$ROOT/usr/sbin/policy-rc.d"
  [ $# = 0 ] || quietly retry root_apt install "$@"
}

# close_root NAME: unmounts and writes layer-NAME.tar with what the recipe added.
close_root() {
  rm -f "$ROOT/usr/sbin/policy-rc.d"
  tidy "$ROOT"
  umount "$ROOT"
  rm -f "layer-$1/upper/usr/sbin/policy-rc.d"
  python3 "$IMAGES_DIR/pack.py" layer "layer-$1/upper" "layer-$1.tar"
}

# add_user NAME ID HOME: a system user in $ROOT with the id that the official image uses.
add_user() {
  echo "$1:x:$2:$2::$3:/usr/sbin/nologin" >>"$ROOT/etc/passwd"
  echo "$1:x:$2:" >>"$ROOT/etc/group"
  [ ! -e "$ROOT/etc/shadow" ] || echo "$1:!:19000::::::" >>"$ROOT/etc/shadow"
}

# install_file FILE TARGET [MODE]: a file of images/files/ into $ROOT.
install_file() { install -D -m "${3:-644}" "$IMAGES_DIR/files/$1" "$ROOT/$2"; }

# write_image CONFIG-JSON LAYER.tar...: the archive of the recipe at work ($NAME, $TAG) into the cache.
write_image() {
  local config=$1
  shift
  printf '%s' "$config" | python3 "$IMAGES_DIR/pack.py" archive "$ARCHIVE" "$TAG" "$RECIPE_HASH" "$@"
}
