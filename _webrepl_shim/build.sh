#!/bin/sh
# build.sh OUT [VARIABLE=VALUE ...]: build the virtual board as build/OUT/micropython; the rest goes to make.
# Its source is MICROPY_DIR, any checkout or release tree of MicroPython, if that is set; else what was fetched
# before; else Debian's source packages, by apt and with apt's check of their signatures, into build/ only.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
out=$root/build/$1
shift

# The release the board is tested with, and the library its hashlib.sha1 comes from.
micropython_version=1.25.0+ds
mbedtls_version=3.6
suite=trixie

for tool in gcc python3 tar xz bzip2; do
    command -v $tool >/dev/null || { sh _webrepl_shim/install.sh gcc libc6-dev python3 xz-utils bzip2; break; }
done

# apt with its own lists and cache, which needs no rights and leaves the system's alone.
own_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$apt/state" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root "$@"
}

fetch() {
    if ! command -v apt-get >/dev/null; then
        echo "No apt-get here: get MicroPython's source and name its folder, make ... MICROPY_DIR=folder" >&2
        exit 1
    fi
    apt=$root/build/apt
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$')
    for keyring in /usr/share/keyrings/debian-archive-keyring.*; do break; done
    echo "deb-src [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
    own_apt update
    (cd "$apt" && own_apt source --download-only micropython mbedtls)
    rm -rf "$source.part"
    mkdir "$source.part"
    tar -xf "$apt/micropython_$micropython_version.orig.tar.xz" --strip-components=1 -C "$source.part"
    # The release comes without its submodules.
    mkdir -p "$source.part/lib/mbedtls"
    tar -xf "$apt"/mbedtls_$mbedtls_version.*.orig.tar.* --strip-components=1 -C "$source.part/lib/mbedtls"
    mv "$source.part" "$source"
    rm -r "$apt"
}

# The Makefile writes this when MICROPY_DIR has changed: what was made of another source is of no use.
if [ build/micropy_dir -nt "$out/micropython" ]; then
    rm -rf "$out"
fi

source=$root/build/micropython-$micropython_version
if [ -z "${MICROPY_DIR:-}" ] || [ ! -e "$MICROPY_DIR/lib/mbedtls/library" ]; then
    [ -d "$source" ] || { mkdir -p build && fetch; }
fi
if [ -n "${MICROPY_DIR:-}" ]; then
    # A tree of links: nothing is written to yours, and mbedtls is there if you have none.
    tree=$out/source
    rm -rf "$tree"
    mkdir -p "$tree/ports"
    for dir in drivers extmod lib mpy-cross ports/unix py shared tools; do
        cp -rs "$(realpath "$MICROPY_DIR")/$dir" "$tree/$dir"
    done
    rm -rf "$tree/mpy-cross/build"
    if [ ! -e "$tree/lib/mbedtls/library" ]; then
        rm -rf "$tree/lib/mbedtls"
        ln -s "$source/lib/mbedtls" "$tree/lib/mbedtls"
    fi
    source=$tree
fi

# manifests look for micropython-lib, of which the board needs nothing.
mkdir -p "$out/micropython-lib"
touch "$out/micropython-lib/README.md"

# makemanifest.py keeps a frozen_content.c that names qstrs which a changed option has moved.
rm -f "$out/frozen_content.c"

# The tree lies inside this project's repository, whose version is not MicroPython's.
export GIT_CEILING_DIRECTORIES="$root/build:$out"

jobs=$(nproc)
cross=$out/mpy-cross
make -s -C "$source/mpy-cross" -j"$jobs" BUILD="$cross" >"$out/build.log" 2>&1 &&
    make -s -C "$source/ports/unix" -j"$jobs" BUILD="$out" VARIANT_DIR="$root/_webrepl_shim/unix" \
        MICROPY_MPYCROSS="$cross/mpy-cross" MICROPY_MPYCROSS_DEPENDENCY= MPY_LIB_DIR="$out/micropython-lib" \
        "$@" >>"$out/build.log" 2>&1 || {
    tail -n 30 "$out/build.log" >&2
    exit 1
}
touch "$out/micropython"
