/* Asking a source of contents over HTTP, with the patience that the settings give. */
#ifndef MOPL_BATCH_SOURCE_H
#define MOPL_BATCH_SOURCE_H

#include "http_client.h"
#include "json.h"
#include "runner.h"

struct source {
    struct batch *b;
    const char *name;       /* "TMDB", for errors */
    const char *token;      /* sent as Bearer; NULL: none */
    struct http_pool *pool; /* of one lane */
    struct http_lane *lane; /* of the last request */
    const char *asked;      /* address of a request that source_ahead() sent and nobody has asked for yet; NULL: none */
    enum rc rc;             /* of the last request that ended */
};

void source_init(struct source *s, struct batch *b, const char *name, const char *token);
void source_fini(struct source *s);
/* Sends the request that source_get() is going to be asked for next, so that it is answered while something else is done. `url` is
 * borrowed until then. */
void source_ahead(struct source *s, const char *url);

/* How an answer of a source is to be taken. */
enum source_verdict {
    SOURCE_GOOD,
    SOURCE_LATER, /* 429: when it says, or after the settings' pause; does not count as a try */
    SOURCE_AGAIN, /* 5xx, no answer, a part of one: try again */
    SOURCE_NEVER, /* anything else */
};
enum source_verdict source_judge(enum rc rc, const struct http_answer *answer);

/* The JSON object at `url`, owned by b->chunk. `what` names it in errors ("page 7 of films"): neither address nor key is shown.
 * Errors, told by batch_fail: RC_BAD_INPUT refused for good (other 4xx, redirects, a 200 that is no JSON object after all tries);
 * RC_UNAVAILABLE away after all tries, or asked to stop. */
MUST_CHECK enum rc source_get(struct source *s, const char *url, const char *what, struct json_object **out);

/* The address of an API on a server other than the service's own: `base` as it is if it has a path, else with this one. */
const char *source_base(struct arena *a, const char *base, const char *path);

#endif
