/* sparp/hash.h - a set of 64-bit hashes, each with how often it was put there. Uses text. */

#define HASH_START UINT64_C(0xCBF29CE484222325)         /* FNV-1a */

static uint64_t hash_byte(uint64_t hash, char c) {
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001B3);
}

static uint64_t hash_bytes(uint64_t hash, slice s) {
    for (size_t i = 0; i < s.size; i++)
        hash = hash_byte(hash, s.at[i]);
    return hash;
}

typedef struct hash_slot {
    uint64_t hash;                      /* 0: free */
    uint64_t times;
} hash_slot;

typedef struct hash_set {        /* {0} is empty */
    hash_slot *slots;
    size_t count, room;
} hash_set;

/* Where it is, or would be; only where there is room. */
static hash_slot *hash_find(const hash_set *s, uint64_t hash) {
    size_t i = (size_t)(hash ^ hash >> 32) & (s->room - 1);
    while (s->slots[i].hash != 0 && s->slots[i].hash != hash)
        i = (i + 1) & (s->room - 1);
    return &s->slots[i];
}

static bool hash_grow(hash_set *s) {
    hash_set more = { NULL, s->count, s->room > 0 ? 2 * s->room : 1024 };
    more.slots = (hash_slot *)calloc(more.room, sizeof *more.slots);
    if (more.slots == NULL)
        return false;
    for (size_t i = 0; i < s->room; i++)
        if (s->slots[i].hash != 0)
            *hash_find(&more, s->slots[i].hash) = s->slots[i];
    free(s->slots);
    *s = more;
    return true;
}

/* Puts it there. How often it had been before; -1: out of memory. */
static int64_t hash_take(hash_set *s, uint64_t hash) {
    if (2 * s->count >= s->room && !hash_grow(s))
        return -1;
    hash = hash != 0 ? hash : 1;
    hash_slot *slot = hash_find(s, hash);
    s->count += slot->hash == 0;
    slot->hash = hash;
    return (int64_t)slot->times++;
}

static bool hash_has(const hash_set *s, uint64_t hash) {
    return s->room > 0 && hash_find(s, hash != 0 ? hash : 1)->hash != 0;
}

static void hash_free(hash_set *s) {
    free(s->slots);
    memset(s, 0, sizeof *s);
}
