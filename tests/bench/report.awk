# report.awk - from what bench.sh measured to tables in Markdown, wide enough to be read as text.
#   awk -v dir=DIR -f report.awk about raw missing failures
# Also writes DIR/cost.points, origins.points and waiting.points for graph.awk, and DIR/readme.md.
# Lines of raw:  SCENARIO CLIENT ROUND REQUESTS CPU_US WALL_US PEAK_KIB CONNECTS FULL RESUMED USER_US
#                calls CLIENT SYSTEM_CALLS_PER_REQUEST
#                rest SCENARIO CLIENT CONNECTS RESIDENT_KIB CPU_US
#                curve CLIENT AT_ONCE ROUND REQUESTS CPU_US
#                crowd SCENARIO WORKERS ROUND REQUESTS CPU_US WALL_US PEAK_KIB
#                scale WHAT N ROUND CPU_NS_PER_REQUEST PEAK_KIB_AT_A_TENTH PEAK_KIB
#                allocations WAY PER_REQUEST

# Names a list of numbers "a b c": the middle one.
function median(list,    n, v, i, j, t) {
    n = split(list, v, " ")
    if (n == 0) return ""
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
            t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
        }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# Of each round the ratio, of the ratios the median: a disturbance hits both sides of a round.
function ratio(scenario, client, other_scenario, other,    r, list) {
    list = ""
    for (r = 1; r <= rounds; r++)
        if ((scenario, client, r) in cost && (other_scenario, other, r) in cost)
            list = list " " cost[scenario, client, r] / cost[other_scenario, other, r]
    return median(list)
}

function number(x, digits) {
    return x == "" ? "-" : sprintf("%." digits "f", x)
}

# Columns as wide as their widest cell; the first to the left, the rest to the right.
function row(line,    n, c, i) {
    n = split(line, c, "|")
    num_rows++
    num_columns = n
    for (i = 1; i <= n; i++) {
        cell[num_rows, i] = c[i]
        if (length(c[i]) > width[i]) width[i] = length(c[i])
    }
}

function flush_table(    r, i, line, pad) {
    for (r = 1; r <= num_rows; r++) {
        line = "|"
        for (i = 1; i <= num_columns; i++) {
            pad = sprintf("%" (width[i] - length(cell[r, i])) "s", "")
            if (width[i] == length(cell[r, i])) pad = ""
            line = line " " (i == 1 ? cell[r, i] pad : pad cell[r, i]) " |"
        }
        print line
        if (r == 1) {
            line = "|"
            for (i = 1; i <= num_columns; i++) {
                pad = sprintf("%" (width[i] + 1) "s", "")
                gsub(/ /, "-", pad)
                line = line (i == 1 ? pad "-" : pad ":") "|"
            }
            print line
        }
    }
    for (i = 1; i <= num_columns; i++) width[i] = 0
    num_rows = 0
    print ""
}

function table(scenario, heading,    i, c, tls, head) {
    if (!(scenario in seen)) return
    print "## " heading
    print ""
    tls = scenario ~ /^(tls|ecdsa|rsa)/
    head = "client|CPU µs|of it user|× wrk|× libcurl|× floor|requests/s|peak MB"
    if (scenario == "plain100") head = head "|system calls"
    if (tls) head = head "|requests|connections|full|resumed"
    row(head)
    for (i = 1; i <= num_clients; i++) {
        c = client_name[i]
        if ((scenario, c) in cpu) row(line_of(scenario, c, tls))
    }
    flush_table()
}

function line_of(scenario, c, tls,    line) {
    line = title[c] "|" number(median(cpu[scenario, c]), 2) \
        "|" number(median(user[scenario, c]), 2) \
        "|" number(ratio(scenario, c, scenario, "wrk"), 2) \
        "|" number(ratio(scenario, c, scenario, "libcurl"), 2) \
        "|" number(ratio(scenario, c, scenario, "floor"), 2) \
        "|" number(median(speed[scenario, c]), 0) \
        "|" number(peak(scenario, c), 1)
    if (scenario == "plain100") line = line "|" number(calls[c], 2)
    if (tls) line = line "|" asked[scenario, c] "|" connects[scenario, c] "|" full[scenario, c] "|" resumed[scenario, c]
    return line
}

function peak(scenario, c) {
    return (scenario, c) in memory ? median(memory[scenario, c]) * 1024 / 1e6 : ""
}

