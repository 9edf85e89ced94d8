#!/usr/bin/env bash
# Makes the private Python environment with the unmodified OpenStack clients (and pytest), exactly as pinned beside this
# file, and prints its directory.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
python_environment clients "$PROJECT_DIR/setup/clients-requirements.txt" "$PROJECT_DIR/setup/clients-constraints.txt"
