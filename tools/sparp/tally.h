/* sparp/tally.h - counts, latencies, percentiles. Pure. Uses text, values. */

/* Latencies in 128 buckets per octave, from a microsecond to a day and a half: below 256 us a
   bucket is one microsecond, above it the eight leading bits of the number. Its middle is at most
   0.4 % away from what fell into it. */
enum {
    LATENCY_BITS_MAX = 37, LATENCY_PER_OCTAVE = 128,
    LATENCY_BUCKETS = LATENCY_PER_OCTAVE * (LATENCY_BITS_MAX - 6)
};

enum { OUTCOME_INVALID = SPARP_OUTCOME_COUNT, OUTCOMES = SPARP_OUTCOME_COUNT + 1 };

/* What an attempt that was tried again had ended with: a status, or TRIED_ERROR + sparp_error. */
enum { TRIED_ERROR = STATUS_END, TRIED_CODES = TRIED_ERROR + SPARP_E_COUNT, TRIED_MAX = 16 };

typedef struct tried {           /* of one request; {0}: none */
    unsigned count;                     /* of codes */
    unsigned short codes[TRIED_MAX];
    unsigned times[TRIED_MAX];
} tried;

typedef struct sample {          /* what the tally wants to know about one request */
    int outcome;                        /* sparp_outcome, or OUTCOME_INVALID */
    sparp_error error;
    sparp_phase phase;
    int status, attempts, redirects;
    bool reused;
    uint64_t index, bytes_in, bytes_out;
    int64_t elapsed_us, total_us;
    int64_t waited_us[SPARP_WAIT_COUNT], waited_cost_us;
    int64_t at_ms;                      /* Unix time of its record; 0: not known */
    const tried *tried;                 /* before the last attempt; NULL: nothing */
    double cost;
    bool has_cost;
    slice url;
} sample;

typedef struct latencies {
    uint64_t buckets[LATENCY_BUCKETS], count;
    int64_t least, most;
    double sum;
} latencies;

typedef struct tally {
    uint64_t outcomes[OUTCOMES];
    uint64_t status[STATUS_END], no_status;
    uint64_t errors[SPARP_E_COUNT][SPARP_PHASE_COUNT]; /* by phase for timeouts, else in [0] */
    uint64_t tried[TRIED_CODES];        /* attempts that were not the last */
    uint64_t redirects, responses, reused, bytes_in, bytes_out;
    uint64_t waiters;                   /* requests that were tried at all */
    int64_t waited_us[SPARP_WAIT_COUNT];        /* all requests together */
    int64_t waited_cost_us;             /* what of it for the rate was that of the cost */
    int64_t from_us, to_us;             /* Unix time: first one pulled, last one recorded */
    double cost;                        /* booked, all requests together */
    bool has_cost;                      /* there was one that says what it cost */
    bool has_first;                     /* the first one with an error */
    uint64_t first_index;
    char first_url[200];
    latencies last_try, overall;
} tally;

static size_t latency_bucket(int64_t us) {
    uint64_t v = us < 0 ? 0 : (uint64_t)us, most = (UINT64_C(1) << LATENCY_BITS_MAX) - 1;
    unsigned shift = 0;
    if (v > most)
        v = most;
    while (v >> shift >= 2 * LATENCY_PER_OCTAVE)
        shift++;
    return LATENCY_PER_OCTAVE * (size_t)shift + (size_t)(v >> shift);
}

static int64_t latency_bottom(size_t bucket) {   /* the shortest latency that falls into it */
    if (bucket < 2 * LATENCY_PER_OCTAVE)
        return (int64_t)bucket;
    unsigned shift = (unsigned)(bucket / LATENCY_PER_OCTAVE - 1);
    return (int64_t)(bucket - LATENCY_PER_OCTAVE * (size_t)shift) << shift;
}

static int64_t latency_top(size_t bucket) {      /* the longest */
    return latency_bottom(bucket + 1) - 1;
}

static void latencies_add(latencies *l, int64_t us) {
    if (l->count == 0 || us < l->least)
        l->least = us;
    if (us > l->most)
        l->most = us;
    l->buckets[latency_bucket(us)]++;
    l->sum += (double)us;
    l->count++;
}

