/* Administration from the command line: accounts, for the first administrator and for whoever locked themselves out; events, for
 * dead letters and for a look at the bus; live streams (mopl-admin-live.c). */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "bus.h"
#include "clock.h"
#include "dead_letter.h"
#include "email.h"
#include "log.h"
#include "mopl-admin.h"
#include "outbox.h"
#include "password.h"
#include "schema.h"
#include "session.h"
#include "utf8.h"
#include "version.h"

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    NAME_MIN = 2,
    NAME_MAX = 50,
    LINE_BYTES = 1024,
    REDRIVE_BATCH = 100,
    REDRIVE_PATIENCE_MS = 30000
};

bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("mopl-admin: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

bool told(enum rc rc) {
    if (rc) complain("the database refused (%s)", rc_exception_name(rc));
    return rc == RC_OK;
}

const char *printable(struct arena *a, struct str text) {
    char *out = arena_alloc(a, text.len + 1), *at = out;
    while (text.len > 0) {
        int32_t c = utf8_next(&text);
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
        at += utf8_encode(control ? '?' : (uint32_t)c, at);
    }
    *at = '\0';
    return out;
}

/* Passwords */

/* One line of standard input, without echo if a person types it. */
static bool read_line(struct admin *ad, struct str *out) {
    char line[LINE_BYTES];
    struct termios before, quiet;
    bool person = tcgetattr(STDIN_FILENO, &before) == 0;
    if (person) {
        fputs("Password: ", stderr);
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    char *got = fgets(line, sizeof line, stdin);
    if (person) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (!got) return complain("no password on standard input");
    size_t len = strcspn(line, "\r\n");
    *out = arena_dup(&ad->arena, str_from(line, len));
    explicit_bzero(line, sizeof line);
    return true;
}

/* Hashes a password that meets the rules of sign-up. */
static bool take_password(struct admin *ad, struct str password) {
    if (!utf8_valid(password)) return complain("the password is not valid UTF-8");
    size_t length = utf8_length(password);
    if (length < PASSWORD_MIN || length > PASSWORD_MAX)
        return complain("a password has %d to %d characters", PASSWORD_MIN, PASSWORD_MAX);
    if (password_is_common(password)) return complain("this password is one of the most common: choose another");
    if (password_hash(&ad->arena, password, (int)ad->conf.bcrypt_cost, &ad->hash))
        return complain("the password could not be hashed");
    return true;
}

static bool first_password(struct admin *ad) {
    struct str password = str_of(getenv("MOPL_ADMIN_PASSWORD"));
    if (password.len == 0 && !read_line(ad, &password)) return false;
    return take_password(ad, password);
}

/* create-admin */

static struct db_stmt admins_exist = {"admin_exists", "SELECT EXISTS (SELECT FROM users WHERE role = 'ADMIN')", 0};
static struct db_stmt find_user = {"admin_find", "SELECT id, role = 'ADMIN', locked FROM users WHERE email = $1::text", 0};
static struct db_stmt one_at_a_time = {"admin_lock", "SELECT pg_advisory_xact_lock(hashtext('mopl'), hashtext('admin'))", 0};
static struct db_stmt insert_admin = {
    "admin_insert",
    "WITH made AS (INSERT INTO users (id, email, name, role, password_hash) VALUES ($1::uuid, $2::text, $3::text, 'ADMIN', "
    "$4::text) "
    "              RETURNING id) "
    "INSERT INTO audit_log (action, subject_id, details) SELECT 'admin-created', id, '{\"by\": \"mopl-admin\"}' FROM made",
    0};
/* A new role ends the sessions, as when an administrator gives it. */
static struct db_stmt promote = {
    "admin_promote",
    "WITH changed AS (UPDATE users SET role = 'ADMIN', locked = false, updated_at = clock_timestamp() WHERE id = $1::uuid "
    "RETURNING id), "
    "ended AS (UPDATE sessions SET ended_at = clock_timestamp(), end_reason = 'role' WHERE user_id = $1::uuid AND ended_at IS "
    "NULL RETURNING " SESSION_ENDED_COLUMNS "), " SESSION_TELL_OF_ENDED
    " INSERT INTO audit_log (action, subject_id, details) SELECT 'admin-promoted', id, '{\"by\": \"mopl-admin\"}' FROM changed",
    0};
static struct db_stmt change_password = {
    "admin_password",
    "WITH changed AS (UPDATE users SET password_hash = $2::text, temporary_password_hash = NULL, temporary_password_expires_at = "
    "NULL, "
    "                 updated_at = clock_timestamp() WHERE email = $1::text RETURNING id), "
    "ended AS (UPDATE sessions SET ended_at = clock_timestamp(), end_reason = 'password' "
    "          WHERE user_id = (SELECT id FROM changed) AND ended_at IS NULL RETURNING " SESSION_ENDED_COLUMNS
    "), " SESSION_TELL_OF_ENDED
    " INSERT INTO audit_log (action, subject_id, details) SELECT 'password-set', id, '{\"by\": \"mopl-admin\"}' FROM changed",
    0};

enum found { FOUND_NOTHING_TO_DO, FOUND_USER, FOUND_NOBODY };

/* What create-admin meets; `id` is written for FOUND_USER. */
static enum rc look(struct admin *ad, enum found *found, struct uuid *id) {
    struct db_params p;
    struct db_rows rows;
    enum rc rc;
    if (ad->if_none) {
        dbp_init(&p);
        rc = db_exec(ad->db, &ad->arena, DB_READ, &admins_exist, &p, &rows);
        if (rc) return rc;
        if (db_bool(&rows, 0, 0)) {
            *found = FOUND_NOTHING_TO_DO;
            return RC_OK;
        }
    }
    dbp_init(&p);
    dbp_text(&p, ad->email);
    rc = db_exec(ad->db, &ad->arena, DB_READ, &find_user, &p, &rows);
    if (rc) return rc;
    *found = FOUND_NOBODY;
    if (rows.count == 0) return RC_OK;
    *id = db_uuid(&rows, 0, 0);
    *found = db_bool(&rows, 0, 1) && !db_bool(&rows, 0, 2) ? FOUND_NOTHING_TO_DO : FOUND_USER;
    return RC_OK;
}

static enum rc insert(struct admin *ad) {
    struct db_params p;
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_text(&p, ad->email);
    dbp_text(&p, ad->name);
    dbp_text(&p, ad->hash);
    return db_exec(ad->db, &ad->arena, DB_WRITE, &insert_admin, &p, NULL);
}

/* Looks again under the lock: two that start at once must not both make the first administrator. */
static enum rc create_locked(void *context) {
    struct admin *ad = context;
    struct db_params p;
    dbp_init(&p);
    enum rc rc = db_exec(ad->db, &ad->arena, DB_WRITE, &one_at_a_time, &p, NULL);
    if (rc) return rc;
    enum found found;
    struct uuid id;
    rc = look(ad, &found, &id);
    if (rc || found == FOUND_NOTHING_TO_DO) return rc;
    if (found == FOUND_NOBODY) return insert(ad);
    dbp_init(&p);
    dbp_uuid(&p, id);
    return db_exec(ad->db, &ad->arena, DB_WRITE, &promote, &p, NULL);
}

static bool create_admin(struct admin *ad) {
    enum found found;
    struct uuid id;
    if (!told(look(ad, &found, &id))) return false;
    if (found == FOUND_NOTHING_TO_DO) {
        puts(ad->if_none ? "there is an administrator already" : "this account is an administrator already");
        return true;
    }
    if (found == FOUND_NOBODY && !first_password(ad)) return false;
    if (!told(db_transaction(ad->db, &ad->arena, create_locked, ad))) return false;
    puts(found == FOUND_NOBODY ? "administrator created" : "the account is an administrator now; its password is unchanged");
    return true;
}

/* set-password */

static bool set_password(struct admin *ad) {
    struct str password = {0};
    if (!read_line(ad, &password) || !take_password(ad, password)) return false;
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, ad->email);
    dbp_text(&p, ad->hash);
    if (!told(db_exec(ad->db, &ad->arena, DB_WRITE, &change_password, &p, &rows))) return false;
    if (rows.affected == 0) return complain("there is no such account");
    puts("password set; all sessions of the account were ended");
    return true;
}

/* redrive */

/* Dead letters on their way back: one transaction a batch moves the place in the dead letter topic together with the new rows. */
struct redrive {
    struct admin *ad;
    struct bus_consumer *bus;
    struct arena polled;
    struct bus_message messages[REDRIVE_BATCH];
    size_t count;
    int64_t done, refused; /* of committed batches */
    int64_t batch_done, batch_refused;
};

static enum rc redrive_batch(void *context) {
    struct redrive *r = context;
    r->batch_done = r->batch_refused = 0;
    for (size_t i = 0; i < r->count; i++) {
        bool done = false;
        enum rc rc = dead_letter_redrive(r->ad->db, &r->ad->arena, &r->messages[i], &done);
        if (rc) return rc;
        if (done) r->batch_done++;
        if (!done) r->batch_refused++;
    }
    return bus_mark(r->bus, &r->ad->arena, &r->messages[r->count - 1]);
}

/* Until nothing is left. What the bus gives is taken as long as it gives something at all. */
static bool redrive_all(struct redrive *r) {
    int64_t give_up_ms = clock_mono_ms() + REDRIVE_PATIENCE_MS;
    while (clock_mono_ms() < give_up_ms) {
        arena_reset(&r->polled);
        enum rc rc = bus_poll(r->bus, &r->polled, 500, r->messages, REDRIVE_BATCH, &r->count);
        if (rc || (r->count == 0 && bus_lag(r->bus) != 0)) continue;
        if (r->count == 0) return true;
        if (!told(db_transaction(r->ad->db, &r->ad->arena, redrive_batch, r))) return false;
        if (bus_commit(r->bus, &r->messages[r->count - 1]))
            complain("the bus did not take the new place: some may come back twice");
        r->done += r->batch_done;
        r->refused += r->batch_refused;
        give_up_ms = clock_mono_ms() + REDRIVE_PATIENCE_MS;
    }
    return complain("the bus gave nothing for %d s: is it away, or is another redrive at work?", REDRIVE_PATIENCE_MS / 1000);
}

static bool redrive(struct admin *ad) {
    const char *const topics[] = {arena_printf(&ad->arena, "%s" TOPIC_DEAD, ad->topic), NULL};
    struct redrive r = {.ad = ad};
    struct bus *bus = bus_open(&ad->conf, ad->db);
    r.bus = bus ? bus_consumer_open(bus, "mopl-redrive", topics) : NULL;
    arena_init(&r.polled);
    bool good = r.bus ? redrive_all(&r) : complain("the settings of the bus are refused");
    printf("%lld put back\n", (long long)r.done);
    if (r.refused) complain("%lld are no events and were left out", (long long)r.refused);
    arena_fini(&r.polled);
    bus_consumer_close(r.bus);
    bus_close(bus);
    return good;
}

/* bus-status */

static bool bus_status(struct admin *ad) {
    struct outbox_backlog backlog;
    struct bus_group_lag *lags;
    size_t count;
    if (!told(outbox_backlog(ad->db, &ad->arena, &backlog))) return false;
    printf("bus      %s\n", *ad->conf.kafka_brokers ? ad->conf.kafka_brokers : "PostgreSQL");
    printf("backlog  %lld events, the oldest waits for %.1f s\n", (long long)backlog.rows, (double)backlog.oldest_ms / 1000);
    struct bus *bus = bus_open(&ad->conf, ad->db);
    bool good = bus && bus_lags(bus, &ad->arena, &lags, &count) == RC_OK;
    if (good) printf("%-14s %-26s %s\n", "GROUP", "TOPIC", "BEHIND");
    for (size_t i = 0; good && i < count; i++) {
        printf("%-14.*s %-26.*s %lld\n", (int)lags[i].group.len, lags[i].group.ptr, (int)lags[i].topic.len, lags[i].topic.ptr,
               (long long)lags[i].messages);
    }
    bus_close(bus);
    return good || complain("the bus does not answer");
}

enum argument { ARGUMENT_NONE, ARGUMENT_EMAIL, ARGUMENT_TOPIC, ARGUMENT_USER, ARGUMENT_USER_OR_NONE, ARGUMENT_CONTENT };

static const struct command {
    const char *name;
    enum argument argument;
    bool (*run)(struct admin *ad);
} commands[] = {{"create-admin", ARGUMENT_EMAIL, create_admin},
                {"set-password", ARGUMENT_EMAIL, set_password},
                {"redrive", ARGUMENT_TOPIC, redrive},
                {"bus-status", ARGUMENT_NONE, bus_status},
                {"connections", ARGUMENT_USER_OR_NONE, list_connections},
                {"rooms", ARGUMENT_NONE, list_rooms},
                {"close-user", ARGUMENT_USER, close_user},
                {"removed-contents", ARGUMENT_NONE, list_removed},
                {"take-back", ARGUMENT_CONTENT, take_back}};

static void usage(FILE *out) {
    fputs("usage: mopl-admin create-admin [--if-none] [--name NAME] EMAIL\n"
          "       mopl-admin set-password EMAIL\n"
          "       mopl-admin redrive TOPIC\n"
          "       mopl-admin bus-status\n"
          "       mopl-admin connections [USER]\n"
          "       mopl-admin rooms\n"
          "       mopl-admin close-user USER\n"
          "       mopl-admin removed-contents\n"
          "       mopl-admin take-back SOURCE:TYPE:ID\n"
          "       mopl-admin --version\n"
          "create-admin makes an account with the role of administrator, or gives that role to the account there is (and unlocks "
          "it).\n"
          "The password of a new account is MOPL_ADMIN_PASSWORD of the environment, else a line of standard input.\n"
          "  --if-none    do nothing if there is any administrator\n"
          "  --name NAME  name of a new account (2 to 50 characters)\n"
          "set-password reads the new password from standard input and ends the account's sessions.\n"
          "redrive puts the dead letters of TOPIC (mopl.domain-events and the like) back as the events they were.\n"
          "bus-status tells how many events wait to be published and how far each group of consumers is behind.\n"
          "connections lists who is connected to the real-time bridges, or the streams of USER (an id or an e-mail address); rooms "
          "lists\n"
          "what is being watched. close-user ends the streams of USER; his client will come back unless the account is locked.\n"
          "removed-contents lists collected contents that were deleted, which jobs therefore leave out; take-back lets one come "
          "back.\n"
          "Exit status: 0 done (or nothing to do), 1 failed or refused, 2 bad usage or settings.\n",
          out);
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static bool take_email(struct admin *ad, struct str text) {
    if (!utf8_valid(text)) return false;
    ad->email = email_normalise(&ad->arena, text);
    return email_valid(ad->email);
}

static bool take_user(struct admin *ad, struct str text) {
    struct uuid id;
    ad->user = text;
    return uuid_parse(text, &id) || take_email(ad, text);
}

static bool take_topic(struct admin *ad, const char *text) {
    for (const char *const *topic = outbox_topics; *topic; topic++) {
        if (strcmp(*topic, text) == 0) ad->topic = *topic;
    }
    return ad->topic != NULL;
}

/* `rest` is what follows the command; NULL-ended. */
static bool take_argument(struct admin *ad, char **rest) {
    enum argument wanted = ad->command->argument;
    if (wanted == ARGUMENT_NONE) return !rest[0];
    if (wanted == ARGUMENT_USER_OR_NONE && !rest[0]) return true;
    if (!rest[0] || rest[1]) return false;
    if (wanted == ARGUMENT_CONTENT) {
        ad->content = str_of(rest[0]);
        return utf8_valid(ad->content);
    }
    if (wanted == ARGUMENT_USER || wanted == ARGUMENT_USER_OR_NONE) return take_user(ad, str_of(rest[0]));
    return wanted == ARGUMENT_EMAIL ? take_email(ad, str_of(rest[0])) : take_topic(ad, rest[0]);
}

/* Exit status if the program ends here, else -1. */
static int parse_arguments(int argc, char **argv, struct admin *ad) {
    static const struct option options[] = {
        {"if-none", no_argument, NULL, 'i'}, {"name", required_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {0}};
    for (int c = getopt_long(argc, argv, "", options, NULL); c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        if (c == 'h') {
            usage(stdout);
            return EXIT_SUCCESS;
        }
        if (c == '?') {
            usage(stderr);
            return EXIT_USAGE;
        }
        if (c == 'i') ad->if_none = true;
        if (c == 'n') ad->name = utf8_valid(str_of(optarg)) ? utf8_trim(str_of(optarg)) : STR("");
    }
    size_t name_length = utf8_length(ad->name);
    ad->command = find_command(argv[optind]);
    if (ad->command && name_length >= NAME_MIN && name_length <= NAME_MAX && take_argument(ad, argv + optind + 1)) return -1;
    usage(stderr);
    return EXIT_USAGE;
}

static int run_command(struct admin *ad) {
    if (conf_load(&ad->conf, stderr)) return EXIT_USAGE;
    ad->db = db_new(ad->conf.database_url, ad->conf.statement_timeout_ms);
    int code = schema_check(&ad->conf, "mopl-admin") == RC_OK && ad->command->run(ad) ? EXIT_SUCCESS : EXIT_FAILED;
    db_free(ad->db);
    conf_fini(&ad->conf);
    return code;
}

int main(int argc, char **argv) {
    if (version_asked(argc, argv, "mopl-admin")) return EXIT_SUCCESS;
    struct admin ad = {.name = STR("관리자")};
    log_init("mopl-admin", LOG_WARN);
    arena_init(&ad.arena);
    int code = parse_arguments(argc, argv, &ad);
    if (code < 0) code = run_command(&ad);
    arena_fini(&ad.arena);
    return code;
}
