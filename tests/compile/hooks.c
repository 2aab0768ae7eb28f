/* A source of randomness and a clock of our own: the system's are not even linked. Without TLS
   there is no randomness. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static size_t asked_for;
static int64_t ticks;

static bool my_random(void *out, size_t size) {
    unsigned char *at = (unsigned char *)out;
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)i;
    asked_for += size;
    return true;
}

/* A clock that runs by being looked at. */
static int64_t my_clock(void) {
    return ticks += 1000;
}

#define SPARP_RANDOM(out, size) my_random(out, size)
#define SPARP_CLOCK() my_clock()
#define SPARP_TIME() INT64_C(4102444800)       /* 2100-01-01 */
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

int main(void) {
    unsigned char bytes[32];
    if (!sparp__env_entropy(bytes, sizeof bytes) || asked_for != 32 || bytes[31] != 31) return 9;
    if (sparp__env_now() != 1000 || sparp__env_wall_s() != INT64_C(4102444800)) return 10;
    if (use_sparp(NULL) != 0) return 11;
    return ticks > 10000 ? 0 : 12;
}
