/* sparp.h before everything else. Also compiled as C++. */
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

#ifndef BACKEND
#define BACKEND NULL
#endif

int main(void) {
    return use_sparp(BACKEND);
}
