#!/usr/bin/env bash
# Unpack the source of Caffe into a new folder, from the first place that has it. Usage: source.sh FOLDER CONTENTS PLACE...
# A place is the URL or the path of a tar.gz, with #SHA256 behind it where the archive's own is known. CONTENTS is the SHA-256 of all
# names, sizes and bytes of the files in it: archives of one commit differ from packer to packer, what they hold does not.
set -euo pipefail

folder=$(realpath -m "$1")
contents=$2
shift 2
# An archive of Caffe has 8.5 MB, its files 15 MB. No file here becomes larger than this, in bytes, nor do all files together.
limit=40000000
work=$(mktemp -d "$folder.XXXXXX")
# An archive may hold folders that nobody may write to.
trap 'chmod -R u+rwX "$work" || true; rm -rf "$work"' EXIT
# Otherwise Ctrl-C ends a download, and the next place is asked.
trap 'exit 130' INT

# APT's own downloader knows this machine's proxies and passwords. Without APT (CONDA=1), curl knows those of the environment.
fetch() {
    local url=$1 checksum=
    if [[ $url =~ ^(.*)#([0-9a-f]{64})$ ]]; then
        url=${BASH_REMATCH[1]} checksum=${BASH_REMATCH[2]}
    fi
    if ! [[ $url =~ ^(https?|file):/ ]]; then
        cp "$url" archive
    elif [ -x "${APT_HELPER:=/usr/lib/apt/apt-helper}" ]; then
        timeout --foreground -k 5 300 "$APT_HELPER" -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
            -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 download-file "$url" archive
    else
        curl -fsSL --retry 1 --connect-timeout 15 --max-time 300 -o archive "$url"
    fi || return
    [ -z "$checksum" ] || sha256sum -c <<<"$checksum  archive"
}

# SHA-256 of the files in this folder.
sum() {
    { find . ! -type d -printf '%y %s %P\n' | LC_ALL=C sort; find . -type f -print0 | LC_ALL=C sort -z | xargs -0r cat; } | sha256sum
}

# The files are at the archive's root, as Debian packs them, or in one folder, as upstream does.
take() {
    cd files
    local top
    top=$(ls -A)
    if [ -d "$top" ]; then cd "$top"; fi
    [ "$(sum)" = "$contents  -" ] || { echo "E: its files are not those of Caffe as expected" >&2; return 1; }
    mv -T "$PWD" "$folder"
}

ulimit -f $((limit / 1024)) 2>/dev/null || true # It may be limited to less already.
for place; do
    cd "$(mktemp -d "$work/XXXXXX")" && mkdir files
    (fetch "$place" && gzip -dc archive | head -c "$limit" | tar -xf - -C files --no-same-owner && take) >log 2>&1 && exit
    why=$(sed -E 's/^E: (Failed to fetch [^ ]+ *)?//; /^ |^Download Failed|^$/d' log | tail -n 1)
    echo "  not from ${place%#*}: ${why:-it took too long}" | sed -E 's|//[^/ ]*@|//|g' >&2
done
echo "setup/source.sh: no place that was asked (above) has Caffe's source; set CAFFE_SOURCE to the path or URL of a tar.gz of it" >&2
exit 1
