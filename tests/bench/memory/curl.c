#include "measure.h"
#include <curl/curl.h>

static size_t on_body(char *data, size_t size, size_t count, void *user_data) {
    (void)data;
    (void)user_data;
    return size * count;
}

static int client(int count, const char *url) {
    CURLM *multi = curl_multi_init();
    CURLMsg *message;
    int running = count, left, answered = 0;
    long status;
    for (int i = 0; i < count; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_multi_add_handle(multi, easy);
    }
    while (running > 0) {
        curl_multi_perform(multi, &running);
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            CURL *easy = message->easy_handle;
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            answered += status == 200;
            curl_multi_remove_handle(multi, easy);
            curl_easy_cleanup(easy);
        }
    }
    curl_multi_cleanup(multi);
    return answered;
}