# One bar: what is asked for, what was measured, and what the floor would have got.
function bar(what, limit, measured, digits, floor,    verdict) {
    verdict = measured == "" ? "not measured" : measured + 0 <= limit + 0 ? "pass" : "FAIL"
    row(what "|" number(limit, digits) "|" number(measured, digits) "|" verdict "|" \
        number(floor, digits))
}

# The same, of CPU time in one scenario.
function cpu_bar(what, limit, scenario, client, other) {
    bar(what, limit, ratio(scenario, client, scenario, other), 2, \
        other == "floor" ? "" : ratio(scenario, "floor", scenario, other))
}

function bars() {
    print "## Bars"
    print ""
    row("CPU time of sparp per request, unless it says otherwise|at most|measured||floor")
    cpu_bar("library, plain, 100 at once, × wrk", 1.00, "plain100", "library", "wrk")
    cpu_bar("the same, × floor", 1.20, "plain100", "library", "floor")
    cpu_bar("plain, 1,000 at once, × wrk", 0.95, "plain1000", "library", "wrk")
    cpu_bar("the same, bare server", 0.95, "bare1000", "library", "wrk")
    bar("plain, 10,000 at once, × its own at 100", 1.6, \
        ratio("plain10000", "library", "plain100", "library"), 2, \
        ratio("plain10000", "floor", "plain100", "floor"))
    cpu_bar("plain, 100 KB, × libcurl", 0.55, "plainbig", "library", "libcurl")
    cpu_bar("TLS, 100 at once, × wrk", 0.90, "tls100", "library", "wrk")
    cpu_bar("the same, × libcurl", 0.30, "tls100", "library", "libcurl")
    cpu_bar("TLS, 1,000 at once, × wrk", 0.75, "tls1000", "library", "wrk")
    cpu_bar("TLS, 100 KB, × libcurl", 0.85, "tlsbig", "library", "libcurl")
    cpu_bar("command, × wrk", 1.6, "plain100", "command", "wrk")
    cpu_bar("the same, × curl --parallel", 0.30, "plain100", "command", "curl")
    bar("system calls per request", 2.10, calls["library"], 2)
    bar("peak memory, plain, 100 at once, MB", 3, peak("plain100", "library"), 1)
    bar("peak memory, plain, 1,000 at once, MB", 9, peak("plain1000", "library"), 1)
    bar("peak memory, TLS, 1,000 at once, MB", 24, peak("tls1000", "library"), 1)
    bar("memory after " thousands(long_n) " requests, × at a tenth of them", 1.10, \
        long_tenth > 0 ? long_end / long_tenth : "", 2)
    bar("allocations per request, warm", 0, allocated, 4)
    bar("full handshake, ECDSA P-256, × libcurl with OpenSSL", 2, \
        ratio("ecdsa", "library", "ecdsa", "libcurl"), 2)
    flush_table()
}

function rest_table(    i, j, kinds, scenario, c, kib) {
    if (!any_rest) return
    print "## At rest"
    print ""
    print "Every request answered, every connection open, nothing to do: resident memory, and the CPU"
    print "time of one second."
    print ""
    row("client|connections|MB|KB a connection|CPU µs")
    split("plain1000 tls1000", kinds, " ")
    for (i = 1; i <= 2; i++)
        for (j = 1; j <= num_clients; j++) {
            scenario = kinds[i]
            c = client_name[j]
            if (!((scenario, c) in rest_kib)) continue
            kib = rest_kib[scenario, c]
            row(title[c] (i == 2 ? ", TLS" : "") "|" rest_connects[scenario, c] \
                "|" number(kib * 1024 / 1e6, 1) \
                "|" number(kib * 1.024 / rest_connects[scenario, c], 1) "|" rest_us[scenario, c])
        }
    flush_table()
}

# 10000 as 10,000
function thousands(n) {
    n += 0
    return n < 1000 ? n "" : thousands(int(n / 1000)) sprintf(",%03d", n % 1000)
}

# One cell, in microseconds; also a point of a graph.
function plot(graph, series, x, us) {
    if (us != "") print series, x, us >(dir "/" graph ".points")
    return number(us, 2)
}

