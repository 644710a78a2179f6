#include "req.h"

#include "log.h"

struct str req_var(const struct req *r, const char *name) {
    size_t len = strlen(name);
    for (char **var = r->vars; var && *var; var++) {
        if (strncmp(*var, name, len) == 0 && (*var)[len] == '=') return str_of(*var + len + 1);
    }
    return (struct str){0};
}

static bool header_safe(struct str value) {
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0') return false;
    }
    return true;
}

void req_header(struct req *r, const char *name, struct str value) {
    if (!header_safe(value)) {
        log_event(LOG_ERROR, "header_left_out", LOG_CSTR("header", name));
        return;
    }
    buf_add(r->headers, str_of(name));
    buf_add(r->headers, STR(": "));
    buf_add(r->headers, value);
    buf_add(r->headers, STR("\r\n"));
}

enum rc req_fail(struct req *r, enum rc rc, enum msg message) {
    r->error = message;
    return rc;
}

/* "is required" says nothing without its field, so such a text goes into details only. */
static bool makes_sense_alone(enum msg message) {
    return message < MSG_REQUIRED || message > MSG_PASSWORD_WRONG;
}

enum rc req_fail_field(struct req *r, enum rc rc, const char *field, enum msg message, int64_t arg0, int64_t arg1) {
    req_invalid(r, field, message, arg0, arg1);
    if (makes_sense_alone(message)) {
        r->error = message;
        r->error_args[0] = arg0;
        r->error_args[1] = arg1;
    }
    return rc;
}

void req_invalid(struct req *r, const char *field, enum msg message, int64_t arg0, int64_t arg1) {
    struct str name = str_of(field);
    for (size_t i = 0; i < r->field_error_count; i++) {
        if (str_eq(r->field_errors[i].field, name)) return;
    }
    if (r->field_error_count == REQ_ERRORS_MAX) return;
    r->field_errors[r->field_error_count++] = (struct req_field_error){name, message, {arg0, arg1}};
}

enum rc req_check(struct req *r) {
    return r->field_error_count > 0 ? RC_BAD_INPUT : RC_OK;
}

enum rc req_too_many(struct req *r, int64_t retry_after_s) {
    req_header(r, "Retry-After", str_of(arena_printf(r->arena, "%lld", (long long)retry_after_s)));
    r->error_args[0] = retry_after_s;
    return req_fail(r, RC_TOO_MANY, MSG_TOO_MANY);
}

enum rc req_params(struct req *r, struct str raw, const char *whole, struct http_params *out) {
    if (http_params_parse(r->arena, raw, out)) return RC_OK;
    const char *field = out->fault_name.len > 0 ? arena_cstr(r->arena, out->fault_name) : whole;
    switch (out->fault) {
    case HTTP_FAULT_NUL:
        return req_fail_field(r, RC_BAD_INPUT, field, MSG_NUL, 0, 0);
    case HTTP_FAULT_UTF8:
        return req_fail_field(r, RC_BAD_INPUT, field, MSG_NOT_UTF8, 0, 0);
    case HTTP_FAULT_COUNT:
        return req_fail_field(r, RC_BAD_INPUT, field, MSG_COUNT_RANGE, 0, HTTP_PARAMS_MAX);
    case HTTP_FAULT_ESCAPE:
        break;
    }
    return req_fail_field(r, RC_BAD_INPUT, field, MSG_BAD_FORM, 0, 0);
}

bool req_query_uuid(struct req *r, const char *name, bool required, struct uuid *out) {
    struct str text = http_param(&r->query, name);
    if (!text.ptr) {
        if (required) req_invalid(r, name, MSG_REQUIRED, 0, 0);
        return false;
    }
    if (uuid_parse(text, out)) return true;
    req_invalid(r, name, MSG_NOT_UUID, 0, 0);
    return false;
}

void req_cookie(struct req *r, const char *name, struct str value, const char *path, int64_t max_age_s, bool http_only) {
    const char *age = max_age_s < 0 ? "" : arena_printf(r->arena, "; Max-Age=%lld", (long long)max_age_s);
    const char *line =
        arena_printf(r->arena, "%s=%.*s; Path=%s%s; SameSite=Lax%s%s", name, (int)value.len, value.ptr ? value.ptr : "", path, age,
                     http_only ? "; HttpOnly" : "", r->app->conf->secure_cookies ? "; Secure" : "");
    req_header(r, "Set-Cookie", str_of(line));
}
