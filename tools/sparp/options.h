/* sparp/options.h - the one table of flags, and what it makes: --help, the nearest name.
   Uses text. */

/* X(GROUP, title): the order is that of --help. */
#define GROUPS(X) \
    X(INPUT,  "Input") \
    X(PACE,   "Pace") \
    X(JUDGE,  "Judging and retrying") \
    X(STOP,   "Stopping") \
    X(OUTPUT, "Output") \
    X(NET,    "Network") \
    X(TLS,    "TLS") \
    X(SCREEN, "Screen")

/* X(ID, short, "long", "ARGUMENT", GROUP, KIND, config field, lowest, highest, "help")
   KIND says how the argument is read: SWITCH has none; a CHOICE is one of the words of ARGUMENT;
   OTHER is read by a function of its own. The limits are those of COUNT and SIZE; for NUMBER, TIME
   and RATE a lowest of 1 means "more than 0". */
#define OPTIONS(X) \
    X(METHOD, 'X', "method", "METHOD", INPUT, TEXT, method, 0, 0, \
      "method of lines that give none [GET; POST with a body]") \
    X(HEADER, 'H', "header", "'K: V'|@FILE", INPUT, OTHER, given, 0, 0, \
      "added to every request unless its line sets it; 'K:' removes; repeatable") \
    X(USER, 'u', "user", "USER[:PW]|@FILE", INPUT, OTHER, given, 0, 0, \
      "Basic credentials; a password that is missing is asked for on the terminal") \
    X(BEARER, 0, "bearer", "@FILE|'$NAME'", INPUT, OTHER, given, 0, 0, \
      "a token out of a file, or of that variable: it is in no list of processes") \
    X(COOKIE, 'b', "cookie", "N=V|@FILE", INPUT, OTHER, given, 0, 0, \
      "a Cookie line, 'a=1; b=2'; repeatable") \
    X(FORM, 'F', "form", "N=V|N=@FILE", INPUT, OTHER, given, 0, 0, \
      "a part of a multipart form, the body of lines without one; a file is sent as it is read; " \
      "may end in ;type=T and ;filename=F; repeatable") \
    X(DATA, 'd', "data", "TEXT|@FILE", INPUT, OTHER, given, 0, 0, \
      "body of lines without one; no Content-Type is set, -H can") \
    X(JSON, 0, "json", "JSON|@FILE", INPUT, OTHER, given, 0, 0, \
      "JSON body of lines without one; sets Content-Type and Accept") \
    X(URL_QUERY, 0, "url-query", "K=V", INPUT, OTHER, given, 0, 0, \
      "appended to every URL, percent-encoded; repeatable") \
    X(BASE_URL, 0, "base-url", "URL", INPUT, TEXT, base_url, 0, 0, \
      "what relative URLs are relative to") \
    X(TEMPLATE, 'T', "template", "URL", INPUT, TEXT, template_url, 0, 0, \
      "URL for each plain line: {} is the line, {1} {2} its TAB-separated columns " \
      "(percent-encoded), {raw} the line as it is, {{ a brace; in -d, --json, -H and " \
      "--body-name, too") \
    X(CSV, 0, "csv", NULL, INPUT, SWITCH, csv, 0, 0, \
      "lines are rows of CSV for -T; the first one names the columns: {name}") \
    X(TSV, 0, "tsv", NULL, INPUT, SWITCH, tsv, 0, 0, \
      "likewise, with TAB between the columns and no quotes") \
    X(FORMAT, 0, "format", "auto|url|jsonl", INPUT, CHOICE, format, 0, 0, \
      "of the input lines [auto: decided for each line]") \
    X(ON_BAD_LINE, 0, "on-bad-line", "record|skip|fail", INPUT, CHOICE, on_bad_line, 0, 0, \
      "[record: outcome \"invalid\", exit 1]") \
    X(SKIP, 0, "skip", "N", INPUT, COUNT, skip, 0, INT64_MAX, \
      "leave out the first N lines") \
    X(LIMIT, 0, "limit", "N", INPUT, COUNT, limit, 0, INT64_MAX, \
      "use N lines at most") \
    X(SHARD, 0, "shard", "I/N|auto|auto/N", INPUT, OTHER, given, 0, 0, \
      "of N processes with the same input the one that takes every Nth line, I from 0; auto: as " \
      "Slurm says; auto/N: also AWS Batch, Kubernetes, Nomad") \
    X(TOTAL, 0, "total", "N", INPUT, COUNT, total, 1, INT64_MAX, \
      "expected number of lines, for percent and time left") \
    X(MAX_AT_ONCE, 'c', "max-at-once", "N|auto", PACE, OTHER, given, 0, 0, \
      "requests in flight, whole process; auto: found out, up to 1000 [100]") \
    X(PER_HOST, 0, "per-host", "N", PACE, COUNT, per_host, 1, 100000, \
      "requests in flight to one host [no limit]") \
    X(PER_HOST_RATE, 0, "per-host-rate", "RATE", PACE, RATE, per_host_rate, 1, 0, \
      "requests started to one host [no limit]") \
    X(LIMIT_HOST, 0, "limit-host", "HOST=N[,R[,COST]]", PACE, OTHER, given, 0, 0, \
      "limits of one host, or of *.example.com: in flight, rate, cost; what is empty is as for " \
      "all hosts, none: no limit; the first that matches counts; repeatable") \
    X(MAX_PER_SECOND, 'r', "max-per-second", "RATE", PACE, RATE, max_per_second, 1, 0, \
      "requests started, whole process: 50, 300/m, 5/15s [no limit]") \
    X(BURST, 0, "burst", "N", PACE, COUNT, burst, 1, 1000000000, \
      "starts that may come at once [1]") \
    X(FLEET_RATE, 0, "fleet-rate", "RATE", PACE, RATE, fleet_rate, 1, 0, \
      "of all N processes of --shard together: RATE / N for each; no other limit is divided") \
    X(MAX_COST, 0, "max-cost", "RATE", PACE, RATE, max_cost, 1, 0, \
      "cost of the requests started, whole process: 90000/m [no limit]") \
    X(COST_BURST, 0, "cost-burst", "N", PACE, NUMBER, cost_burst, 1, 0, \
      "cost that may come at once [that of one request]") \
    X(COST, 0, "cost", "N|'{COLUMN}'", PACE, TEXT, cost, 0, 0, \
      "of a request whose line has no \"cost\"; 0: free; with -T out of a column [1]") \
    X(COST_FROM, 0, "cost-from", "KEY.KEY", PACE, OTHER, given, 0, 0, \
      "where the JSON of an answer, or of its last event, says what it really cost: " \
      "usage.total_tokens; that is booked instead") \
    X(WORKERS, 'w', "workers", "N|auto", PACE, OTHER, given, 0, 0, \
      "threads for network and TLS; auto: as many as processors [1]") \
    X(TIMEOUT, 't', "timeout", "TIME", PACE, TIME, timeout, 1, 0, \
      "one attempt: 30, 2.5, 500ms, 1m [30s]") \
    X(CONNECT_TIMEOUT, 0, "connect-timeout", "TIME", PACE, TIME, connect_timeout, 1, 0, \
      "name lookup and connection [10s]") \
    X(DNS_TIMEOUT, 0, "dns-timeout", "TIME", PACE, TIME, dns_timeout, 1, 0, \
      "name lookup alone; --timeout and --connect-timeout still apply [none]") \
    X(TLS_TIMEOUT, 0, "tls-timeout", "TIME", PACE, TIME, tls_timeout, 1, 0, \
      "TLS handshake [none]") \
    X(SEND_TIMEOUT, 0, "send-timeout", "TIME", PACE, TIME, send_timeout, 1, 0, \
      "sending the request, from its first byte to its last [none]") \
    X(FIRST_BYTE_TIMEOUT, 0, "first-byte-timeout", "TIME", PACE, TIME, first_byte_timeout, 1, 0, \
      "from the request's last byte to the answer's first [none]") \
    X(IDLE_TIMEOUT, 0, "idle-timeout", "TIME", PACE, TIME, idle_timeout, 1, 0, \
      "no byte either way [that of --timeout]") \
    X(MIN_SPEED, 0, "min-speed", "SIZE", PACE, SIZE, min_speed, 1, INT64_MAX, \
      "bytes per second: a body that is slower is a timeout [none]") \
    X(MIN_SPEED_TIME, 0, "min-speed-time", "TIME", PACE, TIME, min_speed_time, 1, 0, \
      "... when it has been so for that long [30s]") \
    X(DEADLINE, 0, "deadline", "TIME", PACE, TIME, deadline, 1, 0, \
      "the whole run; exit 4 [none]") \
    X(OK, 0, "ok", "LIST", JUDGE, OTHER, given, 0, 0, \
      "statuses that are success: 200-299,4xx,301,all,none [2xx,304]") \
    X(RETRY_ON, 0, "retry-on", "LIST", JUDGE, OTHER, given, 0, 0, \
      "statuses worth another try [408,425,429,500,502-504]") \
    X(RETRIES, 'R', "retries", "N", JUDGE, COUNT, retries, 0, INT_MAX, \
      "retries for each kind of failure; same as the next three options together") \
    X(SOFT_RETRIES, 0, "soft-retries", "N", JUDGE, COUNT, soft_retries, 0, INT_MAX, \
      "after statuses of --retry-on [20]") \
    X(TIMEOUT_RETRIES, 0, "timeout-retries", "N", JUDGE, COUNT, timeout_retries, 0, INT_MAX, \
      "after timeouts [20]") \
    X(TRANSPORT_RETRIES, 0, "transport-retries", "N", JUDGE, COUNT, transport_retries, 0, \
      INT_MAX, "after failures of network or peer [5]") \
    X(BACKOFF, 0, "backoff", "TIME", JUDGE, TIME, backoff, 0, 0, \
      "first pause before a retry, doubling; 0: none [0.5s]") \
    X(BACKOFF_MAX, 0, "backoff-max", "TIME", JUDGE, TIME, backoff_max, 1, 0, \
      "longest such pause [30s]") \
    X(RETRY_AFTER_MAX, 0, "retry-after-max", "TIME", JUDGE, TIME, retry_after_max, 0, 0, \
      "longest Retry-After obeyed [120s]") \
    X(RETRY_RATIO, 0, "retry-ratio", "N|P%", JUDGE, OTHER, given, 0, 0, \
      "retries for each first try, all together: 0.1, 10%; one a second is free, what is more " \
      "waits [no limit]") \
    X(NO_GATE, 0, "no-gate", NULL, JUDGE, SWITCH, no_gate, 0, 0, \
      "a host that says 429 is not left alone: only the request that was told so waits") \
    X(RETRY_SAFE_ONLY, 0, "retry-safe-only", NULL, JUDGE, SWITCH, retry_safe_only, 0, 0, \
      "retry only what may be sent twice") \
    X(RETRY_UNSAFE, 0, "retry-unsafe", NULL, JUDGE, SWITCH, retry_unsafe, 0, 0, \
      "after transport failures, retry also what may not be sent twice") \
    X(STOP_ON, 0, "stop-on", "EVENT,..", STOP, OTHER, given, 0, 0, \
      "hard-fail soft-fail timeout transport soft-exhausted timeout-exhausted") \
    X(MAX_FAIL, 0, "max-fail", "N|P%[/AFTER]", STOP, OTHER, given, 0, 0, \
      "stop after that many failed requests; P% counts after 20 finished, P%/1000 after 1000") \
    X(FIRST, 0, "first", "N", STOP, COUNT, first, 1, INT_MAX, \
      "stop after N successes; exit 0 if they were reached") \
    X(STOP_MODE, 0, "stop-mode", "drain|abort", STOP, CHOICE, stop_mode, 0, 0, \
      "requests in flight finish, or are cut [abort; drain for --max-fail]") \
    X(DRAIN_INPUT, 0, "drain-input", NULL, STOP, SWITCH, drain_input, 0, 0, \
      "after a stop, read pipes to their end, so that the producer is not ended by SIGPIPE; the " \
      "lines go to --rejects, if it is given") \
    X(OUTPUT, 'o', "output", "FILE", OUTPUT, TEXT, output, 0, 0, \
      "where the records go [stdout]") \
    X(JOURNAL, 'j', "journal", "FILE", OUTPUT, TEXT, journal, 0, 0, \
      "note there what has its result; the same command again goes on from it") \
    X(RETRY_FAILED, 0, "retry-failed", NULL, OUTPUT, SWITCH, retry_failed, 0, 0, \
      "with a journal: what failed is sent again, too") \
    X(RESTART, 0, "restart", NULL, OUTPUT, SWITCH, restart, 0, 0, \
      "with a journal: forget it, begin anew") \
    X(RESUME, 0, "resume", "RESULTS.jsonl", OUTPUT, TEXT, resume, 0, 0, \
      "leave out what has a successful record there (by id, else by index and URL), and append " \
      "to -o; may be the file of -o, and not there yet") \
    X(ORDER, 0, "order", "completion|input", OUTPUT, CHOICE, order, 0, 0, \
      "of the records [completion]") \
    X(ONLY, 0, "only", "failed|success|LIST", OUTPUT, OTHER, given, 0, 0, \
      "write only those records; LIST: of these statuses [all]") \
    X(FIELDS, 0, "fields", "NAME,..", OUTPUT, OTHER, given, 0, 0, \
      "write only these fields: index,status,ms.total,error.kind,meta.x,... [all]") \
    X(OUTPUT_FORMAT, 0, "output-format", "jsonl|csv|tsv|openai-batch", OUTPUT, CHOICE, \
      output_format, 0, 0, "of the records [jsonl]") \
    X(BODY, 0, "body", "auto|json|base64|none", OUTPUT, CHOICE, body, 0, 0, \
      "how a response body is written [auto: as text if it is text, else base64]") \
    X(BODY_DIR, 0, "body-dir", "DIR", OUTPUT, TEXT, body_dir, 0, 0, \
      "bodies into files there, as they come, of any size; records name them instead") \
    X(BODY_NAME, 0, "body-name", "TEMPLATE", OUTPUT, TEXT, body_name, 0, 0, \
      "their names: {index}, {id}, {name} (the last part of the URL's path); equal ones are " \
      "numbered, what exists is kept [{index}]") \
    X(OVERWRITE, 0, "overwrite", NULL, OUTPUT, SWITCH, overwrite, 0, 0, \
      "... or replaced") \
    X(HEADERS, 0, "headers", "none|all|NAME,..", OUTPUT, OTHER, given, 0, 0, \
      "response headers in the record [none]") \
    X(ECHO, 0, "echo", NULL, OUTPUT, SWITCH, echo, 0, 0, \
      "repeat the input under \"request\"") \
    X(ASCII, 0, "ascii", NULL, OUTPUT, SWITCH, ascii, 0, 0, \
      "escape everything above U+007F") \
    X(REJECTS, 0, "rejects", "FILE", OUTPUT, TEXT, rejects, 0, 0, \
      "the input lines, as they were, of everything that did not succeed, or was not read") \
    X(MAX_BODY, 0, "max-body", "SIZE", OUTPUT, SIZE, max_body, 1, INT64_MAX, \
      "longest response body taken: 64k, 8M [64M; with --body-dir none]") \
    X(MAX_REDIRS, 0, "max-redirs", "N|none", NET, OTHER, given, 0, 0, \
      "redirects followed; none: a 3xx is an answer like any other [10]") \
    X(SENSITIVE, 0, "sensitive", "NAME,..", NET, TEXT, sensitive, 0, 0, \
      "headers not sent on to another host, as Authorization and Cookie are not") \
    X(COMPRESSED, 0, "compressed", NULL, NET, SWITCH, compressed, 0, 0, \
      "ask for gzip and deflate, and decode them") \
    X(USER_AGENT, 'A', "user-agent", "UA", NET, TEXT, user_agent, 0, 0, \
      "the User-Agent header, unless --header sets it; '': none") \
    X(PROXY, 'x', "proxy", "URL", NET, TEXT, proxy, 0, 0, \
      "http://[USER:PASSWORD@]HOST[:PORT]; none: not even that of the environment") \
    X(NOPROXY, 0, "noproxy", "LIST", NET, TEXT, noproxy, 0, 0, \
      "hosts reached without: a.org,.b.org,10.0.0.7 or *") \
    X(IPV4, '4', "ipv4", NULL, NET, SWITCH, ipv4, 0, 0, \
      "only IPv4 addresses") \
    X(IPV6, '6', "ipv6", NULL, NET, SWITCH, ipv6, 0, 0, \
      "only IPv6 addresses") \
    X(RESOLVE, 0, "resolve", "HOST:PORT:ADDRESS", NET, OTHER, given, 0, 0, \
      "what a name stands for; HOST may be *; repeatable") \
    X(CONNECT_TO, 0, "connect-to", "H1:P1:H2:P2", NET, OTHER, given, 0, 0, \
      "to H2:P2 instead of H1:P1; what is empty matches all, or stays; repeatable") \
    X(UNIX_SOCKET, 0, "unix-socket", "PATH", NET, TEXT, unix_socket, 0, 0, \
      "connect to this socket, whatever the host") \
    X(INTERFACE, 0, "interface", "ADDRESS", NET, TEXT, local_address, 0, 0, \
      "our own address: 10.0.0.5, ::1 [any]") \
    X(CACERT, 0, "cacert", "FILE", TLS, TEXT, cacert, 0, 0, \
      "trust the certificates of this PEM file [those of the system]") \
    X(PIN, 0, "pin", "SHA256", TLS, TEXT, pin, 0, 0, \
      "base64 SHA-256 of the server's public key; several with ';' between") \
    X(CERT, 0, "cert", "FILE", TLS, TEXT, cert, 0, 0, \
      "our certificate and its chain, PEM; with --key") \
    X(KEY, 0, "key", "FILE", TLS, TEXT, key, 0, 0, \
      "its private key, PEM: RSA, P-256, P-384 or P-521, not encrypted") \
    X(TLS_MIN, 0, "tls-min", "1.2|1.3", TLS, CHOICE, tls_min, 0, 0, \
      "the lowest version of TLS [1.2]") \
    X(INSECURE, 0, "insecure", NULL, TLS, SWITCH, insecure, 0, 0, \
      "accept any certificate; a --pin still counts") \
    X(PROGRESS, 0, "progress", "auto|bar|line|json|none", SCREEN, CHOICE, progress, 0, 0, \
      "[auto: a bar on a terminal, nothing elsewhere]") \
    X(SUMMARY, 0, "summary", "text|json|none", SCREEN, CHOICE, summary, 0, 0, \
      "said on stderr at the end [text]") \
    X(SUMMARY_FILE, 0, "summary-file", "FILE", SCREEN, TEXT, summary_file, 0, 0, \
      "the summary goes there instead") \
    X(REPORT, 0, "report", "FILE.html", SCREEN, TEXT, report, 0, 0, \
      "a page for a browser: requests and latencies over time, waits, errors, the slowest, the " \
      "hosts; with --summarize of saved records") \
    X(SUMMARIZE, 0, "summarize", NULL, SCREEN, SWITCH, summarize, 0, 0, \
      "send nothing: the arguments are files of records, sum them up") \
    X(MERGE, 0, "merge", NULL, SCREEN, SWITCH, merge, 0, 0, \
      "send nothing: the arguments are files of records of one input, join them by index; exit " \
      "1 if one has none, or several") \
    X(BY_ID, 0, "by-id", NULL, SCREEN, SWITCH, by_id, 0, 0, \
      "with --merge: by id, as each process has counted its own lines where they came by a pipe") \
    X(NO_FAIL, 0, "no-fail", NULL, SCREEN, SWITCH, no_fail, 0, 0, \
      "exit 0 although requests failed") \
    X(QUIET, 'q', "quiet", NULL, SCREEN, SWITCH, quiet, 0, 0, \
      "errors only: no progress, no summary") \
    X(VERBOSE, 'v', "verbose", NULL, SCREEN, SWITCH, verbose, 0, 0, \
      "say more: retries, gates, redirects, failures, the histogram; -vv: heads, too") \
    X(COLOR, 0, "color", "auto|always|never", SCREEN, CHOICE, color, 0, 0, \
      "[auto: on a terminal, unless NO_COLOR is set]") \
    X(DRY_RUN, 'n', "dry-run", NULL, SCREEN, SWITCH, dry_run, 0, 0, \
      "parse everything, print the requests as records, send nothing; secret headers and the " \
      "user of a URL are ***, queries and bodies as they are") \
    X(CURL, 0, "curl", NULL, SCREEN, SWITCH, curl, 0, 0, \
      "with -n: print the commands of curl that send them; put the secrets in for ***") \
    X(USAGE, 'h', "", NULL, SCREEN, SWITCH, show_usage, 0, 0, \
      "the short help") \
    X(HELP, 0, "help", NULL, SCREEN, SWITCH, show_help, 0, 0, \
      "this help") \
    X(VERSION, 'V', "version", NULL, SCREEN, SWITCH, show_version, 0, 0, \
      "version, compiler, TLS library, backend, zlib")

