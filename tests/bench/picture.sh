#!/bin/sh
# README's picture of a run, made of one:   make picture
# It is that of `make demo`, in a terminal of 100 columns: the bar after 60 %, and the summary.
set -eu
cd "$(dirname "$0")/../.."
dir=build/picture
mkdir -p $dir
command -v tmux >/dev/null || { echo 'picture.sh: needs tmux' >&2; exit 1; }

# Its own server of tmux, which ends with its one window.
screen() {
    tmux -S $dir/tmux "$@"
}
trap 'screen kill-server 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP

# until_shown PATTERN: tries for 30 s.
until_shown() {
    tries=0
    until screen capture-pane -p -e >$dir/now && grep -q "$1" $dir/now; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "picture.sh: never saw '$1'" >&2; exit 1; }
        sleep 0.05
    done
}

screen -f /dev/null new-session -d -x 100 -y 50 "PS1='' sh"
screen send-keys "clear; sh tests/demo.sh" Enter
until_shown '^ *6[0-9]%'
grep '^ *6[0-9]%' $dir/now >$dir/bar
until_shown '^output '
{
    grep -m 1 'sparp -c' $dir/now | sed 's/^\.\//$ /'
    cat $dir/bar
    echo
    sed -n '/^requests /,/^output /p' $dir/now
} >$dir/lines
LC_ALL=C awk -v title='A run in a terminal: progress bar and summary' -v columns=100 \
    -f tests/bench/screen.awk $dir/lines >$dir/run.svg
mv $dir/run.svg tests/bench/run.svg
echo tests/bench/run.svg
