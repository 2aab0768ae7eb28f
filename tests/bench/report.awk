# report.awk - from what bench.sh measured to tables in Markdown, wide enough to be read as text.
#   awk -f report.awk about raw missing failures
# Lines of raw:  SCENARIO CLIENT ROUND REQUESTS CPU_US WALL_US PEAK_KIB CONNECTS FULL RESUMED USER_US
#                calls CLIENT SYSTEM_CALLS_PER_REQUEST
#                rest SCENARIO CLIENT CONNECTS RESIDENT_KIB CPU_US

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

# One bar: what is asked for, what was measured.
function bar(what, limit, measured, digits,    verdict) {
    verdict = measured == "" ? "not measured" : measured + 0 <= limit + 0 ? "pass" : "FAIL"
    row(what "|" number(limit, digits) "|" number(measured, digits) "|" verdict)
}

function bars() {
    print "## Bars"
    print ""
    row("CPU time of sparp per request, unless it says otherwise|at most|measured|")
    bar("library, plain, 100 at once, × wrk", 1.00, ratio("plain100", "library", "plain100", "wrk"), 2)
    bar("the same, × floor", 1.20, ratio("plain100", "library", "plain100", "floor"), 2)
    bar("plain, 1,000 at once, × wrk", 0.95, ratio("plain1000", "library", "plain1000", "wrk"), 2)
    bar("plain, 10,000 at once, × its own at 100", 1.6, \
        ratio("plain10000", "library", "plain100", "library"), 2)
    bar("plain, 100 KB, × libcurl", 0.55, ratio("plainbig", "library", "plainbig", "libcurl"), 2)
    bar("TLS, 100 at once, × wrk", 0.90, ratio("tls100", "library", "tls100", "wrk"), 2)
    bar("the same, × libcurl", 0.30, ratio("tls100", "library", "tls100", "libcurl"), 2)
    bar("TLS, 1,000 at once, × wrk", 0.75, ratio("tls1000", "library", "tls1000", "wrk"), 2)
    bar("TLS, 100 KB, × libcurl", 0.85, ratio("tlsbig", "library", "tlsbig", "libcurl"), 2)
    bar("command, × wrk", 1.6, ratio("plain100", "command", "plain100", "wrk"), 2)
    bar("the same, × curl --parallel", 0.30, ratio("plain100", "command", "plain100", "curl"), 2)
    bar("system calls per request", 2.10, calls["library"], 2)
    bar("peak memory, plain, 100 at once, MB", 3, peak("plain100", "library"), 1)
    bar("peak memory, plain, 1,000 at once, MB", 9, peak("plain1000", "library"), 1)
    bar("peak memory, TLS, 1,000 at once, MB", 24, peak("tls1000", "library"), 1)
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
    bars()
    list_of("Skipped:", skipped)
    list_of("Failed:", failed)
}
