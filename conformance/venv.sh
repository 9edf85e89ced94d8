#!/usr/bin/env bash
# Makes the private Python environment with Tempest and its plugins, exactly as pinned beside this file, and prints its
# directory. Kept outside the clone under a name made of the pins.
set -euo pipefail
# shellcheck source=setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
python_environment tempest "$PROJECT_DIR/conformance/requirements.txt" "$PROJECT_DIR/conformance/constraints.txt"
