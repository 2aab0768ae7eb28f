/* The declarations alone; the implementation is in sparp.c. */
#include "sparp.h"
#include "use.h"

int main(void) {
    return use_sparp(NULL);
}
