#include "error_body.h"

#include "json_write.h"

enum msg error_message(enum rc rc) {
    static const enum msg messages[RC_COUNT] = {
        [RC_BAD_INPUT] = MSG_BAD_INPUT,
        [RC_UNAUTHENTICATED] = MSG_UNAUTHENTICATED,
        [RC_FORBIDDEN] = MSG_FORBIDDEN,
        [RC_NOT_FOUND] = MSG_NOT_FOUND,
        [RC_METHOD_NOT_ALLOWED] = MSG_METHOD_NOT_ALLOWED,
        [RC_CONFLICT] = MSG_CONFLICT,
        [RC_TOO_LARGE] = MSG_TOO_LARGE,
        [RC_UNSUPPORTED_MEDIA] = MSG_UNSUPPORTED_MEDIA,
        [RC_TOO_MANY] = MSG_TOO_MANY,
        [RC_INTERNAL] = MSG_INTERNAL,
        [RC_UNAVAILABLE] = MSG_UNAVAILABLE,
    };
    return messages[rc];
}

void error_body_begin(struct buf *out, enum rc rc, struct str message) {
    jw_object(out);
    jw_key(out, "exceptionName");
    jw_str(out, str_of(rc_exception_name(rc)));
    jw_key(out, "message");
    jw_str(out, message);
    jw_key(out, "details");
    jw_object(out);
}

void error_body_end(struct buf *out) {
    jw_object_end(out);
    jw_object_end(out);
}

void error_body(struct buf *out, enum rc rc, enum lang lang, int64_t arg) {
    struct arena a;
    arena_init(&a);
    error_body_begin(out, rc, msg_text(&a, error_message(rc), lang, arg, 0));
    error_body_end(out);
    arena_fini(&a);
}
