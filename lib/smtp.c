#include "smtp.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "mem.h"

enum { CONNECT_TIMEOUT_S = 10, TIMEOUT_S = 60 };

struct smtp {
    CURL *curl;
    CURL *ping; /* a connection each time: servers count what is asked without a mail on one */
    bool (*stop)(void);
};

static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up) {
    const struct smtp *s = context;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return s->stop && s->stop();
}

/* The password goes to nobody who cannot show a certificate, unless the setting says that the way there is safe. */
static long use_ssl(const char *tls) {
    return strcmp(tls, "required") == 0 ? CURLUSESSL_ALL : strcmp(tls, "tried") == 0 ? CURLUSESSL_TRY : CURLUSESSL_NONE;
}

static CURL *handle_new(struct smtp *s, const struct conf *conf, int timeout_s) {
    CURL *curl = curl_easy_init();
    if (!curl) abort();
    curl_easy_setopt(curl, CURLOPT_URL, conf->smtp_url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, use_ssl(conf->smtp_tls));
    if (conf->smtp_ca_file[0]) curl_easy_setopt(curl, CURLOPT_CAINFO, conf->smtp_ca_file);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, s);
    return curl;
}

struct smtp *smtp_new(const struct conf *conf, bool (*stop)(void)) {
    struct smtp *s = mem_zalloc(sizeof *s);
    s->stop = stop;
    s->curl = handle_new(s, conf, TIMEOUT_S);
    curl_easy_setopt(s->curl, CURLOPT_UPLOAD, 1L);
    s->ping = handle_new(s, conf, CONNECT_TIMEOUT_S);
    curl_easy_setopt(s->ping, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(s->ping, CURLOPT_CUSTOMREQUEST, "NOOP");
    curl_easy_setopt(s->ping, CURLOPT_FORBID_REUSE, 1L);
    return s;
}

void smtp_free(struct smtp *s) {
    if (!s) return;
    curl_easy_cleanup(s->curl);
    curl_easy_cleanup(s->ping);
    free(s);
}

static size_t on_read(char *to, size_t size, size_t count, void *context) {
    struct str *rest = context;
    size_t bytes = size * count < rest->len ? size * count : rest->len;
    memcpy(to, rest->ptr, bytes);
    *rest = str_from(rest->ptr + bytes, rest->len - bytes);
    return bytes;
}

/* A refused receiver is told by 550, 551 or 553. Other 5xx are about us (no relaying for us, a full disk, a block list) and may
 * pass. */
static bool is_refused(CURLcode code, long status) {
    return code != CURLE_OK && code != CURLE_LOGIN_DENIED && (status == 550 || status == 551 || status == 553);
}

static const char *told(struct arena *a, CURLcode code, long status) {
    return code == CURLE_OK ? NULL : arena_printf(a, "%s (SMTP %ld)", curl_easy_strerror(code), status);
}

enum rc smtp_ping(struct smtp *s, struct arena *a, const char **error) {
    long status = 0;
    CURLcode code = curl_easy_perform(s->ping);
    curl_easy_getinfo(s->ping, CURLINFO_RESPONSE_CODE, &status);
    *error = told(a, code, status);
    return code == CURLE_OK ? RC_OK : RC_UNAVAILABLE;
}

enum rc smtp_send(struct smtp *s, struct arena *a, struct str from, struct str to, struct str message, const char **error) {
    struct str rest = message;
    long status = 0;
    struct curl_slist *receivers = curl_slist_append(NULL, arena_printf(a, "<%.*s>", (int)to.len, to.ptr));
    curl_easy_setopt(s->curl, CURLOPT_MAIL_FROM, arena_printf(a, "<%.*s>", (int)from.len, from.ptr));
    curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, receivers);
    curl_easy_setopt(s->curl, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(s->curl, CURLOPT_READDATA, &rest);
    CURLcode code = curl_easy_perform(s->curl);
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(receivers);
    *error = told(a, code, status);
    if (code == CURLE_OK) return RC_OK;
    return is_refused(code, status) ? RC_NOT_FOUND : RC_UNAVAILABLE;
}