function curve_table(    i, n, x, v, sparp, other) {
    if (!any_curve) return
    print "## CPU time by how many are in flight"
    print ""
    print "µs per request, plain, 120 bytes, nginx; every connection is open before it is counted"
    print "(build/bench/cost.svg)."
    print ""
    row("in flight|sparp|libcurl multi_socket + epoll|×")
    n = split("1 3 10 30 100 300 1000 3000 10000", x, " ")
    for (i = 1; i <= n; i++) {
        sparp = median(curve["sparp_client", x[i]])
        other = median(curve["curl_client", x[i]])
        if (sparp == "" && other == "") continue
        row(thousands(x[i]) "|" plot("cost", "sparp", x[i], sparp) \
            "|" plot("cost", "libcurl", x[i], other) \
            "|" number(sparp == "" || other == "" ? "" : other / sparp, 1))
    }
    flush_table()
}

function crowd_table(    i, j, kinds, threads, names, us, wall, key) {
    if (!any_crowd) return
    print "## Workers"
    print ""
    print "Threads for network and TLS, 50 at once; one is the loop alone. Not pinned: on a machine of"
    print "two cores they share one with the server. CPU time is that of all threads."
    print ""
    row("workers|requests/s|× one|CPU µs|peak MB")
    split("ecdsa tlsbig", kinds, " ")
    split("1 2 4", threads, " ")
    names["ecdsa"] = "a full handshake a request, ECDSA P-256"
    names["tlsbig"] = "100 KB over TLS"
    for (i = 1; i <= 2; i++)
        for (j = 1; j <= 3; j++) {
            key = kinds[i] SUBSEP threads[j]
            if (!(key in crowd_speed)) continue
            row(names[kinds[i]] ", " threads[j] "|" number(median(crowd_speed[key]), 0) \
                "|" number(median(crowd_speed[key]) / median(crowd_speed[kinds[i], 1]), 2) \
                "|" number(median(crowd_cpu[key]), 1) \
                "|" number(median(crowd_peak[key]) * 1024 / 1e6, 1))
        }
    flush_table()
}

function us_of(what, n) {
    return (what, n) in scale ? median(scale[what, n]) / 1000 : ""
}

function scale_tables(    i, n, x) {
    if (!any_scale) return
    print "## What grows, and what does not"
    print ""
    print "The library's own work, over a network in memory: µs of CPU per request, 100 at once. Many"
    print "origins take turns (build/bench/origins.svg):"
    print ""
    row("origins|connections kept if they can be|a new connection each")
    n = split("1 10 100 1000 10000 100000", x, " ")
    for (i = 1; i <= n; i++)
        row(thousands(x[i]) "|" plot("origins", "connections_kept", x[i], us_of("kept", x[i])) \
            "|" plot("origins", "a_new_one_each", x[i], us_of("new", x[i])))
    flush_table()
    print "Others wait (build/bench/waiting.svg): they pause before a retry while requests pass; they"
    print "wait at the closed gate of their origin while those of another pass; or every request is a"
    print "retry, and they take turns at it."
    print ""
    row("waiting|pass those that pause|pass those at a gate|each a retry")
    n = split("10 100 1000 9999", x, " ")
    for (i = 1; i <= n; i++)
        row(thousands(x[i]) "|" plot("waiting", "pausing", x[i], us_of("asleep", x[i])) \
            "|" plot("waiting", "at_a_gate", x[i], us_of("parked", x[i])) \
            "|" plot("waiting", "each_a_retry", x[i], us_of("retries", x[i])))
    flush_table()
    print "A generator and a callback, " thousands(long_n) " requests to 1,000 origins in turn:"
    print ""
    row("requests|MB|CPU µs")
    row(thousands(long_n / 10) "|" number(long_tenth * 1024 / 1e6, 2) "|-")
    row(thousands(long_n) "|" number(long_end * 1024 / 1e6, 2) "|" number(us_of("long", long_n), 2))
    flush_table()
}

# What README.md quotes.
function quote(    i, j, c, s, file, line) {
    file = dir "/readme.md"
    print "" >file
    print "| CPU µs per request | plain, 100 at once | 1,000 at once | TLS, 100 at once | peak MB, plain, 100 |" >file
    print "|---|--:|--:|--:|--:|" >file
    split("plain100 plain1000 tls100", s, " ")
    for (i = 1; i <= num_clients; i++) {
        c = client_name[i]
        if (!(("plain100", c) in cpu)) continue
        line = "| " title[c]
        for (j = 1; j <= 3; j++)
            line = line " | " number(median(cpu[s[j], c]), 1)
        print line " | " number(peak("plain100", c), 1) " |" >file
    }
    print "" >file
    print about["date"] ". " about["machine"] ". " about["versions"] ". Loopback, nginx on one core," >file
    print "the client on another, 120 bytes of JSON, connections kept; user and system time, medians of" >file
    print rounds (rounds == 1 ? " round." : " rounds.") >file
    print "" >file
}

