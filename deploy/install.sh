#!/bin/sh
# Installs the product from this folder, asking no network:  sh install.sh /opt/provenance [EXTRA ...]
#
# EXTRA is one of the files requirements-EXTRA.txt here, such as `postgresql`; give the same ones with each version.
# Each version gets a folder of its own, and `current` leads to the last that was installed whole. To go back to the
# version before, point `current` at its folder again. Installing needs Python (the one the wheels are for) with venv,
# and git, which the product runs on. Before this: compare `sha256sum SHA256SUMS` with what you were told by another way.
set -eu
umask 022 # whoever runs the product is not whoever installs it

fail() { echo "install: $1" >&2; exit 2; }

[ $# -ge 1 ] || fail "say where: sh install.sh FOLDER [EXTRA ...]"
case $1 in /*) into=$1 ;; *) into=$PWD/$1 ;; esac
shift
cd "$(dirname "$0")"
extras=$(printf '%s\n' "$@" | LC_ALL=C sort -u)
for extra in $extras; do
    [ -f "requirements-$extra.txt" ] || fail "there is no extra $extra here: $(echo requirements-*.txt)"
done

# Every file here is in the sums, and as it says; nothing lies here besides.
sha256sum --check --strict --quiet SHA256SUMS || fail "files differ from SHA256SUMS, see above: fetch the folder again"
found=$(find . -type f ! -name SHA256SUMS | LC_ALL=C sort)
named=$(cut -c 67- SHA256SUMS | sed 's|^|./|' | LC_ALL=C sort)
[ "$found" = "$named" ] || fail "files lie here that SHA256SUMS does not name: fetch the folder again"

command -v git >/dev/null || fail "git is not on the PATH: the product runs on it"
wheel=$(cd wheels && ls provenance-*.whl)
version=${wheel#provenance-}; version=${version%%-*}
tag=$(cd wheels && ls numpy-*.whl | sed 's/.*-\(cp3[0-9]*\)-cp3.*/\1/')
python=python3.${tag#cp3}
command -v "$python" >/dev/null || fail "$python is not on the PATH: these wheels are for it"

digest=$(sha256sum SHA256SUMS | cut -c 1-12)
target=$into/$version-$digest$(printf '%s' "${extras:+ }$extras" | tr '\n ' '--')
set -- -r requirements.txt
for extra in $extras; do set -- "$@" -r "requirements-$extra.txt"; done
if [ -e "$target/installed" ]; then
    echo "Version $version ($digest) is installed in $target already."
else
    rm -rf "$target" # of an installation that was cut off
    mkdir -p "$into"
    "$python" -m venv "$target"
    "$target/bin/python" -m pip install --disable-pip-version-check -q --no-index --no-deps --require-hashes \
        "$@" || fail "pip could not install: this machine is of another kind than the wheels are for"
    "$target/bin/python" -m pip --disable-pip-version-check check || fail "a package lacks another one"
    "$target/bin/provenance" --version >/dev/null || fail "what was installed does not start"
    cp -R systemd alert.sh docs "$target"
    sync -f "$target"
    : > "$target/installed"
    echo "Version $version ($digest) is installed in $target."
fi
ln -sfn "$target" "$into/.current"
mv -T "$into/.current" "$into/current"
echo "$into/current/bin/provenance is this version now."