static int64_t latencies_mean(const latencies *l) {
    return l->count > 0 ? (int64_t)(l->sum / (double)l->count + 0.5) : 0;
}

/* The latency that `thousandths` of the requests do not exceed, within 0.4 %. */
static int64_t latencies_percentile(const latencies *l, uint64_t thousandths) {
    uint64_t rank = (l->count * thousandths + 999) / 1000, sum = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        sum += l->buckets[i];
        if (sum < rank || sum == 0)
            continue;
        int64_t middle = (latency_bottom(i) + latency_top(i)) / 2;
        return middle < l->least ? l->least : middle < l->most ? middle : l->most;
    }
    return 0;
}

static void tried_add(tried *t, int code, unsigned times) {
    unsigned i = 0;
    while (i < t->count && t->codes[i] != code)
        i++;
    if (i == TRIED_MAX)                 /* so many different ones: the last stands for the rest */
        i--;
    if (i == t->count) {
        t->codes[t->count++] = (unsigned short)code;
        t->times[i] = 0;
    }
    t->times[i] += times;
}

static unsigned tried_sum(const tried *t) {
    unsigned sum = 0;
    for (unsigned i = 0; i < t->count; i++)
        sum += t->times[i];
    return sum;
}

/* How an attempt ended, as a code of `tried`. */
static int tried_code(const sparp_result *attempt) {
    bool answered = attempt->error == SPARP_E_OK && attempt->status > 0
        && attempt->status < STATUS_END;
    return answered ? attempt->status : TRIED_ERROR + (int)attempt->error;
}

/* The attempts that on_retry() has not been told of are 429s that cost no retry, for the gate of
   their host had closed while they were under way. */
static void tried_complete(tried *t, int attempts) {
    unsigned known = tried_sum(t) + 1;
    if (attempts > 0 && (unsigned)attempts > known)
        tried_add(t, 429, (unsigned)attempts - known);
}

/* "429", "timeout" */
static void put_tried_code(text *t, int code) {
    if (code < TRIED_ERROR)
        put_u64(t, (uint64_t)code);
    else
        put_lower(t, code == TRIED_ERROR ? "unknown"
                  : sparp_error_name((sparp_error)(code - TRIED_ERROR)));
}

static void tally_first(tally *y, const sample *s) {
    y->has_first = true;
    y->first_index = s->index;
    size_t size = s->url.size < sizeof y->first_url ? s->url.size : sizeof y->first_url - 1;
    if (size > 0)
        memcpy(y->first_url, s->url.at, size);
    y->first_url[size] = '\0';
}

/* When it began, and when the last one had ended. */
static void tally_time(tally *y, const sample *s) {
    int64_t to = s->at_ms * 1000, from = to - s->total_us;
    if (s->at_ms <= 0)
        return;
    if (y->to_us == 0 || from < y->from_us)
        y->from_us = from;
    if (to > y->to_us)
        y->to_us = to;
}

static void tally_attempts(tally *y, const sample *s) {
    for (unsigned i = 0; s->tried != NULL && i < s->tried->count; i++)
        y->tried[s->tried->codes[i]] += s->tried->times[i];
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        y->waited_us[i] += s->waited_us[i];
    y->waited_cost_us += s->waited_cost_us;
    y->waiters += s->attempts > 0;
    y->cost += s->cost;
    y->has_cost = y->has_cost || s->has_cost;
    y->bytes_in += s->bytes_in;
    y->bytes_out += s->bytes_out;
    if (s->redirects > 0)
        y->redirects += (uint64_t)s->redirects;
}

/* Was it sent, and had its end? */
static bool sample_ended(const sample *s) {
    return s->outcome != SPARP_OUTCOME_CANCELLED && s->outcome != SPARP_OUTCOME_NOT_STARTED
        && s->outcome != OUTCOME_INVALID;
}

/* Timeouts are latencies too: without them a server that hangs looks fast. */
static bool sample_has_latency(const sample *s) {
    return sample_ended(s) && (s->status > 0 || s->error == SPARP_E_TIMEOUT);
}

