# What a request costs as things grow: . tests/bench/growth.sh, from bench.sh.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154
# curve: with more at once. crowd: with more workers. scales: with more origins, with more that
# wait, after more requests; in memory. allocations. graphs: the pictures of it.

# grown measure CORE SECONDS FILE COMMAND...: what it prints goes to said.
grown() {
    status=0
    "$@" >"$dir/said" 2>"$dir/complaint" || status=$?
    [ $status -eq 0 ] && return
    shift 4
    echo "$*: exit status $status, $(tail -n 1 "$dir/complaint")" >>"$dir/failures"
    say "FAILED $*: exit status $status"
    head -n 5 "$dir/complaint" >&2
    return 1
}

late() {
    [ $(($(date +%s) - begin)) -gt $growth_budget ] && missing "$1: there was no more time"
}

# point ROUND CLIENT AT_ONCE: CPU time of one request, once every connection is open.
point() {
    warm=$(($3 < 100 ? 100 : $3))
    asked=$(($3 * 2 < curve_size ? curve_size : $3 * 2))
    grown "$measure" $client_core 120 "$dir/cost" "$dir/$2" --warm $warm --expect 120 \
        "http://127.0.0.1:$port/items/" $((warm + asked)) "$3" || return
    sed "s/.*warm_us=/curve $2 $3 $1 $asked /" "$dir/said" >>"$raw"
}

# When libcurl has become too slow, it is not asked for more at once.
curve() {
    most=10000
    for round in $(seq $curve_rounds); do
        for at_once in 1 3 10 30 100 300 1000 3000 10000; do
            [ "$descriptors" = unlimited ] || [ "$descriptors" -ge $((at_once + 100)) ] || continue
            late "$at_once in flight, round $round" && return
            point "$round" sparp_client $at_once
            { has libcurl && [ $at_once -le $most ]; } || continue
            point "$round" curl_client $at_once || continue
            read -r cpu wall peak status user <"$dir/cost"
            if [ "$cpu" -gt $curve_limit ] && [ $at_once -lt $most ]; then
                most=$at_once
                missing "libcurl with more than $most at once: these took $((cpu / 1000000)) s"
            fi
        done
    done
}

# Not pinned: they may have the server's core, too, for what it leaves of it.
crowd() {
    [ $tls = yes ] || return
    for round in $(seq $curve_rounds); do
        for kind in ecdsa tlsbig; do
            late "workers, $kind, round $round" && return
            scenario $kind library
            at_once=50
            [ $kind = ecdsa ] && requests=$((size / 80))
            for threads in 1 2 4; do
                grown "$measure" -1 120 "$dir/cost" "$dir/sparp_client" --workers $threads \
                    --ca "$ca" --expect $expect "$url" $requests $at_once || continue
                read -r cpu wall peak status user <"$dir/cost"
                echo "crowd $kind $threads $round $requests $cpu $wall $peak" >>"$raw"
            done
        done
    done
}

scales() {
    for round in 1 2 3; do
        [ "$round" -gt 1 ] && late "origins and waiting, round $round" && break
        for n in 1 10 100 1000 10000 100000; do
            for what in kept new; do
                grown "$measure" $client_core 120 "$dir/cost" "$dir/scale" $what $n $scale_size &&
                    sed "s/^/scale $what $n $round /" "$dir/said" >>"$raw"
            done
        done
        # With 10,000 nothing new is pulled, and nothing could pass them.
        for n in 10 100 1000 9999; do
            for what in asleep parked retries; do
                grown "$measure" $client_core 120 "$dir/cost" "$dir/scale" $what $n $scale_size &&
                    sed "s/^/scale $what $n $round /" "$dir/said" >>"$raw"
            done
        done
    done
    grown "$measure" $client_core 300 "$dir/cost" "$dir/scale" long 1000 $long_size &&
        sed "s/^/scale long $long_size 1 /" "$dir/said" >>"$raw"
}

allocations() {
    sh tests/bench/allocations.sh measure 2>"$dir/complaint" | sed 's/^/allocations /' >>"$raw"
}

# graph NAME LOG_Y TITLE X_TITLE Y_TITLE: from NAME.points, if there are any.
graph() {
    [ -s "$dir/$1.points" ] || return
    awk -v log_y="$2" -v title="$3" -v x_title="$4" -v y_title="$5" -f tests/bench/graph.awk \
        "$dir/$1.points" >"$dir/$1.svg"
    [ "$FULL" != 1 ] || cp "$dir/$1.svg" "tests/bench/$1.svg"
}

graphs() {
    graph cost 1 'CPU time of a request, by how many are in flight' \
        'in flight (max_at_once)' 'µs per request'
    graph origins 0 "sparp's own work for a request, by how many origins take turns" \
        'origins' 'µs per request'
    graph waiting 0 "sparp's own work for a decision, by how many requests wait" \
        'waiting' 'µs per request'
}
