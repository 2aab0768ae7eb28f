/* sparp/shard.h - which lines are ours, of N processes that read the same input: --shard.
   Uses text, say, values, options. */

static bool shard_refuse(const char *arg) {
    say("--shard: '%.200s' is not I/N, with I from 0 to N - 1, auto or auto/N", arg);
    return false;
}

static const struct { const char *index, *first, *step, *count; } shard_variables[] = {
    { "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
      "SLURM_ARRAY_TASK_COUNT" },
    { "SLURM_PROCID", NULL, NULL, "SLURM_NTASKS" },
    { "AWS_BATCH_JOB_ARRAY_INDEX", NULL, NULL, NULL },
    { "JOB_COMPLETION_INDEX", NULL, NULL, NULL },         /* Kubernetes */
    { "NOMAD_ALLOC_INDEX", NULL, NULL, NULL }
};

enum { SHARD_ENGINES = sizeof shard_variables / sizeof *shard_variables };

/* A variable that is a number into *out, which stays if it is not set; false after a message. */
static bool shard_variable(const char *name, int64_t *out) {
    const char *value = name != NULL ? getenv(name) : NULL;
    if (value == NULL || *value == '\0' || parse_count(slice_of(value), out))
        return true;
    say("--shard auto: %s is '%.200s', which is no number", name, value);
    return false;
}

/* What the first engine that speaks up says; N too, unless the flag has it. */
static bool shard_of_engine(int64_t *shard, int64_t *shards) {
    int64_t first = 0, step = 1, count = 0;
    int i = 0;
    while (i < SHARD_ENGINES && getenv(shard_variables[i].index) == NULL)
        i++;
    if (i == SHARD_ENGINES) {
        say("--shard auto: of neither Slurm, AWS Batch, Kubernetes nor Nomad is there a variable");
        return false;
    }
    const char *name = shard_variables[i].index, *total = shard_variables[i].count;
    *shard = -1;
    if (!shard_variable(name, shard) || !shard_variable(shard_variables[i].first, &first)
        || !shard_variable(shard_variables[i].step, &step) || !shard_variable(total, &count))
        return false;
    if (*shards == 0 && count == 0) {
        say("--shard auto: %s does not say of how many, give --shard auto/N", name);
        return false;
    }
    if (*shards > 0 && count > 0 && *shards != count) {
        say("--shard: %s is %lld, not %lld", total, (long long)count, (long long)*shards);
        return false;
    }
    *shards = count > 0 ? count : *shards;
    *shard -= first;
    if (step == 1 && *shard >= 0 && *shard < *shards)
        return true;
    say("--shard auto: %s is none of 0 to %lld in steps of 1", name, (long long)*shards - 1);
    return false;
}

/* "I/N", "auto" or "auto/N"; false after a message. */
static bool set_shard(config *c, const char *arg) {
    slice rest = slice_of(arg), which;
    bool is_auto;
    c->shard = c->shards = 0;
    (void)slice_split(&rest, '/', &which);
    is_auto = slice_is(which, "auto");
    if (rest.at == NULL ? !is_auto : !parse_count(rest, &c->shards) || c->shards < 1)
        return shard_refuse(arg);
    if (is_auto)
        return shard_of_engine(&c->shard, &c->shards);
    return (parse_count(which, &c->shard) && c->shard < c->shards) || shard_refuse(arg);
}

static bool shard_has(const config *c, uint64_t index) {
    return c->shards == 0 || index % (uint64_t)c->shards == (uint64_t)c->shard;
}

/* How many of so many lines are ours. */
static int64_t shard_share(const config *c, int64_t lines) {
    return c->shards == 0 ? lines
        : lines / c->shards + (lines % c->shards > c->shard ? 1 : 0);
}
