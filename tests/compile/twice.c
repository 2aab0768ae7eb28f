/* As in a unity build: the declarations, the implementation, and all of it again. */
#include "sparp.h"
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#undef SPARP_IMPLEMENTATION
#include "sparp.h"
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

int main(void) {
    return use_sparp(NULL);
}
