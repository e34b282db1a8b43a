#!/usr/bin/env bash
# Draw a progress bar of the percentages on standard input, one a line. Usage: ... | bar.sh TITLE
# In a log, where nothing can be drawn over, every tenth is a line.
title=$1
hashes=########################################
last=-1
while read -r percent _; do
    percent=$((10#${percent//[^0-9]/}))
    ((percent > last)) || continue
    if [ -t 1 ]; then
        printf '\r%s [%-40s] %3d %%' "$title" "${hashes:0:percent*2/5}" "$percent"
    elif ((percent / 10 > last / 10)); then
        echo "$title: $percent %"
    fi
    last=$percent
done
[ ! -t 1 ] || ((last < 0)) || echo
