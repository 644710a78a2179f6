/* Elasticsearch 8 by its HTTP API: one connection a process, a circuit breaker, one log line per change of state. While it is away
 * calls return RC_UNAVAILABLE at once, and one in a while tries again. */
#ifndef MOPL_ELASTIC_H
#define MOPL_ELASTIC_H

#include <json-c/json.h>

#include "conf.h"
#include "http_client.h"
#include "rc.h"

struct elastic;

/* NULL if MOPL_ELASTICSEARCH_URL is unset. `conf` is borrowed. */
struct elastic *elastic_new(const struct conf *conf);
void elastic_free(struct elastic *e);
/* Calls end within a second or so, RC_UNAVAILABLE, once `given_up` says so: for a program that is to end. */
void elastic_give_up_when(struct elastic *e, bool (*given_up)(void));

struct elastic_call {
    enum http_method method;
    const char *path; /* from the slash on, encoded */
    struct str body;  /* absent: none */
    bool lines;       /* the body is NDJSON */
    bool unsure;      /* an answer says little yet: elastic_praise() or elastic_blame() tells whether it was a good one */
    int64_t timeout_ms;
};

/* RC_OK: an answer below 300. `*status` (may be NULL) and `*answer` (may be NULL; arena; NULL if it is no JSON) are set whenever
 * one came. RC_UNAVAILABLE: none came in time (408 says so, too), or it says that the engine cannot serve now (429, 5xx): both open
 * the breaker, the former when it happens again and again.
 * RC_NOT_FOUND: 404. RC_BAD_INPUT: any other status, which is logged with the engine's reason. */
MUST_CHECK enum rc elastic_call(struct elastic *e, struct arena *a, const struct elastic_call *call, int *status,
                                struct json_object **answer);
/* The engine answered well: closes the breaker. */
void elastic_praise(struct elastic *e);
/* The engine answered, but not as it should (an index is broken or missing): opens the breaker as a failed call does. `why` is
 * static. */
void elastic_blame(struct elastic *e, const char *why);
/* False while the breaker is open: a call would not be made. */
bool elastic_ready(const struct elastic *e);

/* MOPL_ELASTICSEARCH_REPLICAS and MOPL_ELASTICSEARCH_TIMEOUT_MS. */
int64_t elastic_replicas(const struct elastic *e);
int64_t elastic_timeout_ms(const struct elastic *e);
/* "PREFIX-contents" and the like, by MOPL_ELASTICSEARCH_PREFIX; in the arena. */
const char *elastic_name(const struct elastic *e, struct arena *a, const char *kind);

/* The length of a list in an answer, 0 of anything else. */
size_t elastic_length(struct json_object *list);

#endif
