#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "conf_forms.h"
#include "json_write.h"
#include "utf8.h"

enum kind { KIND_TEXT, KIND_INT, KIND_BOOL };

struct setting {
    const char *name;
    enum kind kind;
    size_t offset; /* of its field in struct conf */
    const char *default_text;
    int64_t default_number;
    int64_t min;
    int64_t max;
    bool secret;
    const char *help;
};

static const struct setting settings[] = {
#define CONF_TEXT(field, name, def, secret, help) {name, KIND_TEXT, offsetof(struct conf, field), def, 0, 0, 0, secret, help},
#define CONF_INT(field, name, def, min, max, help) {name, KIND_INT, offsetof(struct conf, field), "", def, min, max, false, help},
#define CONF_BOOL(field, name, def, help) {name, KIND_BOOL, offsetof(struct conf, field), "", def, 0, 1, false, help},
#include "conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
};

/* Place of each field's setting in the table. */
enum {
#define CONF_TEXT(field, name, def, secret, help) AT_##field,
#define CONF_INT(field, name, def, min, max, help) AT_##field,
#define CONF_BOOL(field, name, def, help) AT_##field,
#include "conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
    SETTING_COUNT
};

enum { FILE_MAX_BYTES = 64 * 1024, SHOWN_MAX_CHARACTERS = 80, SOCKET_PATH_MAX_BYTES = 107, KEY_MIN_BYTES = 32 };

/* Where a value came from, as errors say it. */
static const char from_environment[] = "from the environment";
static const char from_file[] = "from settings.env";
static const char from_default[] = "the default";

struct loader {
    FILE *errors;
    bool failed;
    struct arena arena;               /* of all texts until they are packed into one block */
    struct str values[SETTING_COUNT]; /* absent: not given */
    const char *sources[SETTING_COUNT];
    struct conf conf;
};

static const char **text_field(struct conf *c, size_t at) {
    return (const char **)(void *)((char *)c + settings[at].offset);
}

static const char *text_of(const struct conf *c, size_t at) {
    return *(const char *const *)(const void *)((const char *)c + settings[at].offset);
}

static int64_t number_of(const struct conf *c, size_t at) {
    return *(const int64_t *)(const void *)((const char *)c + settings[at].offset);
}

static bool switch_of(const struct conf *c, size_t at) {
    return *(const bool *)(const void *)((const char *)c + settings[at].offset);
}

/* Errors */

/* One line: the setting, its value unless that is secret or cannot be shown, where it came from, and what is wrong with it. */
static void fail(struct loader *l, size_t at, struct str shown, const char *complaint) {
    l->failed = true;
    struct buf line;
    buf_init(&line);
    if (settings[at].secret || !shown.ptr) {
        buf_add(&line, STR("its value"));
    } else {
        jw_str(&line, utf8_prefix(shown, SHOWN_MAX_CHARACTERS));
    }
    fprintf(l->errors, "%s: %.*s (%s) %s\n", settings[at].name, (int)line.len, line.ptr, l->sources[at], complaint);
    buf_fini(&line);
}

static void fail_file(struct loader *l, const char *complaint) {
    l->failed = true;
    fprintf(l->errors, "%s: %s\n", l->conf.settings_file, complaint);
}

static void fail_line(struct loader *l, size_t line, const char *complaint) {
    l->failed = true;
    fprintf(l->errors, "%s: line %zu: %s\n", l->conf.settings_file, line, complaint);
}

/* Sources */

static size_t find_setting(struct str name) {
    size_t at = 0;
    while (at < SETTING_COUNT && !str_eq(str_of(settings[at].name), name)) at++;
    return at;
}

/* AWS_S3_BUCKET and so on, as other programs call them, count where MOPL_S3_BUCKET is not given. */
static void read_other_name(struct loader *l, struct str name, struct str value) {
    if (!str_starts(name, STR("AWS_S3_")) || value.len == 0) return;
    struct str own = str_of(arena_printf(&l->arena, "MOPL_%.*s", (int)(name.len - strlen("AWS_")), name.ptr + strlen("AWS_")));
    size_t at = find_setting(own);
    if (at == SETTING_COUNT || l->values[at].ptr) return;
    l->values[at] = value;
    l->sources[at] = from_environment;
}

