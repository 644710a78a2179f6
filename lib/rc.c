#include "rc.h"

#include <stddef.h>

static const struct {
    int http_status;
    const char *exception_name;
} table[RC_COUNT] = {
    [RC_OK] = {200, "None"},
    [RC_BAD_INPUT] = {400, "BadRequestException"},
    [RC_UNAUTHENTICATED] = {401, "UnauthenticatedException"},
    [RC_FORBIDDEN] = {403, "ForbiddenException"},
    [RC_NOT_FOUND] = {404, "NotFoundException"},
    [RC_METHOD_NOT_ALLOWED] = {405, "MethodNotAllowedException"},
    [RC_CONFLICT] = {409, "ConflictException"},
    [RC_TOO_LARGE] = {413, "PayloadTooLargeException"},
    [RC_UNSUPPORTED_MEDIA] = {415, "UnsupportedMediaTypeException"},
    [RC_TOO_MANY] = {429, "TooManyRequestsException"},
    [RC_INTERNAL] = {500, "InternalServerException"},
    [RC_UNAVAILABLE] = {503, "ServiceUnavailableException"},
};

/* A code from outside the table is our own bug; people then see an internal error, not a wild pointer. */
static enum rc known(enum rc rc) {
    return (unsigned)rc < RC_COUNT ? rc : RC_INTERNAL;
}

int rc_http_status(enum rc rc) {
    return table[known(rc)].http_status;
}

const char *rc_exception_name(enum rc rc) {
    return table[known(rc)].exception_name;
}
