/* instructions_command.c - the command over the network of network.h, to be counted by callgrind.
   Its command line is that of sparp. */
#include "network.h"

#define SPARP_NO_MAIN
#include "../../tools/sparp.c"

int main(int argc, char **argv) {
    return command(argc, argv);
}