static void read_environment(struct loader *l) {
    for (char **entry = environ; *entry; entry++) {
        struct str value = str_of(*entry);
        struct str name = str_cut(&value, '=');
        size_t at = find_setting(name);
        if (at < SETTING_COUNT && value.len > 0) {
            l->values[at] = value;
            l->sources[at] = from_environment;
        } else if (at == SETTING_COUNT && str_starts(name, STR("MOPL_"))) {
            fprintf(l->errors, "warning: %.*s in the environment is not a setting\n", (int)name.len, name.ptr);
        }
    }
    for (char **entry = environ; *entry; entry++) {
        struct str value = str_of(*entry);
        struct str name = str_cut(&value, '=');
        read_other_name(l, name, value);
    }
}

/* 'text', in which '\'' stands for a quote, as a shell (and conf_export) writes it. Unquoted text stands for itself. */
static bool unquote(struct loader *l, struct str raw, struct str *value) {
    if (raw.len == 0 || raw.ptr[0] != '\'') {
        *value = arena_dup(&l->arena, raw);
        return true;
    }
    char *out = arena_alloc(&l->arena, raw.len);
    size_t len = 0;
    struct str rest = str_from(raw.ptr + 1, raw.len - 1);
    for (;;) {
        struct str part = str_cut(&rest, '\'');
        if (!rest.ptr) return false; /* no closing quote */
        memcpy(out + len, part.ptr, part.len);
        len += part.len;
        if (rest.len == 0) break;
        if (!str_starts(rest, STR("\\''"))) return false;
        out[len++] = '\'';
        rest = str_from(rest.ptr + 3, rest.len - 3);
    }
    *value = str_from(out, len);
    return true;
}

/* Needed to find the file. */
static bool is_early(size_t at) {
    return at == AT_data_dir || at == AT_settings_file;
}

static void read_line(struct loader *l, struct str line, size_t number, bool seen[SETTING_COUNT]) {
    line = str_trim(line);
    if (line.len == 0 || line.ptr[0] == '#') return;
    struct str rest = line;
    struct str name = str_trim(str_cut(&rest, '='));
    struct str value;
    size_t at = find_setting(name);
    if (!rest.ptr) {
        fail_line(l, number, "is not of the form NAME=value");
    } else if (at == SETTING_COUNT) {
        fail_line(l, number, "names no setting; `mopl config` lists them all");
    } else if (is_early(at)) {
        fail_line(l, number, arena_printf(&l->arena, "%s tells where this file is, so it cannot be set in it", settings[at].name));
    } else if (seen[at]) {
        fail_line(l, number, arena_printf(&l->arena, "%s is set a second time", settings[at].name));
    } else if (!unquote(l, str_trim(rest), &value)) {
        fail_line(l, number, arena_printf(&l->arena, "%s: the quotes do not match", settings[at].name));
    } else {
        seen[at] = true;
        if (l->values[at].ptr || value.len == 0) return; /* the environment goes first; an empty value is none */
        l->values[at] = value;
        l->sources[at] = from_file;
    }
}

/* Whole file into the arena; false (and reported) if it is not a small, private, regular file. */
static bool read_private_file(struct loader *l, int fd, struct str *content) {
    struct stat about;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        fail_file(l, "is not a regular file");
        return false;
    }
    if (about.st_mode & (S_IRWXG | S_IRWXO)) {
        fail_file(l, "holds secrets but is open to others; make it private: chmod 600");
        return false;
    }
    if (about.st_size > FILE_MAX_BYTES) {
        fail_file(l, "is larger than 64 KB");
        return false;
    }
    char *bytes = arena_alloc(&l->arena, (size_t)about.st_size);
    size_t len = 0;
    while (len < (size_t)about.st_size) {
        ssize_t got = read(fd, bytes + len, (size_t)about.st_size - len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            fail_file(l, strerror(errno));
            return false;
        }
        if (got == 0) break;
        len += (size_t)got;
    }
    *content = str_from(bytes, len);
    return true;
}

