#include "expect.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

/* A data folder of its own for each test, and what conf_load reported. */
static char dir[] = "/tmp/mopl-test-conf-XXXXXX";
static char *report;
static size_t report_len;
static struct conf conf;

static void init(void) {
    for (char **entry = environ; *entry;) {
        if (strncmp(*entry, "MOPL_", 5) != 0) {
            entry++;
            continue;
        }
        char name[200];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        cr_assert_eq(unsetenv(name), 0);
    }
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(setenv("MOPL_DATA", dir, 1), 0);
}

static char *path_of_file(void) {
    static char path[100];
    (void)snprintf(path, sizeof path, "%s/settings.env", dir);
    return path;
}

static void fini(void) {
    conf_fini(&conf);
    free(report);
    (void)remove(path_of_file());
    (void)remove(dir);
}

TestSuite(conf, .init = init, .fini = fini);

static enum rc load(void) {
    conf_fini(&conf);
    free(report);
    FILE *errors = open_memstream(&report, &report_len);
    enum rc rc = conf_load(&conf, errors);
    (void)fclose(errors);
    return rc;
}

static void write_file_mode(struct str content, mode_t mode) {
    (void)remove(path_of_file());
    int fd = open(path_of_file(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content.ptr, content.len), (ssize_t)content.len);
    cr_assert_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void write_file(const char *content) {
    write_file_mode(str_of(content), 0600);
}

static void expect_ok(void) {
    enum rc rc = load();
    cr_assert_eq(rc, RC_OK, "%s", report);
    cr_assert_str_eq(report, "");
}

static size_t lines_of(const char *text) {
    size_t lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* Loading fails with one line, which holds `part`. */
static void expect_error(const char *part) {
    cr_assert_eq(load(), RC_BAD_INPUT, "no error, expected: %s", part);
    cr_assert_not_null(strstr(report, part), "%s is not in: %s", part, report);
    cr_assert_eq(lines_of(report), 1, "%s", report);
    cr_assert_null(conf.storage);
}

static void expect_bad(const char *name, const char *value, const char *part) {
    cr_assert_eq(setenv(name, value, 1), 0);
    expect_error(part);
    cr_assert_eq(strncmp(report, name, strlen(name)), 0, "%s is not named first in: %s", name, report);
    cr_assert_eq(unsetenv(name), 0);
}

Test(conf, defaults_and_what_is_derived_from_them) {
    expect_ok();
    cr_assert_eq(conf.port, 8080);
    cr_assert_str_eq(conf.listen_address, "127.0.0.1");
    cr_assert_str_eq(conf.data_dir, dir);
    cr_assert_str_eq(conf.public_url, "http://127.0.0.1:8080");
    cr_assert_str_eq(conf.jwt_key, "");
    cr_assert_str_eq(conf.web_root, "");
    cr_assert(conf.rate_limits);
    cr_assert(!conf.secure_cookies);
    char expected[200];
    (void)snprintf(expected, sizeof expected, "host=%s/run port=5432 dbname=mopl user=mopl", dir);
    cr_assert_str_eq(conf.database_url, expected);
    (void)snprintf(expected, sizeof expected, "unix:%s/run/redis.sock", dir);
    cr_assert_str_eq(conf.redis_url, expected);
    cr_assert(conf.private_database && conf.private_redis);
}

Test(conf, environment_goes_before_file_before_default) {
    write_file("MOPL_PORT=9001\nMOPL_WORKERS=7\nMOPL_LOG_LEVEL=warn\n");
    cr_assert_eq(setenv("MOPL_PORT", "9002", 1), 0);
    cr_assert_eq(setenv("MOPL_LOG_LEVEL", "", 1), 0);
    expect_ok();
    cr_assert_eq(conf.port, 9002);
    cr_assert_eq(conf.workers, 7);
    cr_assert_str_eq(conf.log_level, "warn", "an empty variable is none");
    cr_assert_eq(conf.bcrypt_cost, 10);
    cr_assert_str_eq(conf.public_url, "http://127.0.0.1:9002");
}

Test(conf, forms_of_lines_in_the_file) {
    write_file("# a comment\n\n  \t\n  MOPL_PORT = 9001  \r\n   # MOPL_PORT=x\nMOPL_MAIL_FROM='A  # b <a@b.c> '\n"
               "MOPL_ADMIN_PASSWORD='it'\\''s=se cret'\nMOPL_WEB_ROOT=''\nMOPL_JWT_KEY=0123456789abcdef=0123456789#abcde'");
    expect_ok();
    cr_assert_eq(conf.port, 9001);
    cr_assert_str_eq(conf.mail_from, "A  # b <a@b.c> ");
    cr_assert_str_eq(conf.admin_password, "it's=se cret");
    cr_assert_str_eq(conf.web_root, "");
    cr_assert_str_eq(conf.jwt_key, "0123456789abcdef=0123456789#abcde'");
}

Test(conf, bad_lines_of_the_file_are_named_by_number) {
    static const struct {
        const char *content;
        const char *part;
    } cases[] = {
        {"\nMOPL_PORT\n", "line 2: is not of the form"},
        {"MOPL_PROT=80\n", "line 1: names no setting"},
        {"PATH=/bin\n", "line 1: names no setting"},
        {"=80\n", "line 1: names no setting"},
        {"export MOPL_PORT=80\n", "line 1: names no setting"},
        {"MOPL_DATA=/tmp\n", "line 1: MOPL_DATA"},
        {"MOPL_SETTINGS=/tmp\n", "line 1: MOPL_SETTINGS tells where this file is"},
        {"MOPL_PORT=80\n#\nMOPL_PORT=81\n", "line 3: MOPL_PORT is set a second time"},
        {"MOPL_MAIL_FROM='a@b\n", "line 1: MOPL_MAIL_FROM: the quotes"},
        {"MOPL_MAIL_FROM='\n", "line 1: MOPL_MAIL_FROM: the quotes"},
        {"MOPL_MAIL_FROM='a@b'x\n", "line 1: MOPL_MAIL_FROM: the quotes"},
        {"MOPL_MAIL_FROM='a@b'\\''\n", "line 1: MOPL_MAIL_FROM: the quotes"},
        {"MOPL_PORT=99999\n", "MOPL_PORT: \"99999\" (from settings.env) must be a whole number from 1 to 65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(cases[i].content);
        expect_error(cases[i].part);
    }
}

Test(conf, a_file_open_to_others_is_refused) {
    static const mode_t modes[] = {0640, 0604, 0644, 0660, 0602, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_file_mode(STR("MOPL_PORT=9001\n"), modes[i]);
        expect_error("chmod 600");
    }
    write_file_mode(STR("MOPL_PORT=9001\n"), 0400);
    expect_ok();
    cr_assert_eq(conf.port, 9001);
}

Test(conf, a_file_that_is_none_or_too_large_is_refused) {
    char *huge = calloc(1, 70000);
    memset(huge, '\n', 69999);
    write_file(huge);
    free(huge);
    expect_error("larger than 64 KB");
    (void)remove(path_of_file());
    cr_assert_eq(mkdir(path_of_file(), 0700), 0);
    expect_error("not a regular file");
    (void)remove(path_of_file());
    cr_assert_eq(mkfifo(path_of_file(), 0600), 0);
    expect_error("not a regular file");
    write_file("");
    expect_ok();
}

Test(conf, numbers_outside_their_range) {
    cr_assert_eq(setenv("MOPL_PORT", "1", 1), 0);
    expect_ok();
    cr_assert_eq(setenv("MOPL_PORT", "65535", 1), 0);
    expect_ok();
    static const char *const bad[] = {"0", "65536", "-1", "80a", "8 0", "0x50", "80.0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char part[100];
        (void)snprintf(part, sizeof part, "MOPL_PORT: \"%s\" (from the environment) must be a whole number from 1 to 65535",
                       bad[i]);
        expect_bad("MOPL_PORT", bad[i], part);
    }
}

Test(conf, switches) {
    static const char *const on[] = {"on", "true", "1", "ON", "True"};
    static const char *const off[] = {"off", "false", "0", "Off"};
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        cr_assert_eq(setenv("MOPL_SECURE_COOKIES", on[i], 1), 0);
        expect_ok();
        cr_assert(conf.secure_cookies, "%s", on[i]);
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        cr_assert_eq(setenv("MOPL_RATE_LIMITS", off[i], 1), 0);
        expect_ok();
        cr_assert(!conf.rate_limits, "%s", off[i]);
    }
    expect_bad("MOPL_RATE_LIMITS", "yes", "\"yes\" (from the environment) must be on or off");
    expect_bad("MOPL_RATE_LIMITS", "2", "must be on or off");
}

Test(conf, texts_that_cannot_serve) {
    static const struct {
        const char *name;
        const char *value;
        const char *part;
    } cases[] = {
        {"MOPL_LOG_LEVEL", "verbose", "must be debug, info, warn or error"},
        {"MOPL_LISTEN", "127.0.0.1; x", "must be an IP address or a host name"},
        {"MOPL_LISTEN", "a\"b", "must be an IP address or a host name"},
        {"MOPL_LISTEN", ":::1", "must be an IP address or a host name"},
        {"MOPL_PUBLIC_URL", "example.org", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "ftp://example.org", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://example.org/", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://example.org:0", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://example.org:99999", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://[::1", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://[::1]x", "must be http://HOST"},
        {"MOPL_PUBLIC_URL", "https://a@b", "must be http://HOST"},
        {"MOPL_ALLOWED_ORIGINS", "https://a.example,*", "must be origins"},
        {"MOPL_ALLOWED_ORIGINS", "https://a.example,", "must be origins"},
        {"MOPL_ALLOWED_ORIGINS", "null", "must be origins"},
        {"MOPL_BRIDGE_LISTEN", "127.0.0.1", "must be HOST:PORT"},
        {"MOPL_BRIDGE_LISTEN", "127.0.0.1:0", "must be HOST:PORT"},
        {"MOPL_BRIDGE_LISTEN", "127.0.0.1:65536", "must be HOST:PORT"},
        {"MOPL_BRIDGE_LISTEN", ":5000", "must be HOST:PORT"},
        {"MOPL_BRIDGE_LISTEN", "::1:5000", "must be HOST:PORT"},
        {"MOPL_BRIDGE_LISTEN", "[::1]", "must be HOST:PORT"},
        {"MOPL_ADMIN_EMAIL", "admin", "must be a mail address"},
        {"MOPL_ADMIN_EMAIL", "@b", "must be a mail address"},
        {"MOPL_ADMIN_EMAIL", "a@", "must be a mail address"},
        {"MOPL_ADMIN_EMAIL", "a@b@c", "must be a mail address"},
        {"MOPL_ADMIN_EMAIL", "a b@c", "must be a mail address"},
        {"MOPL_MAIL_FROM", "nobody", "must hold a mail address"},
        {"MOPL_WEB_ROOT", "/srv/\"x", "must be a path"},
        {"MOPL_SETTINGS", "/srv/$x", "must be a path"},
        {"MOPL_TLS_CERTIFICATE", "/srv/\"x", "must be a path"},
        {"MOPL_MAIL_FROM", "a@b.c\r\nBcc: d@e.f", "control characters"},
        {"MOPL_MAIL_FROM", "a@b.c\xff", "not UTF-8"},
        {"MOPL_MAIL_FROM", "a@b.c\x7f", "control characters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_bad(cases[i].name, cases[i].value, cases[i].part);
}

Test(conf, every_bridge_has_a_port) {
    cr_assert_eq(setenv("MOPL_BRIDGES", "3", 1), 0);
    expect_bad("MOPL_BRIDGE_LISTEN", "[::1]:65534", "must be HOST:PORT");
    cr_assert_eq(setenv("MOPL_BRIDGE_LISTEN", "[::1]:65533", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.bridge_listen, "[::1]:65533");
}

Test(conf, texts_that_serve) {
    cr_assert_eq(setenv("MOPL_LISTEN", "::1", 1), 0);
    cr_assert_eq(setenv("MOPL_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000,http://[::1]:8080,http://[::1]", 1), 0);
    cr_assert_eq(setenv("MOPL_DATABASE_URL", "postgresql://u:p@db.example:5433/mopl", 1), 0);
    cr_assert_eq(setenv("MOPL_REDIS_URL", "redis://:pw@cache.example:6380/2", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.public_url, "http://[::1]:8080");
    cr_assert_str_eq(conf.database_url, "postgresql://u:p@db.example:5433/mopl");
    cr_assert(!conf.private_database && !conf.private_redis);
    cr_assert_eq(setenv("MOPL_PUBLIC_URL", "https://mopl.example", 1), 0);
    cr_assert_eq(setenv("MOPL_LISTEN", "localhost", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.public_url, "https://mopl.example");
}

Test(conf, the_file_of_settings_may_be_elsewhere) {
    write_file("MOPL_PORT=81\n");
    expect_ok();
    cr_assert_str_eq(conf.settings_file, path_of_file());
    cr_assert_eq(setenv("MOPL_SETTINGS", path_of_file(), 1), 0);
    cr_assert_eq(setenv("MOPL_DATA", "/srv/other", 1), 0);
    expect_ok();
    cr_assert_eq(conf.port, 81);
    cr_assert_eq(setenv("MOPL_SETTINGS", "/srv/other/none.env", 1), 0);
    expect_ok();
    cr_assert_eq(conf.port, 8080);
}

Test(conf, a_certificate_means_tls_everywhere) {
    cr_assert_eq(setenv("MOPL_REDIRECT_PORT", "80", 1), 0);
    expect_error("MOPL_TLS_CERTIFICATE: \"\" (the default) must be set, as other settings of TLS are");
    cr_assert_eq(unsetenv("MOPL_REDIRECT_PORT"), 0);
    cr_assert_eq(setenv("MOPL_TLS_CERTIFICATE", "/srv/a.pem", 1), 0);
    expect_ok();
    cr_assert(conf.secure_cookies);
    cr_assert_str_eq(conf.tls_key, "/srv/a.pem");
    cr_assert_str_eq(conf.public_url, "https://127.0.0.1:8080");
    expect_bad("MOPL_REDIRECT_PORT", "8080", "must be another port than MOPL_PORT");
    cr_assert_eq(setenv("MOPL_REDIRECT_PORT", "8081", 1), 0);
    cr_assert_eq(setenv("MOPL_TLS_KEY", "/srv/b.pem", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.tls_key, "/srv/b.pem");
}

Test(conf, addresses_of_the_search_engine) {
    static const char *const GOOD[] = {"http://127.0.0.1:9200", "https://elastic:p%40ss@search.example", "http://[::1]:9200/",
                                       "http://host"};
    static const char *const BAD[] = {"127.0.0.1:9200", "http://",           "https://user:password@",
                                      "http://host:0",  "http://host:99999", "http://host/path",
                                      "http://a b",     "ftp://host"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        cr_assert_eq(setenv("MOPL_ELASTICSEARCH_URL", GOOD[i], 1), 0);
        expect_ok();
        cr_assert_str_eq(conf.elasticsearch_url, GOOD[i]);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        expect_bad("MOPL_ELASTICSEARCH_URL", BAD[i], "must be http://[USER:PASSWORD@]HOST[:PORT]");
    expect_bad("MOPL_ELASTICSEARCH_PREFIX", "Mopl", "must begin with a small letter");
    expect_bad("MOPL_ELASTICSEARCH_PREFIX", "a/../b", "must begin with a small letter");
    expect_bad("MOPL_ELASTICSEARCH_PREFIX", "*", "must begin with a small letter");
}

Test(conf, bad_secrets_are_never_shown) {
    static const struct {
        const char *name;
        const char *value;
    } cases[] = {
        {"MOPL_JWT_KEY", "hush-only-31-bytes-of-key-xxxxx"},
        {"MOPL_JWT_KEY_PREVIOUS", "hush"},
        {"MOPL_ADMIN_PASSWORD", "hush"},
        {"MOPL_DATABASE_URL", "hush hush"},
        {"MOPL_DATABASE_URL", "host=a hush=b"},
        {"MOPL_REDIS_URL", "http://hush"},
        {"MOPL_REDIS_URL", "hush\n"},
        {"MOPL_ELASTICSEARCH_URL", "ftp://hush@host"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_bad(cases[i].name, cases[i].value, ": its value (from the environment) ");
        cr_assert_null(strstr(report, "hush"), "%s", report);
    }
}

Test(conf, keys_of_32_bytes_are_long_enough) {
    cr_assert_eq(setenv("MOPL_JWT_KEY", "0123456789abcdef0123456789abcdef", 1), 0);
    cr_assert_eq(setenv("MOPL_JWT_KEY_PREVIOUS", "0123456789abcdef0123456789abcdeg", 1), 0);
    expect_ok();
}

Test(conf, passwords_are_counted_in_characters) {
    cr_assert_eq(setenv("MOPL_ADMIN_PASSWORD", "비밀번호여덟글자", 1), 0);
    expect_ok();
    expect_bad("MOPL_ADMIN_PASSWORD", "일곱글자인데요", "must have 8 to 128 characters");
}

Test(conf, all_errors_come_at_once) {
    write_file("MOPL_NONE=1\nMOPL_WORKERS=0\n");
    cr_assert_eq(setenv("MOPL_PORT", "x", 1), 0);
    cr_assert_eq(setenv("MOPL_LOG_LEVEL", "x", 1), 0);
    cr_assert_eq(setenv("MOPL_RATE_LIMITS", "x", 1), 0);
    cr_assert_eq(load(), RC_BAD_INPUT);
    cr_assert_eq(lines_of(report), 5, "%s", report);
    static const char *const parts[] = {"line 1", "MOPL_WORKERS: ", "MOPL_PORT: ", "MOPL_LOG_LEVEL: ", "MOPL_RATE_LIMITS: "};
    for (size_t i = 0; i < 5; i++) cr_assert_not_null(strstr(report, parts[i]), "%s", parts[i]);
}

Test(conf, an_unknown_variable_is_only_warned_of) {
    cr_assert_eq(setenv("MOPL_PROT", "secret", 1), 0);
    cr_assert_eq(setenv("XMOPL_PORT", "1", 1), 0);
    cr_assert_eq(load(), RC_OK);
    cr_assert_str_eq(report, "warning: MOPL_PROT in the environment is not a setting\n");
}

Test(conf, folders_become_absolute) {
    cr_assert_eq(chdir(dir), 0);
    char here[200];
    cr_assert_not_null(getcwd(here, sizeof here));
    cr_assert_eq(setenv("MOPL_DATA", "./not//there/./yet/", 1), 0);
    cr_assert_eq(setenv("MOPL_WEB_ROOT", "../web", 1), 0);
    expect_ok();
    char expected[300];
    (void)snprintf(expected, sizeof expected, "%s/not/there/yet", here);
    cr_assert_str_eq(conf.data_dir, expected);
    (void)snprintf(expected, sizeof expected, "%s/../web", here);
    cr_assert_str_eq(conf.web_root, expected);
    cr_assert_eq(unsetenv("MOPL_DATA"), 0);
    expect_ok();
    (void)snprintf(expected, sizeof expected, "%s/var", here);
    cr_assert_str_eq(conf.data_dir, expected);
}

Test(conf, a_data_folder_too_deep_for_sockets_is_refused) {
    char path[120] = "/";
    memset(path + 1, 'd', sizeof path - 2);
    path[89] = '\0'; /* 89 bytes and the 18 of "/run/.s.PGSQL.5432" make 107 */
    cr_assert_eq(setenv("MOPL_DATA", path, 1), 0);
    expect_ok();
    path[89] = 'd';
    path[90] = '\0';
    cr_assert_eq(setenv("MOPL_DATA", path, 1), 0);
    expect_error("makes 90 bytes as an absolute path; sockets under it allow 89 at most");
}

Test(conf, a_data_folder_with_blanks_is_quoted_and_one_with_commas_refused) {
    cr_assert_eq(setenv("MOPL_DATA", "/srv/my files", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.database_url, "host='/srv/my files/run' port=5432 dbname=mopl user=mopl");
    cr_assert_str_eq(conf.redis_url, "unix:/srv/my files/run/redis.sock");
    expect_bad("MOPL_DATA", "/srv/a,b", "must be a path without any of");
    expect_bad("MOPL_DATA", "/srv/a'b", "must be a path without any of");
    expect_bad("MOPL_DATA", "/srv/a\nb", "control characters");
}

static char *printed(void (*print)(const struct conf *c, FILE *out)) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    print(&conf, out);
    (void)fclose(out);
    return text;
}

Test(conf, the_dump_masks_secrets) {
    cr_assert_eq(setenv("MOPL_ADMIN_PASSWORD", "hush-hush", 1), 0);
    cr_assert_eq(setenv("MOPL_DATABASE_URL", "host=hush", 1), 0);
    cr_assert_eq(setenv("MOPL_JWT_KEY", "hush-hush-hush-hush-hush-hush-hush", 1), 0);
    expect_ok();
    char *text = printed(conf_print);
    cr_assert_null(strstr(text, "hush"));
    cr_assert_not_null(strstr(text, "MOPL_JWT_KEY=********  # "));
    cr_assert_not_null(strstr(text, "MOPL_JWT_KEY_PREVIOUS=  # "));
    cr_assert_not_null(strstr(text, "MOPL_PORT=8080  # TCP port of the front server (1 to 65535)\n"));
    cr_assert_not_null(strstr(text, "MOPL_RATE_LIMITS=on  # "));
    free(text);
}

Test(conf, the_export_survives_a_shell) {
    cr_assert_eq(setenv("MOPL_ADMIN_PASSWORD", "a'b\"c$HOME`id`\\ d", 1), 0);
    cr_assert_eq(setenv("MOPL_REDIS_URL", "redis://localhost", 1), 0);
    expect_ok();
    char *text = printed(conf_export);
    FILE *script = fopen(path_of_file(), "w");
    cr_assert_not_null(script);
    fprintf(script, "unset MOPL_ADMIN_PASSWORD\n%s", text);
    fputs("printf '%s|%s|%s|%s|%s' \"$MOPL_ADMIN_PASSWORD\" \"$MOPL_PORT\" \"$MOPL_RATE_LIMITS\" \"$mopl_private_database\" "
          "\"$mopl_private_redis\"\n",
          script);
    (void)fclose(script);
    free(text);
    char command[120];
    (void)snprintf(command, sizeof command, "sh '%s'", path_of_file());
    FILE *shell = popen(command, "r");
    char result[200] = "";
    cr_assert_not_null(fgets(result, sizeof result, shell));
    cr_assert_eq(pclose(shell), 0);
    cr_assert_str_eq(result, "a'b\"c$HOME`id`\\ d|8080|on|on|off");
}

Test(conf, can_be_ended_without_loading_and_twice) {
    struct conf none = {0};
    conf_fini(&none);
    expect_ok();
    conf_fini(&conf);
    conf_fini(&conf);
    cr_assert_null(conf.storage);
}

Test(conf, a_bucket_needs_all_that_belongs_to_it) {
    expect_ok();
    cr_assert_str_eq(conf.s3_endpoint, "");
    cr_assert_eq(setenv("MOPL_S3_ACCESS_KEY", "key", 1), 0);
    expect_error("MOPL_S3_BUCKET");
    cr_assert_eq(setenv("MOPL_S3_BUCKET", "pictures", 1), 0);
    expect_error("MOPL_S3_SECRET_KEY");
    cr_assert_eq(setenv("MOPL_S3_SECRET_KEY", "secret", 1), 0);
    expect_bad("MOPL_S3_BUCKET", "a_b", "3 to 63 letters");
    cr_assert_eq(setenv("MOPL_S3_BUCKET", "pictures", 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.s3_endpoint, "https://s3.us-east-1.amazonaws.com");
    expect_bad("MOPL_S3_ENDPOINT", "http://host/path", "without a path");
    expect_bad("MOPL_S3_STYLE", "dns", "must be path or virtual");
    expect_bad("MOPL_S3_REGION", "eu west", "must be a region's name");
    cr_assert_eq(setenv("MOPL_S3_BUCKET", "pictures", 1), 0);
    expect_ok();
    char *text = printed(conf_print);
    cr_assert_not_null(strstr(text, "MOPL_S3_SECRET_KEY=********"));
    free(text);
}

Test(conf, names_that_operators_know_count_where_ours_are_not_given) {
    static const char *const names[] = {
        "AWS_S3_BUCKET",          "AWS_S3_ACCESS_KEY", "AWS_S3_SECRET_KEY", "AWS_S3_REGION",     "MOPL_S3_REGION",
        "TMDB_READ_ACCESS_TOKEN", "SPORT_API_KEY",     "PUSH_GATE_WAY_URL", "AWS_S3_NO_SETTING", "AWS_REGION"};
    static const char *const values[] = {
        "theirs", "key", "secret", "eu-west-1", "eu-central-1", "token", "sport", "http://127.0.0.1:9091", "ignored", "ignored"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) cr_assert_eq(setenv(names[i], values[i], 1), 0);
    expect_ok();
    cr_assert_str_eq(conf.s3_bucket, "theirs");
    cr_assert_str_eq(conf.s3_secret_key, "secret");
    cr_assert_str_eq(conf.s3_region, "eu-central-1");
    cr_assert_str_eq(conf.tmdb_token, "token");
    cr_assert_str_eq(conf.sport_key, "sport");
    cr_assert_str_eq(conf.push_gateway, "http://127.0.0.1:9091");
}

Test(conf, addresses_and_time_of_the_jobs) {
    expect_bad("MOPL_TMDB_URL", "api.example", "must be an address");
    expect_bad("MOPL_SPORTS_URL", "https://api.example/", "without a slash");
    expect_bad("MOPL_BATCH_AT", "25:00", "must be a time");
    expect_bad("MOPL_BATCH_AT", "1:00", "must be a time");
    cr_assert_eq(setenv("MOPL_BATCH_AT", "off", 1), 0);
    expect_ok();
}
