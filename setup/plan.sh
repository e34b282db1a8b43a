#!/usr/bin/env bash
# Print what the set-up will take. Usage: plan.sh VENV
# Sizes and times are those of Debian 12 on two processors; Caffe's build takes its time from all there are.
set -euo pipefail

venv=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/attr2face
cpus=$(env -u OMP_NUM_THREADS nproc)

row() {
    printf '  %-18s %5s MB %5s MB %4s min\n' "$@"
}

echo "set-up, in $venv and $cache:"
printf '  %-18s %8s %8s %8s\n' '' download disk time
bash "$(dirname "$0")/system.sh" --missing >/dev/null 2>&1 || row "system packages" 160 830 1
[ -e "$venv/bin/attr2face" ] || row "Python packages" 190 690 1
row "Caffe, if not built" 43 210 $((1 + 7 / cpus))
