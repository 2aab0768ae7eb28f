/* ids_and_json_posts.c - post JSON, and find the record that a result belongs to.
   cc ids_and_json_posts.c -lbearssl -lpthread -o ids_and_json_posts
   ./ids_and_json_posts http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>
#include <string.h>

struct record {                              /* a line of your database, say */
    const char *id;
    const char *json;
    int         status;                      /* filled in when the answer is there */
    bool        echoed;
};

/* user_data of the request comes back untouched in its result. */
static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    struct record *record = result->user_data;
    (void)run, (void)user_data;
    record->status = result->status;
    record->echoed = strstr(result->body, "application/json") != NULL;
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    struct record records[] = {
        { "a-17", "{\"name\":\"hammer\",\"price\":12.5}", 0, false },
        { "b-04", "{\"name\":\"nail\",\"price\":0.02}",   0, false },
        { "c-99", "{\"name\":\"anvil\",\"price\":340}",   0, false }
    };
    enum { N = sizeof records / sizeof records[0] };
    char url[256];
    sparp_request requests[N] = {0};
    snprintf(url, sizeof url, "%s/echo", base);
    for (int i = 0; i < N; i++) {
        requests[i].url = url;
        requests[i].json = records[i].json;  /* a POST then, unless .method says otherwise */
        requests[i].user_data = &records[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.on_result = on_result;
    sparp_run_each(&options, NULL);

    for (int i = 0; i < N; i++)
        printf("%s: status %d, %s\n", records[i].id, records[i].status,
               records[i].echoed ? "arrived as JSON" : "lost");
    return 0;
}