/* A file that is not there yet is in order: the first start writes it. */
static void read_file(struct loader *l) {
    int fd = open(l->conf.settings_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT) fail_file(l, strerror(errno));
        return;
    }
    struct str rest;
    if (read_private_file(l, fd, &rest)) {
        bool seen[SETTING_COUNT] = {false};
        for (size_t number = 1; rest.ptr; number++) read_line(l, str_cut(&rest, '\n'), number, seen);
    }
    (void)close(fd);
}

/* Values */

static bool is_clean_text(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f) return false;
    }
    return utf8_valid(s);
}

static bool parse_switch(struct str text, bool *on) {
    static const char *const forms[][2] = {{"off", "on"}, {"false", "true"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        *on = str_eq_nocase(text, str_of(forms[i][1]));
        if (*on || str_eq_nocase(text, str_of(forms[i][0]))) return true;
    }
    return false;
}

/* Sets one field from what was given, or from its default; a bad value is reported and the default kept. */
static void set_field(struct loader *l, size_t at) {
    const struct setting *s = &settings[at];
    void *field = (char *)&l->conf + s->offset;
    struct str given = l->values[at];
    if (given.ptr && !is_clean_text(given)) {
        fail(l, at, (struct str){0}, "has control characters or is not UTF-8");
        given = (struct str){0};
    }
    if (s->kind == KIND_TEXT) {
        *text_field(&l->conf, at) = given.ptr ? arena_cstr(&l->arena, given) : s->default_text;
    } else if (s->kind == KIND_INT) {
        int64_t value = s->default_number;
        if (given.ptr && (!str_to_i64(given, &value) || value < s->min || value > s->max)) {
            fail(l, at, given,
                 arena_printf(&l->arena, "must be a whole number from %lld to %lld", (long long)s->min, (long long)s->max));
        }
        *(int64_t *)field = value;
    } else {
        bool value = s->default_number;
        if (given.ptr && !parse_switch(given, &value)) fail(l, at, given, "must be on or off");
        *(bool *)field = value;
    }
}

/* Without "." and empty segments. ".." stays: what it means depends on symbolic links. */
static const char *absolute_path(struct arena *a, const char *path) {
    struct buf out;
    buf_init(&out);
    char *base = path[0] == '/' ? NULL : getcwd(NULL, 0);
    const struct str parts[] = {str_of(base), str_of(path)};
    for (size_t i = 0; i < 2; i++) {
        struct str rest = parts[i];
        while (rest.ptr) {
            struct str segment = str_cut(&rest, '/');
            if (segment.len == 0 || str_eq(segment, STR("."))) continue;
            buf_add_char(&out, '/');
            buf_add(&out, segment);
        }
    }
    free(base);
    const char *absolute = out.len ? arena_cstr(a, buf_str(&out)) : "/";
    buf_fini(&out);
    return absolute;
}

/* Names of folders and files go into addresses (libpq splits at commas, ours at question marks) and into the front server's
 * configuration. */
static void set_path(struct loader *l, size_t at) {
    const char **field = text_field(&l->conf, at);
    if (**field == '\0') return;
    *field = absolute_path(&l->arena, *field);
    if (!is_clean_text(str_of(*field))) fail(l, at, (struct str){0}, "has control characters or is not UTF-8 as an absolute path");
    if (strpbrk(*field, "\"'\\,?$`")) fail(l, at, str_of(*field), "must be a path without any of \" ' \\ , ? $ ` in its name");
}

static void check_data_dir(struct loader *l) {
    const char *dir = l->conf.data_dir;
    size_t longest = strlen(dir) + strlen("/run/.s.PGSQL.5432");
    if (longest <= SOCKET_PATH_MAX_BYTES) return;
    fail(l, AT_data_dir, str_of(dir),
         arena_printf(&l->arena, "makes %zu bytes as an absolute path; sockets under it allow %zu at most", strlen(dir),
                      SOCKET_PATH_MAX_BYTES - strlen("/run/.s.PGSQL.5432")));
}

static void check(struct loader *l, size_t at, bool holds, const char *complaint) {
    if (!holds) fail(l, at, str_of(text_of(&l->conf, at)), complaint);
}

static void check_key(struct loader *l, size_t at) {
    size_t bytes = strlen(text_of(&l->conf, at));
    check(l, at, bytes == 0 || bytes >= KEY_MIN_BYTES, "must have 32 bytes or more");
}

/* What belongs to a certificate needs the certificate. */
static void check_tls(struct loader *l) {
    const struct conf *c = &l->conf;
    bool tls = *c->tls_certificate != '\0';
    check(l, AT_tls_certificate, tls || (!*c->tls_key && c->redirect_port == 0), "must be set, as other settings of TLS are");
    if (c->redirect_port != c->port || c->redirect_port == 0) return;
    fail(l, AT_redirect_port, str_of(arena_printf(&l->arena, "%lld", (long long)c->port)), "must be another port than MOPL_PORT");
}

/* A bucket needs its keys, and what belongs to a bucket needs the bucket. */
static void check_s3(struct loader *l) {
    const struct conf *c = &l->conf;
    size_t bucket = strlen(c->s3_bucket);
    bool any = *c->s3_endpoint || *c->s3_access_key || *c->s3_secret_key;
    check(l, AT_s3_bucket, bucket > 0 || !any, "must be set, as other settings of S3 are");
    if (bucket == 0) return;
    check(l, AT_s3_bucket, bucket >= 3 && bucket <= 63 && conf_has_only(str_of(c->s3_bucket), ".-"),
          "must be 3 to 63 letters, digits, . and -");
    check(l, AT_s3_endpoint, *c->s3_endpoint == '\0' || conf_is_origin(str_of(c->s3_endpoint)),
          "must be http://HOST[:PORT] or https://HOST[:PORT], without a path");
    check(l, AT_s3_region, conf_has_only(str_of(c->s3_region), "-"), "must be a region's name");
    check(l, AT_s3_access_key, *c->s3_access_key != '\0', "must be set, as MOPL_S3_BUCKET is");
    check(l, AT_s3_secret_key, *c->s3_secret_key != '\0', "must be set, as MOPL_S3_BUCKET is");
    check(l, AT_s3_style, strcmp(c->s3_style, "path") == 0 || strcmp(c->s3_style, "virtual") == 0, "must be path or virtual");
}

static void check_batch(struct loader *l) {
    const struct conf *c = &l->conf;
    int64_t second;
    static const size_t addresses[] = {AT_tmdb_url, AT_tmdb_image_url, AT_sports_url, AT_push_gateway};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct str text = str_of(text_of(c, addresses[i]));
        check(l, addresses[i], text.len == 0 || conf_is_web_address(text),
              "must be an address http://... or https://..., without a slash at its end");
    }
    check(l, AT_batch_at, strcmp(c->batch_at, "off") == 0 || clock_parse_daily(str_of(c->batch_at), &second),
          "must be a time like 01:00 or 01:00+09:00, or off");
}

