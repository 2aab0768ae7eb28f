/* custom_parser.c - turn every body into something of your own, as soon as it is there.
   cc custom_parser.c -lbearssl -lpthread -o custom_parser
   ./custom_parser http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    int  id;
    char name[32];
};

/* Called once per complete response; what it returns is the result's .parsed, and yours to free.
   The body always has a 0 behind it, so the functions of string.h are safe to use. */
static void *parse(const sparp_result *response, void *user_data) {
    struct item *item = calloc(1, sizeof *item);
    const char *type = sparp_find_header(response, "Content-Type");
    (void)user_data;
    if (item != NULL && type != NULL && strcmp(type, "application/json") == 0)
        sscanf(response->body, "{\"id\":%d,\"name\":\"%31[^\"]\"}", &item->id, item->name);
    return item;
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    enum { N = 5 };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s/items/%d", base, 100 + i);
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.parse = parse;

    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++) {
        struct item *item = results.items[i].parsed;
        if (item != NULL)
            printf("item %d is called \"%s\"\n", item->id, item->name);
        free(item);
    }
    sparp_results_free(&results);
    return 0;
}
