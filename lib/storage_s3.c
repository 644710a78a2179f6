/* Storage in a bucket of an S3 server (Amazon S3 API, version 2006-03-01). Each object carries its SHA-256 as metadata of ours,
 * which is held against what comes back. */
#include <openssl/sha.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "hex.h"
#include "mem.h"
#include "storage_engine.h"

enum {
    TRIES = 3,
    FIRST_PAUSE_MS = 100,
    PAUSE_FACTOR = 4,
    CONNECT_MS = 3000,
    CALL_MS = 30000,
    PING_MS = 2000,
    PING_EVERY_MS = 5000,
    SAID_MAX_BYTES = 4 << 20
};

#define HASH_HEADER "x-amz-content-sha256"
#define OWN_HASH_HEADER "x-amz-meta-sha256"

struct s3 {
    struct storage storage;
    struct http_client *client;
    struct http_signing signing;
    char *base;        /* address of the bucket, without a slash at the end */
    int64_t pinged_ms; /* monotonic; 0: never */
    enum rc ping;
};

static struct s3 *s3_of(struct storage *s) {
    return (struct s3 *)s;
}

/* Path style: ENDPOINT/BUCKET; virtual host style: the bucket's name ahead of the host's. */
static char *bucket_address(const struct conf *conf) {
    struct buf b;
    buf_init(&b);
    struct str endpoint = str_of(conf->s3_endpoint);
    if (str_eq(str_of(conf->s3_style), STR("virtual"))) {
        const char *host = strstr(conf->s3_endpoint, "://") + strlen("://");
        buf_addf(&b, "%.*s%s.%s", (int)(host - conf->s3_endpoint), conf->s3_endpoint, conf->s3_bucket, host);
    } else {
        buf_addf(&b, "%.*s/%s", (int)endpoint.len, endpoint.ptr, conf->s3_bucket);
    }
    buf_add_char(&b, '\0');
    return b.ptr;
}

struct storage *storage_open_s3(const struct conf *conf) {
    struct s3 *s3 = mem_zalloc(sizeof *s3);
    s3->storage.engine = &storage_s3;
    s3->client = http_client_new();
    s3->signing = (struct http_signing){conf->s3_region, conf->s3_access_key, conf->s3_secret_key};
    s3->base = bucket_address(conf);
    return &s3->storage;
}

static void s3_close(struct storage *s) {
    http_client_free(s3_of(s)->client);
    free(s3_of(s)->base);
    free(s);
}

static struct str hash_of(struct arena *a, struct str bytes) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char *hex = arena_alloc(a, 2 * sizeof digest + 1);
    SHA256((const unsigned char *)(bytes.ptr ? bytes.ptr : ""), bytes.len, digest);
    hex_cstr(digest, sizeof digest, hex);
    return str_of(hex);
}

/* `path` is what follows the bucket's address; an absent body is none. */
static void make_call(struct s3 *s3, struct arena *a, enum http_method method, const char *path, struct str body,
                      struct http_call *call) {
    struct http_header *header = arena_alloc(a, sizeof *header);
    *header = (struct http_header){HASH_HEADER, hash_of(a, body)};
    *call = (struct http_call){.method = method,
                               .url = arena_printf(a, "%s%s", s3->base, path),
                               .headers = header,
                               .header_count = 1,
                               .body = body,
                               .connect_timeout_ms = CONNECT_MS,
                               .timeout_ms = CALL_MS,
                               .answer_max_bytes = SAID_MAX_BYTES,
                               .signing = &s3->signing};
}

static const char *object_path(struct arena *a, struct str key) {
    return arena_printf(a, "/%.*s", (int)key.len, key.ptr);
}

/* Every call may be repeated: it says what is to be there, or only asks. Short pauses: a request may be waiting. */
static enum rc call_s3(struct s3 *s3, struct arena *a, const struct http_call *call, struct http_answer *answer) {
    useconds_t pause_ms = FIRST_PAUSE_MS;
    for (int try = 1;; try++, pause_ms *= PAUSE_FACTOR) {
        enum rc rc = http_client_call(s3->client, a, call, answer);
        bool away = rc == RC_UNAVAILABLE || (rc == RC_OK && (answer->status >= 500 || answer->status == 429));
        if (!away || try == TRIES) return rc;
        usleep(pause_ms * 1000);
    }
}

