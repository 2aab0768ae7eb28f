#!/bin/sh
# Four programs, one rate: examples/redis_rate.c against a real redis-server.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v redis-server >/dev/null || { echo 'skipped: no redis-server'; exit 77; }
. tests/e2e/lib.sh

# A port that is taken ends redis-server at once: then the next one is tried.
start_redis() {
    for redis in 16379 16479 26379 26479 36379 36479; do
        redis-server --port $redis --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" \
            >"$dir/redis.log" 2>&1 &
        server=$!
        tries=0
        while [ $tries -lt 100 ] && kill -0 $server 2>/dev/null; do
            if grep -q 'eady to accept connections' "$dir/redis.log"; then
                servers="$servers $server"
                return
            fi
            tries=$((tries + 1))
            sleep 0.05
        done
        kill $server 2>/dev/null
    done
    echo 'redis-server did not start:'
    cat "$dir/redis.log"
    exit 1
}

between() {
    echo "$2: $1 .. $3"
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

stat() {
    jq "$1" "$dir/stats"
}

# fleet PROGRAM RATE COST: four of them, 100 requests each, which take 2 s.
fleet() {
    curl -s "$base/stats/reset" >/dev/null
    programs=''
    for i in 1 2 3 4; do
        timeout -k 2 30 "$1" 127.0.0.1:$redis "$base" 100 "$2" "$3" \
            >"$dir/$i.out" 2>"$dir/$i.err" &
        programs="$programs $!"
    done
    ended_well=yes
    for program in $programs; do
        wait "$program" || ended_well=no
    done
    curl -s "$base/stats" >"$dir/stats"
    check 'four programs ended well' [ $ended_well = yes ]
    for i in 1 2 3 4; do
        check "program $i has its results" [ "$(cat "$dir/$i.out")" = '100 of 100 succeeded' ]
        check "program $i has nothing to complain of" [ ! -s "$dir/$i.err" ]
    done
    check '400 requests' between 400 "$(stat .requests)" 400
    # The last handful, of 40 or more, counts from 39 / 40 of 2 s on.
    check 'together they take 2 s (ms)' \
        between 1900 "$(stat '(.last_us - .first_us) / 1000 | round')" 3000
    # Handfuls of 10 count from 10 / RATE apart at least: in any second as many begin as 200
    # requests cost. To these come what had begun before and was not used yet: as nobody asks for
    # another handful while one request can be paid, at most 10 in each of the four programs.
    check 'never more than 200 in a second, and what four may hold' \
        between 150 "$(stat .max_in_window)" 240
}

# shellcheck disable=SC2046,SC2086
check 'the example compiles' \
    ${SANITIZER:-${CC:-cc}} -std=gnu99 -O0 -Wall -Wextra -Werror -o "$dir/redis_rate" \
    examples/redis_rate.c $(sh tools/tls.sh) -lpthread
# shellcheck disable=SC2046,SC2086
check 'and with poll(2) alone' \
    ${CC:-cc} -std=gnu99 -O0 -Wall -Wextra -Werror -DSPARP_FORCE_POLL -o "$dir/redis_rate_poll" \
    examples/redis_rate.c $(sh tools/tls.sh) -lpthread
start_plain
base=http://127.0.0.1:$port
start_redis
fleet "$dir/redis_rate" 200 1
if command -v redis-cli >/dev/null; then
    redis-cli -p "$redis" info commandstats >"$dir/commands"
    check 'one question for ten requests' grep -q '^cmdstat_eval:calls=40,' "$dir/commands"
else
    skip 'no redis-cli to count the questions'
fi
fleet "$dir/redis_rate_poll" 200 1
# Each request costs 4 of 800 a second: the same pace.
fleet "$dir/redis_rate" 800 4
if command -v redis-cli >/dev/null; then
    redis-cli -p "$redis" info commandstats >"$dir/commands"
    check 'and four for ten' grep -q '^cmdstat_eval:calls=240,' "$dir/commands"
fi

# Without Redis: an end, not a wait.
timeout -k 2 30 "$dir/redis_rate" 127.0.0.1:$redis "$base" 100000 200 1 >"$dir/lost.out" \
    2>"$dir/lost.err" &
program=$!
curl -s "$base/stats/reset" >/dev/null
under_way() {
    [ "$(curl -s "$base/stats" | jq .requests)" -gt 0 ]
}
until_true under_way
kill "$server"
status=0
wait $program || status=$?
check 'without Redis the program ends' [ $status -eq 1 ]
check 'and says so' grep -q 'Redis: the connection is lost' "$dir/lost.err"
finish
