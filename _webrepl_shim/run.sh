#!/bin/sh
# run.sh BOARD FLASH PORT [PASSWORD]: start the board, a program, on the flash folder, which is made if it is not there.
set -eu
cd "$(dirname "$0")/.."
page=$PWD/page/dist/webrepl_content.js.gz board=$PWD/$1 flash=$2 port=$3 password=$4
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
    python3 -c 'import sys; print("PASS = %r\nBASE = \"/\"" % sys.argv[1])' "$password" >webrepl_cfg.py
fi
cp "$page" .
password=$(python3 -c 'exec(open("webrepl_cfg.py").read()); print(PASS)')

echo "A virtual board, its flash in $PWD"
echo "Browser: http://$host:$port/    Password: $password"
echo "This terminal is its serial console. Ctrl-\\ turns it off."
# The emulated board is to say so if it cannot have the port. It leaves the terminal as it needs it, and what ends it
# comes here too.
terminal=$(stty -g 2>/dev/null) || terminal=
trap : INT QUIT
status=0
BOARD_PORT="$port ${BOARD_PORT:-}" "$board" -m board || status=$?
[ -z "$terminal" ] || stty "$terminal"
exit $status
