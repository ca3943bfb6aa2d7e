#!/bin/sh
# The Debian package builds, dpkg installs it into a root directory, and the program in there serves.
# Skipped where debhelper or a build dependency is missing.
#
#   package.sh ROOT
set -u
root=${1:?usage: package.sh ROOT}
command -v dpkg-buildpackage >/dev/null && command -v dh >/dev/null || exit 77
folder=$(mktemp -d) || exit 1
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$folder"' EXIT

fail() {
    echo "$1"
    [ -f "$folder/log" ] && tail -n 60 "$folder/log" | cut -c1-200
    exit 1
}

mkdir "$folder/ptqd" || exit 1
for part in README.md etc include meson.build migrations src systemd web; do
    cp -r "$root/$part" "$folder/ptqd" || exit 1
done
cp -r "$root/etc/debian" "$folder/ptqd/debian"
cd "$folder/ptqd" || exit 1
# npm need not come from Debian.
command -v npm >/dev/null && sed -i 's/ npm,//' debian/control
dpkg-checkbuilddeps || exit 77
env -u DESTDIR -u MAKEFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS="noautodbgsym parallel=2" \
    dpkg-buildpackage -b -us -uc >"$folder/log" 2>&1 || fail "the package does not build"
package=$(echo "$folder"/ptqd_*.deb)
[ -f "$package" ] || fail "there is no package"
dpkg-deb --ctrl-tarfile "$package" | tar -xO ./postinst >"$folder/postinst"
for word in systemd-sysusers ptqd.service systemd-tmpfiles; do
    grep -q "$word" "$folder/postinst" || fail "the package does not care for $word"
done
dpkg-deb --ctrl-tarfile "$package" | tar -xO ./conffiles | grep -qx /etc/ptqd/ptqd.conf ||
    fail "the configuration is no conffile"

# Into a root of its own, which has no other packages; maintainer scripts work on it from outside.
mkdir -p "$folder/root/etc" "$folder/root/var/lib/dpkg/info" "$folder/root/var/lib/dpkg/updates"
touch "$folder/root/var/lib/dpkg/status" "$folder/root/var/lib/dpkg/available"
dpkg --root="$folder/root" --force-depends --force-not-root --force-script-chrootless \
    --install "$package" >"$folder/log" 2>&1 || fail "the package can't be installed"
grep -q '^ptqd:' "$folder/root/etc/passwd" || fail "there is no user ptqd"
[ "$(stat -c %a "$folder/root/var/lib/ptqd")" = 750 ] || fail "the state has no directory"
for file in usr/bin/ptqd usr/bin/ptq lib/systemd/system/ptqd.service usr/lib/sysusers.d/ptqd.conf \
    usr/lib/tmpfiles.d/ptqd.conf usr/share/doc/ptqd/copyright \
    "$(sed -n 's|^Documentation=file:///||p' "$folder/root/lib/systemd/system/ptqd.service")"; do
    [ -f "$folder/root/$file" ] || fail "$file is not in the package"
done

"$folder/root/usr/bin/ptqd" serve --config "$folder/root/etc/ptqd/ptqd.conf" --data "$folder/state" \
    --port 0 >"$folder/log" 2>&1 &
pid=$!
tries=0
until port=$(sed -n 's/.*msg="listening".* port=\([0-9]*\).*/\1/p' "$folder/log") && [ -n "$port" ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] && kill -0 "$pid" 2>/dev/null || fail "the program does not start"
    sleep 0.1
done
tries=0
until curl -fs "http://127.0.0.1:$port/readyz" | grep -q "\"ready\""; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "the program is not ready"
    sleep 0.1
done
kill "$pid"
wait "$pid" || fail "the program does not stop cleanly"
pid=