static void tally_add(tally *y, const sample *s) {
    bool timeout = s->error == SPARP_E_TIMEOUT;
    y->outcomes[s->outcome]++;
    tally_time(y, s);
    tally_attempts(y, s);
    if (!sample_ended(s))
        return;
    if (s->status > 0 && s->status < STATUS_END) {
        y->status[s->status]++;
        y->responses++;
        y->reused += s->reused;
    } else {
        y->no_status++;
    }
    if (s->error != SPARP_E_OK) {
        y->errors[s->error][timeout ? s->phase : 0]++;
        if (!y->has_first)
            tally_first(y, s);
    }
    if (sample_has_latency(s)) {
        latencies_add(&y->last_try, s->elapsed_us);
        latencies_add(&y->overall, s->total_us);
    }
}

/* Sets all of it: to clear that much before takes 5 % of the command's own time. */
static void sample_result(sample *s, const sparp_result *r, const tried *tries, uint64_t index,
                          int64_t at_ms) {
    bool sent = r->attempts > 0;
    s->outcome = (int)r->outcome;
    s->error = r->error;
    s->phase = r->phase;
    s->status = r->status;
    s->attempts = r->attempts;
    s->redirects = r->redirects;
    s->reused = r->reused;
    s->index = index;
    s->bytes_in = r->bytes_in;
    s->bytes_out = r->bytes_out;
    s->elapsed_us = r->elapsed_us;
    s->total_us = sent ? r->total_us : 0;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        s->waited_us[i] = sent ? r->wait_us[i] : 0;
    s->waited_cost_us = sent ? r->wait_cost_us : 0;
    s->at_ms = at_ms;
    s->tried = tries;
    s->cost = r->cost;
    s->has_cost = false;
    s->url = slice_of(r->url);
}

/* What people call the outcomes. */
enum {
    CLASS_OK,
    CLASS_FAILED,                       /* said no, or could not be sent */
    CLASS_GAVE_UP,                      /* tried as often as allowed */
    CLASS_CUT,                          /* the run ended first */
    CLASS_INVALID,
    CLASSES
};

static int outcome_class(int outcome) {
    switch (outcome) {
    case SPARP_OUTCOME_SUCCESS:           return CLASS_OK;
    case SPARP_OUTCOME_HARD_FAIL:
    case SPARP_OUTCOME_LOCAL_FAILED:      return CLASS_FAILED;
    case SPARP_OUTCOME_SOFT_EXHAUSTED:
    case SPARP_OUTCOME_TIMEOUT_EXHAUSTED:
    case SPARP_OUTCOME_TRANSPORT_FAILED:  return CLASS_GAVE_UP;
    case OUTCOME_INVALID:                 return CLASS_INVALID;
    default:                              return CLASS_CUT;
    }
}

static uint64_t tally_class(const tally *y, int kind) {
    uint64_t sum = 0;
    for (int i = 0; i < OUTCOMES; i++)
        sum += outcome_class(i) == kind ? y->outcomes[i] : 0;
    return sum;
}

static uint64_t tally_failed(const tally *y) {
    return tally_class(y, CLASS_FAILED);
}

static uint64_t tally_gave_up(const tally *y) {
    return tally_class(y, CLASS_GAVE_UP);
}

static uint64_t tally_finished(const tally *y) {
    return y->outcomes[SPARP_OUTCOME_SUCCESS] + tally_failed(y) + tally_gave_up(y);
}

/* Tries again, by what the one before had ended with. */
enum { RETRIES_SOFT, RETRIES_TIMEOUT, RETRIES_TRANSPORT, RETRIES_KINDS };

static uint64_t tally_retries(const tally *y, uint64_t kinds[RETRIES_KINDS]) {
    memset(kinds, 0, RETRIES_KINDS * sizeof *kinds);
    for (int i = 0; i < TRIED_CODES; i++)
        kinds[i < TRIED_ERROR ? RETRIES_SOFT : i == TRIED_ERROR + SPARP_E_TIMEOUT ? RETRIES_TIMEOUT
              : RETRIES_TRANSPORT] += y->tried[i];
    return kinds[RETRIES_SOFT] + kinds[RETRIES_TIMEOUT] + kinds[RETRIES_TRANSPORT];
}

static int64_t tally_elapsed_us(const tally *y) {
    return y->to_us - y->from_us;
}
