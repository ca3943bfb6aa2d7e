#!/bin/sh
# `meson install` puts everything where it belongs, and nothing else; what the installed unit names is
# installed; the installed program starts.
#
#   install.sh BUILD
set -u
build=${1:?usage: install.sh BUILD}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$folder/root" >"$folder/log" 2>&1 || {
    cat "$folder/log"
    exit 1
}
cat >"$folder/expected" <<'LIST'
bin/ptq
bin/ptqd
etc/ptqd/ptqd.conf
lib/systemd/system/ptqd.service
lib/systemd/system/ptqd.socket
lib/sysusers.d/ptqd.conf
lib/tmpfiles.d/ptqd.conf
share/bash-completion/completions/ptq
share/doc/ptqd/README.md
share/doc/ptqd/examples/ptqd.json
share/doc/ptqd/examples/ptqd.rules.yml
LIST
(cd "$folder/root" && find . -type f) | sed 's|^\./||; s|^usr/local/||; s|^usr/||' | sort \
    >"$folder/installed"
diff "$folder/expected" "$folder/installed" || exit 1

unit=$(find "$folder/root" -name ptqd.service)
program=$(sed -n 's/^ExecStart=\([^ ]*\) serve --config \([^ ]*\)$/\1/p' "$unit")
config=$(sed -n 's/^ExecStart=\([^ ]*\) serve --config \([^ ]*\)$/\2/p' "$unit")
for file in "$program" "$config"; do
    [ -n "$file" ] && [ -f "$folder/root$file" ] || {
        echo "the unit names '$file', which is not installed"
        exit 1
    }
done
[ -x "$(dirname "$folder/root$program")/ptq" ] || exit 1
"$folder/root$program" --version | grep -q '^ptqd [0-9]'