/* X("other name", ID) */
#define ALIASES(X) \
    X("concurrency", MAX_AT_ONCE) \
    X("rate", MAX_PER_SECOND)

/* X("word of another tool", ID): never accepted, but the hint names what is meant. */
#define FOREIGN_WORDS(X) \
    X("retry", RETRIES) \
    X("parallel-max", MAX_AT_ONCE) \
    X("jobs", MAX_AT_ONCE) \
    X("request", METHOD) \
    X("max-time", TIMEOUT) \
    X("location", MAX_REDIRS) \
    X("speed-limit", MIN_SPEED) \
    X("speed-time", MIN_SPEED_TIME) \
    X("rpm", MAX_PER_SECOND) \
    X("tpm", MAX_COST) \
    X("max-tokens", MAX_COST) \
    X("host-limit", LIMIT_HOST) \
    X("retry-budget", RETRY_RATIO)

/* X('letter of another tool', "what it is here") */
#define FOREIGN_LETTERS(X) \
    X('k', "--insecure") X('L', "what happens anyway, see --max-redirs") X('s', "--quiet") \
    X('f', "--ok, a status that is none of those fails") X('i', "--headers all") \
    X('m', "--timeout") X('Z', "what happens anyway, see -c") X('O', "--body-dir and --body-name") \
    X('e', "-H 'Referer: ...'") X('I', "-X HEAD") X('K', "lines of input") \
    X('z', "--deadline") X('p', "--form") X('G', "--url-query") X('E', "--cert")

