#include "bridge_ask.h"

#include "http_client.h"

enum { ANSWER_MAX_BYTES = 1 << 20 };

const char *bridge_socket(struct arena *a, const struct conf *conf, int64_t number) {
    return arena_printf(a, "%s/run/sse_bridge-%lld.sock", conf->data_dir, (long long)number);
}

enum rc bridge_ask(struct arena *a, const struct conf *conf, int64_t number, enum http_method method, const char *target,
                   int64_t timeout_ms, int *status, struct str *body) {
    struct http_answer answer;
    struct http_client *client = http_client_new();
    struct http_call call = {.method = method,
                             .url = arena_printf(a, "http://bridge%s", target),
                             .unix_socket = bridge_socket(a, conf, number),
                             .connect_timeout_ms = timeout_ms,
                             .timeout_ms = timeout_ms,
                             .answer_max_bytes = ANSWER_MAX_BYTES};
    if (method == HTTP_POST) call.body = STR("");
    enum rc rc = http_client_call(client, a, &call, &answer);
    http_client_free(client);
    if (rc != RC_OK) return RC_UNAVAILABLE;
    *status = answer.status;
    *body = answer.body;
    return RC_OK;
}
