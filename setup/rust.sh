#!/usr/bin/env bash
# Checks that a Rust toolchain new enough for the workspace is there. Rust is not in the form we need in Debian 12, and
# fetching a toolchain is the user's decision, so this only says how.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$PROJECT_DIR/Cargo.toml")
if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
  die "cargo is in $HOME/.cargo/bin, which is not in PATH: run '. \$HOME/.cargo/env' and start again"
fi
if ! command -v cargo >/dev/null; then
  die "no Rust toolchain found. Install Rust $wanted or newer: the installer and its one line are on
  https://www.rust-lang.org/tools/install; 'minimal' is enough, with the components clippy and rustfmt.
Then open a new shell, so that cargo is in PATH, and run the same command again."
fi
found=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n1)" != "$wanted" ]; then
  die "Rust $found is too old, $wanted or newer is needed: rustup update stable"
fi
