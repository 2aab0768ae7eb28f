/* Two copies in one program: static_b.c has the other. */
#define SPARP_STATIC
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

int other(void);

int main(void) {
    return use_sparp(NULL) + other();
}
