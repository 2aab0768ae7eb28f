/* With -std=c99 this must end in the one #error that says what to do. */
#include <stdio.h>
#define SPARP_IMPLEMENTATION
#include "sparp.h"

int main(void) {
    return 0;
}
