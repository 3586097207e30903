#!/usr/bin/env bash
# Run once, as root, while Gradescope builds the image: what the workshop needs, and a first grade as a proof.
# Elsewhere than in /autograder: AUTOGRADER=folder bash setup.sh
set -euo pipefail
home=${AUTOGRADER:-/autograder}
source=$home/source

# What no submission may read. Its user, where it has one of its own, still has to pass through to the tool.
chmod -R go= "$source/workshop/labs" "$source/workshop/solutions" "$source/seed.json"
if [ -d "$source/hidden" ]; then chmod -R go= "$source/hidden"; fi

missing() { ! command -v "$1" >/dev/null; }
install() { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; }
suits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
choose() { for python in python3 python3.14 python3.13 python3.12 python3.11; do if suits "$python"; then return; fi; done; false; }

if ! choose; then
    install python3 python3-venv
    choose || { install python3.11 python3.11-venv && choose; } || { echo "There is no Python 3.11 here."; exit 1; }
fi
# Without it, or where the container may not make namespaces, the weak sandbox does: nobody else's work is here.
if missing bwrap; then install bubblewrap; fi
if missing setpriv; then install util-linux; fi

cd "$source/workshop"
"$python" workshop/bootstrap.py

echo "Grading the lab's own solution ..."
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
chmod 755 "$trial"
mkdir "$trial/results"
ln -s "$source" "$trial/source"
cp -R "$source/workshop/solutions/$(cat "$source/lab")" "$trial/submission"
AUTOGRADER=$trial sh "$source/run_autograder"
.venv/bin/python - "$trial/results/results.json" <<'END'
import json, sys
found = json.load(open(sys.argv[1]))
most = sum(test["max_score"] for test in found["tests"])
print(f"The lab's own solution: {found['score']} of {most} points.")
sys.exit(found["score"] != most)
END
