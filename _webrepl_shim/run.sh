#!/bin/sh
# run.sh FLASH PORT [PASSWORD]: start the virtual board on the flash folder, which is made if it is not there.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
flash=$1 port=$2 password=$3
host=${BOARD_HOST:-127.0.0.1}

if [ -n "$password" ] && [ "$(printf %s "$password" | wc -c)" -gt 9 ]; then
    echo "PASSWORD is too long: the firmware takes at most 9 bytes." >&2
    exit 1
fi
mkdir -p "$flash"
cd "$flash"
[ -e boot.py ] || printf 'import webrepl\n\nwebrepl.start(port=%s)\n' "$port" >boot.py
# Another PORT than last time goes into the line made here; a line of your own stays as it is.
sed -i "s/^webrepl\.start(port=[0-9]*)$/webrepl.start(port=$port)/" boot.py
if [ -n "$password" ] || [ ! -e webrepl_cfg.py ]; then
    [ -n "$password" ] || password=$(tr -dc a-z0-9 </dev/urandom | head -c 8)
    python3 -c 'import sys; print("PASS =", repr(sys.argv[1]))' "$password" >webrepl_cfg.py
fi
password=$(python3 -c 'exec(open("webrepl_cfg.py").read()); print(PASS)')

echo "A virtual board, its flash in $PWD"
echo "Browser: http://$host:$port/    Password: $password"
echo "This terminal is its serial console. Ctrl-\\ turns it off."
exec "$root/build/board/micropython" -m board