typedef enum option_id {
#define X(id, letter, name, arg, group, kind, field, low, high, help) OPTION_##id,
    OPTIONS(X)
#undef X
    OPTION_COUNT
} option_id;

typedef enum option_group {
#define X(id, title) GROUP_##id,
    GROUPS(X)
#undef X
    GROUP_COUNT
} option_group;

typedef enum option_kind {
    KIND_SWITCH, KIND_COUNT, KIND_NUMBER, KIND_SIZE, KIND_TIME, KIND_RATE, KIND_TEXT, KIND_CHOICE,
    KIND_OTHER
} option_kind;

/* The values of the CHOICE flags, in the order of the words in the table. */
enum { FORMAT_AUTO, FORMAT_URL, FORMAT_JSONL };
enum { BAD_LINE_RECORD, BAD_LINE_SKIP, BAD_LINE_FAIL };
enum { MODE_DRAIN, MODE_ABORT };
enum { ORDER_COMPLETION, ORDER_INPUT };
enum { OUTPUT_JSONL, OUTPUT_CSV, OUTPUT_TSV, OUTPUT_OPENAI };
enum { ONLY_ALL, ONLY_FAILED, ONLY_SUCCESS, ONLY_STATUSES };
enum { BODY_AUTO, BODY_JSON, BODY_BASE64, BODY_NONE };
enum { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_LINE, PROGRESS_JSON, PROGRESS_NONE };
enum { SUMMARY_TEXT, SUMMARY_JSON, SUMMARY_NONE };
enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
enum { TLS_MIN_12, TLS_MIN_13 };

