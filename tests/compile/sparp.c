/* What a program does that keeps the implementation in a file of its own. */
#define SPARP_IMPLEMENTATION
#include "sparp.h"