static void check_accounts(struct loader *l) {
    const struct conf *c = &l->conf;
    check(l, AT_smtp_url,
          !*c->smtp_url || str_starts(str_of(c->smtp_url), STR("smtp://")) || str_starts(str_of(c->smtp_url), STR("smtps://")),
          "must be smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://...");
    check(l, AT_smtp_tls, conf_is_one_of(c->smtp_tls, (const char *const[]){"required", "tried", "off", NULL}),
          "must be required, tried or off");
    check(l, AT_trusted_proxies, !*c->trusted_proxies || conf_is_network_list(str_of(c->trusted_proxies)),
          "must be addresses or networks like 10.0.0.0/8, comma separated");
    check(l, AT_google_issuer, conf_is_target(c->google_issuer) && *c->google_issuer != '/',
          "must be an address of an OpenID provider");
    check(l, AT_kakao_issuer, conf_is_target(c->kakao_issuer) && *c->kakao_issuer != '/',
          "must be an address of an OpenID provider");
    check(l, AT_oauth_success_url, conf_is_target(c->oauth_success_url), "must be a path or an address");
    check(l, AT_oauth_failure_url, conf_is_target(c->oauth_failure_url), "must be a path or an address");
}

static void check_texts(struct loader *l) {
    const struct conf *c = &l->conf;
    struct str level = str_of(c->log_level);
    struct str redis = str_of(c->redis_url);
    size_t password = utf8_length(str_of(c->admin_password));
    check(l, AT_listen_address, conf_is_ipv6(c->listen_address) || conf_has_only(str_of(c->listen_address), ".-"),
          "must be an IP address or a host name");
    check(l, AT_metrics_listen, *c->metrics_listen == '\0' || conf_has_port(c->metrics_listen, 1),
          "must be HOST:PORT, such as 127.0.0.1:9464");
    check(l, AT_log_level,
          str_eq(level, STR("debug")) || str_eq(level, STR("info")) || str_eq(level, STR("warn")) || str_eq(level, STR("error")),
          "must be debug, info, warn or error");
    check(l, AT_public_url, *c->public_url == '\0' || conf_is_origin(str_of(c->public_url)),
          "must be http://HOST[:PORT] or https://HOST[:PORT], without a path");
    check(l, AT_allowed_origins, *c->allowed_origins == '\0' || conf_is_origin_list(str_of(c->allowed_origins)),
          "must be origins like https://HOST[:PORT], without a path, comma separated");
    check(l, AT_bridge_listen, *c->bridge_listen == '\0' || conf_has_port(c->bridge_listen, c->bridges),
          "must be HOST:PORT, with free ports for all bridges from that one on");
    check(l, AT_admin_email, conf_is_mail_address(str_of(c->admin_email)), "must be a mail address");
    check(l, AT_admin_password, password == 0 || (password >= 8 && password <= 128), "must have 8 to 128 characters");
    check(l, AT_mail_from, strchr(c->mail_from, '@') != NULL, "must hold a mail address");
    check(l, AT_database_url, conf_is_database_url(c->database_url), "must be an address of PostgreSQL (URL or keywords of libpq)");
    check(l, AT_redis_url, redis.len == 0 || str_starts(redis, STR("redis://")) || str_starts(redis, STR("unix:/")),
          "must be redis://[:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH[?db=N]");
    check(l, AT_elasticsearch_url, *c->elasticsearch_url == '\0' || conf_is_http_url(str_of(c->elasticsearch_url)),
          "must be http://[USER:PASSWORD@]HOST[:PORT] or https://..., without a path");
    check(l, AT_elasticsearch_prefix, conf_is_index_name(str_of(c->elasticsearch_prefix)),
          "must begin with a small letter and have small letters, digits, - and _ only, 40 at most");
    check_key(l, AT_jwt_key);
    check_key(l, AT_jwt_key_previous);
    check_accounts(l);
    check_tls(l);
    check_s3(l);
    check_batch(l);
}

