/* readme.c - the program of the README: asks for every URL of its command line, ten at a time.
   cc readme.c -lbearssl -lpthread -o readme
   ./readme http://127.0.0.1:8080/items/1 http://127.0.0.1:8080/status/404 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    sparp_request requests[100] = {0};
    size_t n = 0;
    for (; n < 100 && (int)n + 1 < argc; n++)
        requests[n].url = argv[n + 1];

    sparp_options options = { .requests = requests, .num_requests = n, .max_at_once = 10 };
    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++)
        printf("%d %s\n", results.items[i].status, results.items[i].url);
    sparp_results_free(&results);
    return 0;
}
