/* sparp/tally.h - counts, latencies, percentiles. Pure. Uses text, values. */

/* Latencies in 32 buckets per octave, so within 3.2 %, from a microsecond to a day and a half:
   below 64 us a bucket is one microsecond, above it the six leading bits of the number. */
enum { LATENCY_BITS_MAX = 37, LATENCY_BUCKETS = 32 * (LATENCY_BITS_MAX - 6) + 64 };

enum { OUTCOME_INVALID = SPARP_OUTCOME_COUNT, OUTCOMES = SPARP_OUTCOME_COUNT + 1 };

typedef struct sample {          /* what the tally wants to know about one request */
    int outcome;                        /* sparp_outcome, or OUTCOME_INVALID */
    sparp_error error;
    sparp_phase phase;
    int status, attempts, redirects;
    bool reused;
    uint64_t index, bytes_in, bytes_out;
    int64_t elapsed_us, total_us;
    slice url;
} sample;

typedef struct tally {
    uint64_t outcomes[OUTCOMES];
    uint64_t status[STATUS_END], retried[STATUS_END], no_status;
    uint64_t errors[SPARP_E_COUNT][SPARP_PHASE_COUNT]; /* by phase for timeouts, else in [0] */
    uint64_t retries, redirects, responses, reused, bytes_in, bytes_out;
    bool has_first;                     /* the first one with an error */
    uint64_t first_index;
    char first_url[200];
    uint64_t latencies[LATENCY_BUCKETS], num_latencies;
    int64_t latency_min, latency_max;
    double latency_sum;
} tally;

static size_t latency_bucket(int64_t us) {
    uint64_t v = us < 0 ? 0 : (uint64_t)us, most = (UINT64_C(1) << LATENCY_BITS_MAX) - 1;
    unsigned shift = 0;
    if (v > most)
        v = most;
    while (v >> shift >= 64)
        shift++;
    return 32 * (size_t)shift + (size_t)(v >> shift);
}

static int64_t latency_top(size_t bucket) {      /* the longest latency that falls into it */
    if (bucket < 64)
        return (int64_t)bucket;
    unsigned shift = (unsigned)(bucket / 32 - 1);
    uint64_t lead = bucket - 32 * (size_t)shift;
    return (int64_t)(((lead + 1) << shift) - 1);
}

static void tally_latency(tally *y, int64_t us) {
    if (y->num_latencies == 0 || us < y->latency_min)
        y->latency_min = us;
    if (us > y->latency_max)
        y->latency_max = us;
    y->latencies[latency_bucket(us)]++;
    y->latency_sum += (double)us;
    y->num_latencies++;
}

/* The latency that `thousandths` of the requests do not exceed. */
static int64_t tally_percentile(const tally *y, uint64_t thousandths) {
    uint64_t rank = (y->num_latencies * thousandths + 999) / 1000, sum = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        sum += y->latencies[i];
        if (sum < rank || sum == 0)
            continue;
        int64_t top = latency_top(i);
        if (top < y->latency_min)
            return y->latency_min;
        return top < y->latency_max ? top : y->latency_max;
    }
    return 0;
}

static void tally_first(tally *y, const sample *s) {
    y->has_first = true;
    y->first_index = s->index;
    size_t size = s->url.size < sizeof y->first_url ? s->url.size : sizeof y->first_url - 1;
    if (size > 0)
        memcpy(y->first_url, s->url.at, size);
    y->first_url[size] = '\0';
}

/* Timeouts are latencies too: without them a server that hangs looks fast. */
static void tally_add(tally *y, const sample *s) {
    bool timeout = s->error == SPARP_E_TIMEOUT;
    bool sent = s->outcome != SPARP_OUTCOME_CANCELLED && s->outcome != SPARP_OUTCOME_NOT_STARTED
             && s->outcome != OUTCOME_INVALID;
    y->outcomes[s->outcome]++;
    y->bytes_in += s->bytes_in;
    y->bytes_out += s->bytes_out;
    if (s->attempts > 1)
        y->retries += (uint64_t)(s->attempts - 1);
    if (s->redirects > 0)
        y->redirects += (uint64_t)s->redirects;
    if (s->status > 0 && s->status < STATUS_END) {
        y->status[s->status]++;
        y->responses++;
        y->reused += s->reused;
    }
    if (!sent)
        return;
    if (s->status == 0)
        y->no_status++;
    if (s->error != SPARP_E_OK) {
        y->errors[s->error][timeout ? s->phase : 0]++;
        if (!y->has_first)
            tally_first(y, s);
    }
    if (s->status > 0 || timeout)
        tally_latency(y, s->elapsed_us);
}

static void sample_result(sample *s, const sparp_result *r, uint64_t index) {
    memset(s, 0, sizeof *s);
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
    s->total_us = r->total_us;
    s->url = slice_of(r->url);
}

static uint64_t tally_failed(const tally *y) {   /* said no, or could not be sent */
    return y->outcomes[SPARP_OUTCOME_HARD_FAIL] + y->outcomes[SPARP_OUTCOME_LOCAL_FAILED];
}

static uint64_t tally_gave_up(const tally *y) {  /* tried as often as allowed */
    return y->outcomes[SPARP_OUTCOME_SOFT_EXHAUSTED] + y->outcomes[SPARP_OUTCOME_TIMEOUT_EXHAUSTED]
         + y->outcomes[SPARP_OUTCOME_TRANSPORT_FAILED];
}

static uint64_t tally_finished(const tally *y) {
    return y->outcomes[SPARP_OUTCOME_SUCCESS] + tally_failed(y) + tally_gave_up(y);
}
