#!/usr/bin/env bash
# Runs one subset of Tempest and its plugins against the cloud of the OS_* variables, unmodified.
#
#   conformance/tempest.sh DIRECTORY SUBSET [INCLUDE-FILE]
#
# SUBSET is a name in subsets/ or a regular expression; subsets/SUBSET.exclude, when there, leaves tests out, with reasons.
# INCLUDE-FILE, a list of regular expressions, replaces the subset's own. Leaves in DIRECTORY: results.txt (status, seconds
# and id of every test), run.log and tempest's workspace. Prints "N passed, N failed, N skipped"; exit status 0 when the
# suite ran to its end, whatever failed. TEMPEST_<SECTION>__<OPTION> forces an option of tempest.conf; CONFORMANCE_WORKERS
# says how many tests run at once (2).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
directory=$1 subset=$2 include=${3:-}
venv=$("$here/venv.sh")
unset PYTHONPATH

rm -rf "$directory"
mkdir -p "$directory/etc" "$directory/logs" "$directory/tempest_lock"
directory=$(cd "$directory" && pwd)
site=$("$venv/bin/python" -c 'import os, tempest; print(os.path.dirname(tempest.__file__))')
cat >"$directory/.stestr.conf" <<CONF
[DEFAULT]
test_path=$site/test_discover
top_dir=$site
group_regex=([^\.]*\.)*
CONF
export TEMPEST_CONFIG_DIR=$directory/etc TEMPEST_CONFIG=tempest.conf
cd "$directory"
"$venv/bin/python" "$here/mkconf.py" etc/tempest.conf "$directory"

arguments=(--concurrency "${CONFORMANCE_WORKERS:-2}")
if [ -n "$include" ]; then
  arguments+=(--include-list "$include")
elif [ -f "$here/subsets/$subset.txt" ]; then
  arguments+=(--include-list "$here/subsets/$subset.txt")
else
  arguments+=(--regex "$subset")
fi
if [ -f "$here/subsets/$subset.exclude" ]; then
  grep -v '^[[:space:]]*\(#\|$\)' "$here/subsets/$subset.exclude" >exclude.txt
  arguments+=(--exclude-list "$directory/exclude.txt")
fi

status=0
PATH=$venv/bin:$PATH "$venv/bin/tempest" run "${arguments[@]}" >run.log 2>&1 || status=$?
"$venv/bin/stestr" last --subunit >last.subunit 2>>run.log || true
if [ ! -s last.subunit ] || [ "$status" -gt 1 ]; then
  tail -n 40 run.log >&2
  echo "error: the suite did not run ($status)" >&2
  exit 1
fi
"$venv/bin/python" "$here/count.py" results.txt <last.subunit || true
