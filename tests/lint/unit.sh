#!/bin/sh
# The systemd unit is valid and exposes little. Skipped when systemd-analyze is not there.
#
#   unit.sh ROOT
set -u
root=${1:?usage: unit.sh ROOT}
exposure=20 # of 100, as systemd-analyze security counts
command -v systemd-analyze >/dev/null || exit 77

# verify wants the program to be there, and security wants a unit that verify accepts.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
sed 's|/usr/bin/ptqd|/bin/true|' "$root/systemd/ptqd.service" >"$folder/ptqd.service"

output=$(systemd-analyze verify "$folder/ptqd.service" 2>&1)
status=$?
if [ $status -ne 0 ] || printf '%s\n' "$output" | grep -q ptqd; then
    printf '%s\n' "$output"
    exit 1
fi
systemd-analyze security --no-pager --offline=true --threshold=$exposure "$folder/ptqd.service"
