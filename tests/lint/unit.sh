#!/bin/sh
# The systemd units are valid and expose little, and the files for users and directories are read as
# they are meant. Skipped when systemd-analyze is not there.
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
cp "$root/systemd/ptqd.socket" "$folder"

for unit in ptqd.service ptqd.socket; do
    output=$(systemd-analyze verify "$folder/$unit" 2>&1)
    status=$?
    if [ $status -ne 0 ] || printf '%s\n' "$output" | grep -q ptqd; then
        printf '%s\n' "$output"
        exit 1
    fi
done
systemd-analyze security --no-pager --offline=true --threshold=$exposure "$folder/ptqd.service" ||
    exit 1

# What the unit names is what the other two make.
user=$(sed -n 's/^User=//p' "$root/systemd/ptqd.service")
mkdir -p "$folder/root/etc" "$folder/root/var/lib"
systemd-sysusers --root="$folder/root" "$root/systemd/ptqd.sysusers" || exit 1
grep -q "^$user:" "$folder/root/etc/passwd" || {
    echo "there is no user $user"
    exit 1
}
systemd-tmpfiles --root="$folder/root" --create "$root/systemd/ptqd.tmpfiles" || exit 1
[ "$(stat -c %a "$folder/root/var/lib/ptqd")" = 750 ] || {
    echo "/var/lib/ptqd is not made, or for others to read"
    exit 1
}
grep -q '^ListenStream=127.0.0.1:8470$' "$root/systemd/ptqd.socket"
