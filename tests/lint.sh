#!/usr/bin/env bash
# Everything that is checked without running the product: format, clippy, crate arrows, licences, scripts.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
cd "$PROJECT_DIR"
setup/rust.sh
setup/packages.sh build lint
use_build_cache

say "format"
cargo fmt --all --check

say "crate arrows and licences"
cargo metadata --format-version 1 --no-deps --locked 2>/dev/null | python3 tests/arrows.py
cargo metadata --format-version 1 --locked 2>/dev/null | python3 tests/licences.py deny.toml
if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; fi

say "scripts"
mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' '.ci/*' 'images/files/*/apache2-foreground')
shellcheck -x "${scripts[@]}"
mapfile -t sources < <(git ls-files -co --exclude-standard '*.py')
# Syntax only, without leaving compiled files in the tree.
python3 -c 'import ast, sys
for name in sys.argv[1:]: ast.parse(open(name).read(), name)' "${sources[@]}"

say "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