enum { DEFAULTS_MAX = 250 };     /* -H and --url-query */

enum { PARTS_MAX = 100 };        /* of -F */

typedef struct form_part {       /* of a multipart body: a head, then a value or a file */
    const char *head, *value;
    const char *path;                   /* NULL: it is the value */
    uint64_t head_size, size;           /* size: of the value, or the file */
} form_part;

enum { REDIRECTS_MAX = 1000, WORKERS_MAX = 256 };

enum { MAX_FAIL_AFTER = 20 };    /* before that many have ended, P% is no figure */

typedef struct kept {            /* memory that lives as long as the config */
    struct kept *next;
} kept;

typedef struct config {
    const char *method, *base_url, *template_url, *output, *rejects, *summary_file, *headers_shown;
    const char *body_dir, *body_name, *report;
    const char *cacert, *pin, *cert, *key;
    const char *sensitive, *user_agent, *unix_socket, *local_address;
    const char *resolve, *connect_to;   /* all that were given, ',' between */
    const char *proxy, *noproxy;        /* of the command line ... */
    const char *http_proxy_from, *https_proxy_from;     /* variables; NULL: not of one */
    const char *http_proxy, *https_proxy; /* ... and what follows, with the environment */
    const char *no_proxy;
    const char *data, *json;            /* default bodies */
    size_t data_size, json_size;
    sparp_field headers[DEFAULTS_MAX];  /* -H 'K: V', and in front those of -H 'K:' ... */
    sparp_field query[DEFAULTS_MAX];
    form_part parts[PARTS_MAX + 1];     /* the last one is the end of the form, a head alone */
    size_t num_parts;
    uint64_t form_size;
    char boundary[40];
    const char *authorization, *cookie;
    size_t num_headers, num_query;
    size_t num_removed;                 /* ... this many, their values are NULL */
    int64_t shard, shards;              /* shards 0: not asked for */
    int64_t skip, limit, total, max_at_once, per_host, workers, burst, max_body, first;
    int64_t retries, soft_retries, timeout_retries, transport_retries;
    int64_t max_redirs, min_speed;      /* max_redirs 0: the default */
    double max_per_second, fleet_rate, timeout, connect_timeout, deadline;
    double max_cost, cost_burst, per_host_rate, retry_ratio;
    const char *cost, *cost_from;
    double cost_default;                /* --cost, if it is a number: of 0 the library's "free" */
    sparp_host_limit host_limits[HOST_LIMITS_MAX];
    size_t num_host_limits;
    double dns_timeout, tls_timeout, send_timeout, first_byte_timeout, idle_timeout;
    double min_speed_time;
    double backoff, backoff_max, retry_after_max;
    int format, on_bad_line, stop_mode, order, body, progress, summary, color, tls_min;
    bool overwrite, csv, tsv;
    bool words_in_data, words_in_json, words_in_headers;    /* -d, --json, -H are templates */
    bool words_in_cost;                 /* --cost is */
    bool no_gate, retry_safe_only, retry_unsafe, drain_input, echo, ascii, no_fail;
    bool summarize, merge, by_id;
    bool insecure, compressed, ipv4, ipv6;
    bool quiet, verbose, very_verbose;
    bool dry_run, curl, show_usage, show_help, show_version;
    int output_format, only;
    const char *resume, *journal;
    bool retry_failed, restart;
    const char *fields;                 /* NULL: all */
    status_list ok, retry_on, only_statuses;
    unsigned stop_on;
    int64_t max_fail, max_fail_after;   /* N failed; or a ratio, once so many have ended */
    double max_fail_ratio;
    int argc;                           /* the command line itself */
    char **argv;
    const char **sources;               /* files and URLs, in the order given */
    size_t num_sources;
    kept *kept;
    bool given[OPTION_COUNT];
} config;