function list_of(heading, items) {
    if (items == "") return
    print heading
    print ""
    print items
}

BEGIN {
    num_clients = split("library all command urls floor wrk h2load libcurl curl aiohttp", \
                        client_name, " ")
    title["library"] = "sparp, library, callbacks"
    title["all"] = "sparp, library, sparp_run_all"
    title["command"] = "sparp, command, JSONL to JSONL"
    title["urls"] = "sparp, command, urls to JSONL"
    title["floor"] = "floor: bare epoll"
    title["wrk"] = "wrk -t1"
    title["h2load"] = "h2load --h1"
    title["libcurl"] = "libcurl multi_socket + epoll"
    title["curl"] = "curl --parallel"
    title["aiohttp"] = "aiohttp"
}

FILENAME ~ /about$/ {
    key = $1
    sub(/^[^ ]* /, "")
    about[key] = $0
    next
}
FILENAME ~ /missing$/ { skipped = skipped "- " $0 "\n"; next }
FILENAME ~ /failures$/ { failed = failed "- " $0 "\n"; next }
$1 == "calls" { calls[$2] = $3; next }
$1 == "rest" {
    any_rest = 1
    rest_connects[$2, $3] = $4
    rest_kib[$2, $3] = $5
    rest_us[$2, $3] = $6
    next
}
$1 == "curve" {
    any_curve = 1
    curve[$2, $3] = curve[$2, $3] " " $6 / $5
    next
}
$1 == "crowd" {
    any_crowd = 1
    crowd_speed[$2, $3] = crowd_speed[$2, $3] " " $5 / $7 * 1e6
    crowd_cpu[$2, $3] = crowd_cpu[$2, $3] " " $6 / $5
    crowd_peak[$2, $3] = crowd_peak[$2, $3] " " $8
    next
}
$1 == "scale" {
    any_scale = 1
    scale[$2, $3] = scale[$2, $3] " " $5
    if ($2 == "long") {
        long_n = $3
        long_tenth = $6
        long_end = $7
    }
    next
}
$1 == "allocations" {
    if (allocated == "" || $3 > allocated) allocated = $3
    next
}
{
    seen[$1] = 1
    if ($3 > rounds) rounds = $3
    cost[$1, $2, $3] = $5 / $4
    cpu[$1, $2] = cpu[$1, $2] " " $5 / $4
    user[$1, $2] = user[$1, $2] " " $11 / $4
    speed[$1, $2] = speed[$1, $2] " " $4 / $6 * 1e6
    memory[$1, $2] = memory[$1, $2] " " $7
    asked[$1, $2] = $4
    connects[$1, $2] = $8
    full[$1, $2] = $9
    resumed[$1, $2] = $10
}

END {
    print "# Benchmark"
    print ""
    print about["date"] ". " about["machine"] ", load " about["load"] " when it began."
    print about["versions"] "."
    print ""
    print "Loopback. The server has one core, the client another. CPU time of the client's process, user"
    print "and system, per request, starting and connecting included; medians (" about["form"] ", " \
        about["took"] ")."
    print "A ratio is the median of the rounds' ratios. MB is 10^6 bytes."
    print ""
    table("plain100", "Plain, 120 bytes, 100 at once, nginx")
    table("plain1000", "Plain, 120 bytes, 1,000 at once, nginx")
    table("plain10000", "Plain, 120 bytes, 10,000 at once, nginx")
    table("bare100", "Plain, 120 bytes, 100 at once, bare server")
    table("bare1000", "Plain, 120 bytes, 1,000 at once, bare server")
    table("plainbig", "Plain, 100 KB, 100 at once, nginx")
    table("tls100", "TLS, 120 bytes, 100 at once, nginx")
    table("tls1000", "TLS, 120 bytes, 1,000 at once, nginx")
    table("tlsbig", "TLS, 100 KB, 100 at once, nginx")
    table("ecdsa", "One full handshake a request, ECDSA P-256")
    table("rsa", "One full handshake a request, RSA-2048")
    rest_table()
    curve_table()
    crowd_table()
    scale_tables()
    bars()
    quote()
    list_of("Skipped:", skipped)
    list_of("Failed:", failed)
}