static void derive(struct loader *l) {
    struct conf *c = &l->conf;
    c->private_database = *c->database_url == '\0';
    if (c->private_database) {
        const char *quote = strchr(c->data_dir, ' ') ? "'" : "";
        c->database_url = arena_printf(&l->arena, "host=%s%s/run%s port=5432 dbname=mopl user=mopl", quote, c->data_dir, quote);
    }
    c->private_redis = *c->redis_url == '\0';
    if (c->private_redis) c->redis_url = arena_printf(&l->arena, "unix:%s/run/redis.sock", c->data_dir);
    if (*c->s3_bucket && !*c->s3_endpoint) c->s3_endpoint = arena_printf(&l->arena, "https://s3.%s.amazonaws.com", c->s3_region);
    if (*c->tls_certificate) c->secure_cookies = true;
    if (*c->tls_certificate && !*c->tls_key) c->tls_key = c->tls_certificate;
    if (*c->public_url) return;
    const char *host = c->listen_address;
    if (conf_is_ipv6(host)) host = arena_printf(&l->arena, "[%s]", host);
    const char *scheme = *c->tls_certificate ? "https" : "http";
    c->public_url = arena_printf(&l->arena, "%s://%s:%lld", scheme, host, (long long)c->port);
}

/* Texts move from the arena into one block that the settings own. */
static void pack(struct loader *l, struct conf *out) {
    *out = l->conf;
    struct buf block;
    buf_init(&block);
    size_t places[SETTING_COUNT];
    for (size_t at = 0; at < SETTING_COUNT; at++) {
        if (settings[at].kind != KIND_TEXT) continue;
        places[at] = block.len;
        struct str text = str_of(text_of(&l->conf, at));
        buf_add(&block, str_from(text.ptr, text.len + 1)); /* with its NUL */
    }
    out->storage = block.ptr;
    for (size_t at = 0; at < SETTING_COUNT; at++) {
        if (settings[at].kind == KIND_TEXT) *text_field(out, at) = out->storage + places[at];
    }
}