typedef struct option_row {
    const char *name, *arg, *help;      /* arg NULL: takes none */
    int letter;                         /* 0: none */
    option_group group;
    option_kind kind;
    size_t offset;                      /* of the config field */
    int64_t low, high;
} option_row;

static const option_row option_rows[OPTION_COUNT] = {
#define X(id, letter, name, arg, group, kind, field, low, high, help) \
    { name, arg, help, letter, GROUP_##group, KIND_##kind, offsetof(config, field), low, high },
    OPTIONS(X)
#undef X
};

static const struct { const char *name; option_id id; } option_aliases[] = {
#define X(name, id) { name, OPTION_##id },
    ALIASES(X)
#undef X
};

enum { ALIAS_COUNT = sizeof option_aliases / sizeof *option_aliases };

/* Every long name, aliases last; NULL after the last one. */
static const char *option_name(size_t i, option_id *id) {
    if (i < OPTION_COUNT) {
        *id = (option_id)i;
        return option_rows[i].name;
    }
    if (i - OPTION_COUNT >= ALIAS_COUNT)
        return NULL;
    *id = option_aliases[i - OPTION_COUNT].id;
    return option_aliases[i - OPTION_COUNT].name;
}

static bool option_exists(slice name) {
    option_id id;
    const char *known;
    for (size_t i = 0; (known = option_name(i, &id)) != NULL; i++) {
        if (name.size > 0 && slice_is(name, known))
            return true;
    }
    return false;
}

/* Edits (insert, delete, replace) between two short words. */
static size_t edit_distance(slice a, const char *b) {
    size_t row[32], columns = strlen(b);
    if (columns >= 32)
        return SIZE_MAX;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t best = diagonal + (a.at[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (diagonal + 1 < best)
                best = diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[columns];
}

/* The nearest long name, or NULL if none is near. A beginning counts as one edit. */
static const char *option_nearest(slice name) {
#define X(word, tag) if (slice_is(name, word)) return option_rows[OPTION_##tag].name;
    FOREIGN_WORDS(X)
#undef X
    const char *known, *nearest = NULL;
    size_t least = name.size < 4 ? 2 : 3;
    option_id id;
    for (size_t i = 0; (known = option_name(i, &id)) != NULL; i++) {
        if (known[0] == '\0')
            continue;
        size_t distance = edit_distance(name, known);
        if (name.size >= 3 && strncmp(known, name.at, name.size) == 0)
            distance = 1;
        if (distance < least) {
            least = distance;
            nearest = known;
        }
    }
    return nearest;
}

enum { HELP_COLUMNS = 80, HELP_INDENT = 32 };

/* Words, broken where the line is full: a terminal of 80 columns shows them whole. */
static void put_help_words(text *t, const char *words) {
    slice rest = slice_of(words), word;
    size_t column = HELP_INDENT;
    while (slice_split(&rest, ' ', &word)) {
        if (column > HELP_INDENT && column + 1 + word.size > HELP_COLUMNS) {
            put_char(t, '\n');
            put_repeat(t, ' ', HELP_INDENT);
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            put_char(t, ' ');
            column++;
        }
        put_slice(t, word);
        column += word.size;
    }
    put_char(t, '\n');
}

static void put_option_help(text *t, const option_row *row) {
    size_t start = t->size;
    if (row->letter != 0)
        put_format(t, "  -%c", row->letter);
    else
        PUT(t, "    ");
    if (row->name[0] != '\0')
        put_format(t, "%s --%s", row->letter != 0 ? "," : " ", row->name);
    if (row->arg != NULL)
        put_format(t, " %s", row->arg);
    size_t width = t->size - start;
    if (width > HELP_INDENT - 2) {
        put_char(t, '\n');
        width = 0;
    }
    put_repeat(t, ' ', HELP_INDENT - width);
    put_help_words(t, row->help);
}

static void put_help(text *t) {
    static const char *const titles[GROUP_COUNT] = {
#define X(id, title) title,
        GROUPS(X)
#undef X
    };
    PUT(t, "sparp " SPARP_VERSION_STRING
           " - send many HTTP requests, a bounded number at a time\n\n"
           "  sparp [options] [FILE | URL]...        no argument: read stdin\n"
           "  sparp --summarize RESULTS.jsonl...     sum up saved records\n"
           "  sparp --merge A.jsonl... -o ALL.jsonl  join the records of several runs\n");
    for (int group = 0; group < GROUP_COUNT; group++) {
        put_format(t, "\n%s\n", titles[group]);
        for (int i = 0; i < OPTION_COUNT; i++) {
            if ((int)option_rows[i].group == group)
                put_option_help(t, &option_rows[i]);
        }
    }
    PUT(t, "\nOther names:");
    for (int i = 0; i < ALIAS_COUNT; i++)
        put_format(t, "%s --%s is --%s", i > 0 ? "," : "", option_aliases[i].name,
                   option_rows[option_aliases[i].id].name);
    PUT(t, ".\n"
           "Environment: http_proxy, https_proxy, all_proxy, no_proxy; all but the first\n"
           "      also in capitals.\n"
           "TIME: 30 (seconds), 500ms, 2m, 1h.  RATE: 50 (per second), 300/m, 1000/h, 5/15s.\n"
           "SIZE: 64k, 8M, 1G.  LIST: 200-299,4xx,301,all,none.\n"
           "Exit: 0 all succeeded, 1 some did not, 2 usage, 3 a stop rule fired or a bad\n"
           "      line with --on-bad-line fail, 4 deadline, 5 output could not be written,\n"
           "      128+N ended by signal N.  SIGUSR1 (and SIGINFO) prints a line of progress.\n");
}

static const char short_help[] =
    "sparp " SPARP_VERSION_STRING " - send many HTTP requests, a bounded number at a time\n"
    "\n"
    "  sparp urls.txt > results.jsonl                    one URL per line\n"
    "  sparp -c 50 -r 200 reqs.jsonl -o results.jsonl    50 at once, 200 per second\n"
    "  seq 1000 | sparp -T 'http://api.example.com/items/{}' | jq .status\n"
    "\n"
    "Pace       -c, --max-at-once N     requests in flight, whole process      [100]\n"
    "           -r, --max-per-second R  requests started: 50, 300/m, 5/15s [no limit]\n"
    "           -t, --timeout TIME      one attempt: 30, 2.5, 500ms, 1m        [30s]\n"
    "Retries    -R, --retries N         tries again, per kind of failure   [20,20,5]\n"
    "               --ok LIST           statuses that are success          [2xx,304]\n"
    "               --retry-on LIST     another try        [408,425,429,500,502-504]\n"
    "Stop           --first N           stop after N successes\n"
    "               --max-fail N|P%     stop after that many failed requests\n"
    "Requests   -X METHOD  -H 'K: V'|@FILE  -d DATA|@FILE  --json JSON|@FILE  -T URL\n"
    "Network    -x PROXY  -A UA  --max-redirs N  --compressed  --resolve H:P:A\n"
    "Output     -o FILE  --order input  --body-dir DIR  --rejects FILE  -n  -q  -v\n"
    "'sparp --help' lists everything.\n";