/* What the server says is an XML text with a <Code>, which is for the log only. */
static enum rc failed(const char *what, enum rc rc, const struct http_answer *answer) {
    if (rc != RC_OK) return storage_refused(what, answer->error);
    char text[128], code[64] = "";
    const char *at = memmem(answer->body.ptr, answer->body.len, "<Code>", strlen("<Code>"));
    if (at) {
        struct str rest = str_from(at + strlen("<Code>"), answer->body.len - (size_t)(at + strlen("<Code>") - answer->body.ptr));
        struct str said = str_cut(&rest, '<');
        snprintf(code, sizeof code, " %.*s", (int)(said.len < sizeof code - 2 ? said.len : sizeof code - 2), said.ptr);
    }
    snprintf(text, sizeof text, "HTTP %d%s", answer->status, code);
    return storage_refused(what, text);
}

bool storage_put_call(struct storage *s, struct arena *a, struct str key, struct str bytes, struct http_call *call) {
    if (s->engine != &storage_s3) return false;
    make_call(s3_of(s), a, HTTP_PUT, object_path(a, key), bytes, call);
    struct http_header *headers = arena_alloc(a, 4 * sizeof *headers);
    headers[0] = call->headers[0];
    headers[1] = (struct http_header){OWN_HASH_HEADER, call->headers[0].value};
    headers[2] = (struct http_header){"Content-Type", str_of(storage_media_type(key))};
    headers[3] = (struct http_header){"Cache-Control", STR("public, max-age=86400")};
    call->headers = headers;
    call->header_count = 4;
    return true;
}

enum rc storage_put_judge(enum rc rc, const struct http_answer *answer) {
    return rc == RC_OK && answer->status / 100 == 2 ? RC_OK : failed("put", rc, answer);
}

static enum rc s3_put(struct storage *s, struct str key, struct str bytes) {
    struct arena a;
    struct http_call call;
    struct http_answer answer;
    arena_init(&a);
    (void)storage_put_call(s, &a, key, bytes, &call);
    enum rc rc = storage_put_judge(call_s3(s3_of(s), &a, &call, &answer), &answer);
    arena_fini(&a);
    return rc;
}

static enum rc s3_get(struct storage *s, struct arena *a, struct str key, size_t max_bytes, struct str *bytes) {
    struct http_call call;
    struct http_answer answer;
    make_call(s3_of(s), a, HTTP_GET, object_path(a, key), (struct str){0}, &call);
    call.answer_max_bytes = max_bytes;
    enum rc rc = call_s3(s3_of(s), a, &call, &answer);
    if (rc == RC_TOO_LARGE) return rc;
    if (rc == RC_OK && answer.status == 404) return RC_NOT_FOUND;
    if (rc != RC_OK || answer.status != 200) return failed("get", rc, &answer);
    struct str hash = http_answer_header(&answer, OWN_HASH_HEADER);
    if (hash.len > 0 && !str_eq(hash, hash_of(a, answer.body))) return storage_refused("get", "not what was stored");
    *bytes = answer.body;
    return RC_OK;
}

static enum rc s3_delete(struct storage *s, struct str key) {
    struct arena a;
    struct http_call call;
    struct http_answer answer;
    arena_init(&a);
    make_call(s3_of(s), &a, HTTP_DELETE, object_path(&a, key), (struct str){0}, &call);
    enum rc rc = call_s3(s3_of(s), &a, &call, &answer);
    if (rc != RC_OK || (answer.status / 100 != 2 && answer.status != 404)) rc = failed("delete", rc, &answer);
    arena_fini(&a);
    return rc;
}

enum rc storage_s3_query(struct storage *s, struct arena *a, const char *query, struct http_answer *answer) {
    struct http_call call;
    make_call(s3_of(s), a, HTTP_GET, arena_printf(a, "/?%s", query), (struct str){0}, &call);
    enum rc rc = call_s3(s3_of(s), a, &call, answer);
    return rc == RC_OK && answer->status == 200 ? RC_OK : failed("list", rc, answer);
}

enum rc storage_ping(struct storage *s) {
    struct s3 *s3 = s3_of(s);
    if (s->engine != &storage_s3) return RC_OK;
    int64_t now_ms = clock_mono_ms();
    if (s3->pinged_ms && now_ms - s3->pinged_ms < PING_EVERY_MS) return s3->ping;
    struct arena a;
    struct http_call call;
    struct http_answer answer;
    arena_init(&a);
    make_call(s3, &a, HTTP_GET, "/?list-type=2&max-keys=1", (struct str){0}, &call);
    call.connect_timeout_ms = call.timeout_ms = PING_MS;
    enum rc rc = http_client_call(s3->client, &a, &call, &answer);
    s3->ping = rc == RC_OK && answer.status == 200 ? RC_OK : failed("ping", rc, &answer);
    s3->pinged_ms = now_ms;
    arena_fini(&a);
    return s3->ping;
}

const struct storage_engine storage_s3 = {s3_close, s3_put, s3_get, s3_delete};
