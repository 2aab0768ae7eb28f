#include "measure.h"
#include "mongoose.h"

static int answered, ended;

static void on_event(struct mg_connection *c, int event, void *data, void *user_data) {
    const char *url = (const char *)user_data;
    if (event == MG_EV_CONNECT) {
        struct mg_str host = mg_url_host(url);
        mg_printf(c, "GET %s HTTP/1.1\r\nHost: %.*s\r\n\r\n", mg_url_uri(url), (int)host.len,
                  host.ptr);
    } else if (event == MG_EV_HTTP_MSG) {
        answered += mg_http_status((struct mg_http_message *)data) == 200;
        c->is_closing = 1;
    } else if (event == MG_EV_CLOSE) {
        ended++;
    }
}

static int client(int count, const char *url) {
    struct mg_mgr mgr;
    mg_log_set(MG_LL_NONE);
    mg_mgr_init(&mgr);
    for (int i = 0; i < count; i++)
        mg_http_connect(&mgr, url, on_event, (void *)url);
    while (ended < count)
        mg_mgr_poll(&mgr, 1000);
    mg_mgr_free(&mgr);
    return answered;
}
