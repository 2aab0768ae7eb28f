#define SPARP_STATIC
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

int other(void);

int other(void) {
    return use_sparp(NULL);
}