enum rc conf_load(struct conf *c, FILE *errors) {
    enum rc rc = RC_BAD_INPUT;
    struct loader l = {.errors = errors};
    arena_init(&l.arena);
    for (size_t at = 0; at < SETTING_COUNT; at++) l.sources[at] = from_default;
    read_environment(&l);
    set_field(&l, AT_data_dir);
    set_field(&l, AT_settings_file);
    set_path(&l, AT_data_dir);
    set_path(&l, AT_settings_file);
    check_data_dir(&l);
    if (!*l.conf.settings_file) l.conf.settings_file = arena_printf(&l.arena, "%s/settings.env", l.conf.data_dir);
    if (!l.failed) read_file(&l);
    for (size_t at = 0; at < SETTING_COUNT; at++) {
        if (!is_early(at)) set_field(&l, at);
    }
    set_path(&l, AT_web_root);
    set_path(&l, AT_tls_certificate);
    set_path(&l, AT_tls_key);
    check_texts(&l);
    if (l.failed) goto out;
    derive(&l);
    pack(&l, c);
    rc = RC_OK;
out:
    arena_fini(&l.arena);
    return rc;
}

void conf_fini(struct conf *c) {
    free(c->storage);
    *c = (struct conf){0};
}

/* Output */

static void print_value(const struct conf *c, size_t at, bool masked, FILE *out) {
    if (settings[at].kind == KIND_INT) {
        fprintf(out, "%lld", (long long)number_of(c, at));
    } else if (settings[at].kind == KIND_BOOL) {
        fputs(switch_of(c, at) ? "on" : "off", out);
    } else {
        const char *text = text_of(c, at);
        fputs(masked && *text ? "********" : text, out);
    }
}

void conf_print(const struct conf *c, FILE *out) {
    for (size_t at = 0; at < SETTING_COUNT; at++) {
        fprintf(out, "%s=", settings[at].name);
        print_value(c, at, settings[at].secret, out);
        fprintf(out, "  # %s", settings[at].help);
        if (settings[at].kind == KIND_INT) {
            fprintf(out, " (%lld to %lld)", (long long)settings[at].min, (long long)settings[at].max);
        }
        fputc('\n', out);
    }
}

static void export_text(const char *text, FILE *out) {
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            fputc(*text, out);
        }
    }
}

void conf_export(const struct conf *c, FILE *out) {
    for (size_t at = 0; at < SETTING_COUNT; at++) {
        fprintf(out, "%s='", settings[at].name);
        if (settings[at].kind == KIND_TEXT) {
            export_text(text_of(c, at), out);
        } else {
            print_value(c, at, false, out);
        }
        fputs("'\n", out);
    }
    fprintf(out, "mopl_private_database='%s'\n", c->private_database ? "on" : "off");
    fprintf(out, "mopl_private_redis='%s'\n", c->private_redis ? "on" : "off");
}
