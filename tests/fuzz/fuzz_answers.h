/* For fuzzers of what others answer us: each call of lib/http_client.h is answered by the next part of the input. Parts are
 * separated by a NUL; the first line of one is the status, and behind a blank the value of Retry-After. When none is left nobody
 * answers. The Makefile links these with --wrap=http_client_call. */
#ifndef MOPL_FUZZ_ANSWERS_H
#define MOPL_FUZZ_ANSWERS_H

#include "fuzz.h"
#include "http_client.h"
#include "log.h"

static struct str fuzz_answers; /* what is left of the input */

enum rc __wrap_http_client_call(struct http_client *client, struct arena *a, const struct http_call *call,
                                struct http_answer *answer);

enum rc __wrap_http_client_call(struct http_client *client, struct arena *a, const struct http_call *call,
                                struct http_answer *answer) {
    (void)client;
    *answer = (struct http_answer){.error = "nobody"};
    /* What http_client_call refuses, too: texts of answers that are sent on may be unfit. */
    if (strncmp(call->url, "http", 4) != 0) return RC_BAD_INPUT;
    for (size_t i = 0; i < call->header_count; i++) {
        struct str value = call->headers[i].value;
        for (size_t k = 0; k < value.len; k++)
            if (strchr("\r\n", value.ptr[k])) return RC_BAD_INPUT;
    }
    if (!fuzz_answers.ptr) return RC_UNAVAILABLE;
    struct str body = str_cut(&fuzz_answers, '\0'), later = str_cut(&body, '\n'), status = str_cut(&later, ' ');
    int64_t number;
    if (!str_to_i64(status, &number) || number < 100 || number > 599) return RC_UNAVAILABLE;
    *answer = (struct http_answer){.status = (int)number, .headers = STR(""), .body = STR("")};
    if (body.len > call->answer_max_bytes) return RC_TOO_LARGE;
    if (body.ptr) answer->body = arena_dup(a, body);
    if (later.ptr) answer->headers = str_of(arena_printf(a, "Retry-After: %.*s\r\n", (int)later.len, later.ptr));
    return RC_OK;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR + 1);
    return 0;
}

#endif
