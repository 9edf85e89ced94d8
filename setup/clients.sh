#!/usr/bin/env bash
# Makes the private Python environment with the unmodified OpenStack clients (and pytest), exactly as pinned beside this
# file, and prints its directory. Kept outside the clone under a name made of the pins: made once, reused by every clone.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

requirements=$PROJECT_DIR/setup/clients-requirements.txt
constraints=$PROJECT_DIR/setup/clients-constraints.txt

# Debian's own python3 first: a version manager's python may lack venv. The pins need 3.11.
pick_python() {
  local candidate
  for candidate in ${PYTHON:-} /usr/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

if ! python=$(pick_python); then
  "$PROJECT_DIR/setup/packages.sh" clients
  python=$(pick_python) || die "Python 3.11 or newer with the venv module is needed for the OpenStack clients"
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$CACHE_DIR/clients-py$version-$(content_hash "$requirements" "$constraints")

if [ ! -e "$venv/.complete" ]; then
  mkdir -p "$CACHE_DIR"
  # Two runs at once must not fill the same directory.
  exec 9>"$venv.lock"
  flock 9
  if [ ! -e "$venv/.complete" ]; then
    say "  installing the OpenStack clients (once, about a minute)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    quietly retry "$venv/bin/pip" install -q --disable-pip-version-check --no-input -r "$requirements" -c "$constraints"
    # Compiled once here rather than at every start of every command, and also for a reader who may not write here.
    "$venv/bin/python" -m compileall -q "$venv/lib" >/dev/null 2>&1 || true
    touch "$venv/.complete"
  fi
  exec 9>&-
fi
printf '%s\n' "$venv"
