/* Result codes: the one error type of MOPL. Every fallible function returns one and writes its outputs last. */
#ifndef MOPL_RC_H
#define MOPL_RC_H

#define MUST_CHECK __attribute__((warn_unused_result))

/* Each code but RC_OK maps to one HTTP status and one `exceptionName` of the contract's error body. */
enum rc {
    RC_OK = 0,
    RC_BAD_INPUT,          /* 400 */
    RC_UNAUTHENTICATED,    /* 401 */
    RC_FORBIDDEN,          /* 403 */
    RC_NOT_FOUND,          /* 404 */
    RC_METHOD_NOT_ALLOWED, /* 405 */
    RC_CONFLICT,           /* 409 */
    RC_TOO_LARGE,          /* 413 */
    RC_UNSUPPORTED_MEDIA,  /* 415 */
    RC_TOO_MANY,           /* 429 */
    RC_INTERNAL,           /* 500: our own fault; the detail is in the log, never in the answer */
    RC_UNAVAILABLE,        /* 503: a needed part (database, storage, mail) is away */
    RC_COUNT
};

/* HTTP status of `rc`; 200 for RC_OK. */
int rc_http_status(enum rc rc);

/* The contract's `exceptionName`, e.g. "NotFoundException". Static string. */
const char *rc_exception_name(enum rc rc);

#endif
