/* sparp/limits.h - limits of hosts, and what requests cost: as a flag says it, and as an answer.
   Pure. Uses text, values, json. */

enum { HOST_LIMITS_MAX = 250 };

/* What a request may cost; 0 is free. As for the library. */
#define COST_MAX 1e12

static bool parse_cost(slice s, double *out) {
    return take_decimal(&s, out) && s.size == 0 && *out <= COST_MAX;
}

/* What an answer says that it cost; false: there is no such number. */
static bool cost_of_answer(slice body, slice path, double *out) {
    slice raw;
    if (!json_find(body, path, &raw) || raw.size == 0 || !(is_digit(raw.at[0])))
        return false;
    *out = json_number_value(raw);
    return *out <= COST_MAX;
}

/* The next line of an event stream (WHATWG HTML 9.2.5): CR LF, LF or CR ends it. */
static bool event_line(slice *rest, slice *line) {
    if (rest->size == 0)
        return false;
    *line = *rest;
    line->size = find_any(*rest, "\r\n");
    size_t end = line->size;
    if (end + 1 < rest->size && rest->at[end] == '\r' && rest->at[end + 1] == '\n')
        end++;
    *rest = slice_from(*rest, end < rest->size ? end + 1 : end);
    return true;
}

/* The data of the next event that has some: its lines of data, an LF between. */
static bool event_data(slice *rest, text *data) {
    slice line, name;
    data->size = 0;
    while (event_line(rest, &line) && (line.size > 0 || data->size == 0)) {
        if (!slice_split(&line, ':', &name) || !slice_is(name, "data") || line.at == NULL)
            continue;
        if (data->size > 0)
            put_char(data, '\n');
        put_slice(data, starts_with(line, " ") ? slice_from(line, 1) : line);
    }
    return data->size > 0;
}

/* The same of an event stream: the last event that says it counts. */
static bool cost_of_stream(slice body, slice path, double *out) {
    text data = { NULL, 0, 0, false };
    bool found = false;
    if (starts_with(body, "\xEF\xBB\xBF"))
        body = slice_from(body, 3);
    while (event_data(&body, &data)) {
        slice event = { data.at, data.size };
        double cost;
        if (!cost_of_answer(event, path, &cost))
            continue;
        *out = cost;
        found = true;
    }
    found = found && !data.failed;
    text_free(&data);
    return found;
}

/* "text/event-stream; charset=utf-8": what a response's Content-Type says, or NULL. */
static bool is_event_stream(const char *type) {
    slice rest = slice_of(type != NULL ? type : ""), first;
    return slice_split(&rest, ';', &first)
        && same_name(trimmed(first), slice_of("text/event-stream"));
}

/* "usage.total_tokens"; NULL, or what it should be. */
static const char *wrong_path(slice path) {
    slice part;
    if (path.size > 0 && (path.at[0] == '.' || path.at[0] == '$'))
        return "a path that begins with a name, as in usage.total_tokens";
    while (slice_split(&path, '.', &part))
        if (part.size == 0 || find_any(part, "[]\" /") < part.size)
            return "names with dots between, as in usage.total_tokens or items.0.cost";
    return NULL;
}

/* "", "none", or a number of at least 1, as the library has them. */
static bool parse_at_once(slice s, int *out) {
    int64_t n = s.size == 0 ? 0 : SPARP_NONE;
    if (s.size > 0 && !slice_is(s, "none") && (!parse_count(s, &n) || n < 1 || n > INT_MAX))
        return false;
    *out = (int)n;
    return true;
}

/* "", "none", or a rate. */
static bool parse_limit(slice s, double *out) {
    *out = s.size == 0 ? 0 : SPARP_NONE;
    return s.size == 0 || slice_is(s, "none") || (parse_rate(s, out) && *out > 0);
}

/* "HOST=N[,R[,COST]]", of which the host is text that is not the library's yet. NULL, or what it
   should be. */
static const char *parse_host_limit(slice rest, slice *host, sparp_host_limit *out) {
    slice at_once, rate = { NULL, 0 }, cost = rate;
    (void)slice_split(&rest, '=', host);
    if (host->size == 0 || rest.at == NULL || rest.size == 0)
        return "HOST=N[,R[,COST]], as in api.example.com=10,5/s";
    if (find_any(*host, "/ @?#") < host->size)
        return "HOST=N[,R[,COST]] with a host alone: api.example.com, *.example.com or *";
    (void)slice_split(&rest, ',', &at_once);
    (void)slice_split(&rest, ',', &rate);
    (void)slice_split(&rest, ',', &cost);
    if (rest.at != NULL)
        return "HOST=N[,R[,COST]]: three limits at the most";
    if (!parse_at_once(at_once, &out->max_at_once))
        return find_any(at_once, "/") < at_once.size
            ? "HOST=N[,R[,COST]]: N is a number of requests at once, a rate alone is HOST=,5/s"
            : "HOST=N[,R[,COST]]: N is a number of requests at once, none, or left out";
    if (!parse_limit(rate, &out->max_per_second))
        return "HOST=N[,R[,COST]]: R is a rate like 50, 300/m or 5/15s, none, or left out";
    if (!parse_limit(cost, &out->max_cost_per_second))
        return "HOST=N[,R[,COST]]: COST is a rate like 90000/m, none, or left out";
    if (at_once.size + rate.size + cost.size == 0)
        return "HOST=N[,R[,COST]] with one of the limits at least";
    return NULL;
}

static bool pattern_has(slice pattern, slice host) {
    bool below = pattern.size > 2 && pattern.at[0] == '*' && pattern.at[1] == '.';
    slice tail = slice_from(pattern, below);            /* ".example.com" */
    if (slice_is(pattern, "*") || same_name(pattern, host))
        return true;
    return below && host.size > tail.size
        && same_name(tail, slice_from(host, host.size - tail.size));
}

/* Does the first pattern match all that the second one does? One without a port has all ports. */
static bool pattern_covers(slice first, slice second) {
    slice host = second;
    while (host.size > 0 && is_digit(host.at[host.size - 1]))
        host.size--;
    bool port = host.size > 1 && host.size < second.size && host.at[host.size - 1] == ':';
    host.size -= port;
    return pattern_has(first, second) || (port && pattern_has(first, host));
}
