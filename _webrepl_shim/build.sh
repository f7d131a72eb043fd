#!/bin/sh
# build.sh OUT [VARIABLE=VALUE ...]: build a board's firmware as build/OUT/micropython; the rest goes to make.
# board... is the virtual board, MicroPython's unix port; board-lwip... the emulated one, with lwip/board.py to boot it;
# ...-patched has faults of MicroPython's cured first.
# Its source is MICROPY_DIR, any checkout or release tree of MicroPython, if that is set; else what was fetched
# before; else Debian's source packages, by apt and with apt's check of their signatures, into build/ only.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
name=$1
out=$root/build/$name
shift

# The release the boards are tested with, the library its hashlib.sha1 comes from, and its network's.
micropython_version=1.25.0+ds
mbedtls_version=3.6
lwip_version=2.2
suite=trixie

for tool in gcc python3 tar xz bzip2; do
    command -v $tool >/dev/null || { sh _webrepl_shim/install.sh gcc libc6-dev python3 xz-utils bzip2; break; }
done
libraries="mbedtls/library"
case $name in
    board-lwip*)
        libraries="mbedtls/library lwip/src"
        command -v qemu-system-arm >/dev/null && [ -e "$(arm-none-eabi-gcc -print-file-name=libc_nano.a)" ] ||
            sh _webrepl_shim/install.sh qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi
        ;;
esac

# apt with its own lists and cache, which needs no rights and leaves the system's alone.
own_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$apt/state" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root "$@"
}

# The release comes without its submodules: submodule NAME VERSION has one of them.
submodule() {
    mkdir -p "$source.part/lib/$1"
    tar -xf "$apt"/"$1"_"$2".*.orig.tar.* --strip-components=1 -C "$source.part/lib/$1"
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
    (cd "$apt" && own_apt source --download-only micropython mbedtls lwip)
    rm -rf "$source.part" "$source"
    mkdir "$source.part"
    tar -xf "$apt/micropython_$micropython_version.orig.tar.xz" --strip-components=1 -C "$source.part"
    submodule mbedtls $mbedtls_version
    submodule lwip $lwip_version
    mv "$source.part" "$source"
    rm -r "$apt"
}

# Tell if a tree of MicroPython has the libraries.
has_libraries() {
    for library in $libraries; do
        [ -e "$1/lib/$library" ] || return 1
    done
}

# Boards may be built at the same time: one of them fetches, and builds what they share.
mkdir -p build
exec 9>build/lock
flock 9

# The Makefile writes this when MICROPY_DIR has changed: what was made of another source is of no use, nor with other
# options, which make does not look at.
for made in "$out/micropython" build/mpy-cross/mpy-cross; do
    if [ build/micropy_dir -nt $made ]; then
        rm -rf "${made%/*}"
    fi
done
if [ -n "$(find _webrepl_shim/unix/mpconfigvariant.* -newer "$out/micropython" 2>/dev/null)" ]; then
    rm -rf "$out"
fi

source=$root/build/micropython-$micropython_version
if [ -z "${MICROPY_DIR:-}" ] || ! has_libraries "$MICROPY_DIR"; then
    has_libraries "$source" || fetch
fi
mkdir -p "$out"
if [ -n "${MICROPY_DIR:-}" ] || [ "$name" != "${name%-patched}" ]; then
    # A tree of links: nothing is written to yours, and libraries are there if you have none.
    tree=$out/source
    from=$(realpath "${MICROPY_DIR:-$source}")
    rm -rf "$tree"
    mkdir -p "$tree/ports"
    for dir in drivers extmod lib mpy-cross ports/unix py shared tools; do
        cp -rs "$from/$dir" "$tree/$dir"
    done
    rm -rf "$tree/mpy-cross/build"
    for library in $libraries; do
        if [ ! -e "$tree/lib/$library" ]; then
            rm -rf "$tree/lib/${library%/*}"
            ln -s "$source/lib/${library%/*}" "$tree/lib/${library%/*}"
        fi
    done
    source=$tree
fi
if [ "$name" != "${name%-patched}" ]; then
    python3 _webrepl_shim/lwip/patch.py "$source"
fi

# manifests look for micropython-lib, of which the board needs nothing.
mkdir -p "$out/micropython-lib"
touch "$out/micropython-lib/README.md"

# makemanifest.py keeps a frozen_content.c that names qstrs which a changed option has moved.
rm -f "$out/frozen_content.c"

# The tree lies inside this project's repository, whose version is not MicroPython's.
export GIT_CEILING_DIRECTORIES="$root/build:$out"

jobs=$(nproc)
cross=$root/build/mpy-cross
run_make() {
    make -s -j"$jobs" "$@" >>"$out/build.log" 2>&1 || {
        tail -n 30 "$out/build.log" >&2
        exit 1
    }
}

: >"$out/build.log"
run_make -C "$source/mpy-cross" BUILD="$cross"
rm -rf "$out/mpy-cross"
ln -s ../mpy-cross "$out/mpy-cross"
flock -u 9

set -- BUILD="$out" MICROPY_MPYCROSS="$cross/mpy-cross" MICROPY_MPYCROSS_DEPENDENCY= MPY_LIB_DIR="$out/micropython-lib" "$@"
case $name in
    board-lwip*)
        case $name in *-esp8266*) set -- "$@" VARIANT=esp8266 ;; esac
        run_make -C _webrepl_shim/lwip TOP="$source" "$@"
        install -m 755 _webrepl_shim/lwip/board.py "$out/micropython"
        ;;
    *)
        run_make -C "$source/ports/unix" VARIANT_DIR="$root/_webrepl_shim/unix" "$@"
        ;;
esac
touch "$out/micropython"
