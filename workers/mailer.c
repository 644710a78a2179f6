/* Sends mails: takes the rows of the table mails that are due, composes each and hands it to the mail server, or writes it as a
 * file. A mail is taken for a while only; killed at any point it is sent (again) later, with the same Message-ID. Several may run.
 */
#include <openssl/sha.h>

#include "base64.h"
#include "clock.h"
#include "json_tree.h"
#include "log.h"
#include "mail_text.h"
#include "mails.h"
#include "parts.h"
#include "random.h"
#include "smtp.h"
#include "worker.h"

enum { WAIT_MS = 5000, AWAY_PAUSE_MS = 200, PASSWORD_BYTES = 12, REFUSALS_MAX = 3, VALUES_MAX = 8, CLEAN_MS = 3600000, MS = 1000 };

/* Queries */

/* A lease of two minutes: longer than an attempt may take (lib/smtp.c). */
enum { MAIL_ID, MAIL_USER, MAIL_KIND, MAIL_DETAILS, MAIL_ENGLISH, MAIL_ATTEMPTS, MAIL_ADDRESS, MAIL_NAME };
static struct db_stmt take = {
    "mailer_take",
    "UPDATE mails m SET attempts = attempts + 1, error = NULL, due_at = clock_timestamp() + interval '2 minutes' FROM users u"
    " WHERE m.id = (SELECT id FROM mails WHERE refused_at IS NULL AND due_at <= clock_timestamp() ORDER BY due_at LIMIT 1"
    "  FOR UPDATE SKIP LOCKED) AND u.id = m.user_id"
    " RETURNING m.id, m.user_id, m.kind, m.details::text, coalesce(m.language, u.language) = 'en', m.attempts, u.email, u.name",
    0};

/* The life of a temporary password begins when it is sent. */
static struct db_stmt set_temporary = {"mailer_set_temporary",
                                       "UPDATE users SET temporary_password_hash = $2::bytea, temporary_password_expires_at = "
                                       "clock_timestamp() + $3::bigint * interval '1 second'"
                                       " WHERE id = $1::uuid AND password_hash IS NOT NULL",
                                       0};

static struct db_stmt done = {"mailer_done", "DELETE FROM mails WHERE id = $1::uuid", 0};

/* 5, 10, 20 ... seconds, then every quarter of an hour, until it works. */
static struct db_stmt postpone = {"mailer_postpone",
                                  "UPDATE mails SET error = $2::text, due_at = clock_timestamp() + least(5 * 2 ^ least(attempts - "
                                  "1, 20), 900) * interval '1 second'"
                                  " WHERE id = $1::uuid",
                                  0};

/* The server is back: what only waited for it need not wait longer. A mail without an error is new, or being sent. */
static struct db_stmt hurry = {
    "mailer_hurry",
    "UPDATE mails SET due_at = clock_timestamp() WHERE refused_at IS NULL AND error IS NOT NULL AND due_at > "
    "clock_timestamp()",
    0};

static struct db_stmt refuse = {"mailer_refuse",
                                "UPDATE mails SET error = $2::text, refused_at = clock_timestamp() WHERE id = $1::uuid", 0};

static struct db_stmt clean = {"mailer_clean", "DELETE FROM mails WHERE refused_at < clock_timestamp() - interval '30 days'", 0};

/* One mail */

struct mailer {
    struct worker_context *w;
    struct smtp *smtp; /* NULL: files */
    struct str from;
    bool away;
    bool server_away; /* by the last look at it */
    struct part part; /* the server, as the health knows it */
    int64_t clean_at_ms;
    struct db_rows rows; /* the mail that is taken */
    struct str password; /* made for it, if it is to bring one */
};

static enum rc make_password(struct mailer *m) {
    char bytes[PASSWORD_BYTES];
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct db_params p;
    random_bytes(bytes, sizeof bytes);
    m->password = base64url_encode(&m->w->arena, str_from(bytes, sizeof bytes));
    SHA256((const unsigned char *)m->password.ptr, m->password.len, digest);
    dbp_init(&p);
    dbp_uuid(&p, db_uuid(&m->rows, 0, MAIL_USER));
    dbp_bytes(&p, str_from((const char *)digest, sizeof digest));
    dbp_i64(&p, m->w->conf->temporary_password_s);
    return db_exec(m->w->db, &m->w->arena, DB_WRITE, &set_temporary, &p, NULL);
}

/* The password is valid before its mail is out: a mail that arrives tells the truth. */
static enum rc take_transaction(void *context) {
    struct mailer *m = context;
    enum rc rc = db_exec(m->w->db, &m->w->arena, DB_WRITE, &take, NULL, &m->rows);
    if (rc != RC_OK || m->rows.count == 0) return rc;
    return str_eq(db_text(&m->rows, 0, MAIL_KIND), STR(MAIL_TEMPORARY_PASSWORD)) ? make_password(m) : RC_OK;
}

static size_t values_of(struct mailer *m, enum lang lang, struct mail_value *values) {
    static const char *const NAMES[] = {"device", "address", "old", "new"};
    struct arena *a = &m->w->arena;
    struct json_object *details = json_tree_parse(a, db_text(&m->rows, 0, MAIL_DETAILS));
    struct json_object *at = json_tree_member(details, "at");
    size_t count = 0;
    values[count++] = (struct mail_value){"name", db_text(&m->rows, 0, MAIL_NAME)};
    values[count++] = (struct mail_value){"password", m->password};
    values[count++] = (struct mail_value){"life", mail_text_duration(a, lang, m->w->conf->temporary_password_s)};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        values[count++] = (struct mail_value){NAMES[i], json_tree_text(details, NAMES[i])};
    if (at) values[count++] = (struct mail_value){"at", mail_text_time(a, lang, json_object_get_int64(at))};
    return count;
}

static enum rc send_mail(struct mailer *m, const char **error) {
    struct arena *a = &m->w->arena;
    enum lang lang = db_bool(&m->rows, 0, MAIL_ENGLISH) ? LANG_EN : LANG_KO;
    struct mail mail = {.id = db_uuid(&m->rows, 0, MAIL_ID), .to = db_text(&m->rows, 0, MAIL_ADDRESS)};
    struct mail_value values[VALUES_MAX];
    struct str message;
    size_t count = values_of(m, lang, values);
    *error = "no such mail";
    enum rc rc = mail_text_fill(a, db_text(&m->rows, 0, MAIL_KIND), lang, values, count, &mail);
    if (rc != RC_OK) return rc;
    *error = m->smtp ? "the address cannot be written" : "the mail folder cannot be used";
    if (!m->smtp) return mail_write(a, m->w->conf, &mail);
    rc = mail_compose(a, m->w->conf, &mail, &message);
    return rc == RC_OK ? smtp_send(m->smtp, a, m->from, mail.to, message, error) : rc;
}

static void log_outcome(struct mailer *m, enum rc rc, const char *error) {
    char id[UUID_TEXT_LEN + 1];
    bool away = rc == RC_UNAVAILABLE;
    uuid_cstr(db_uuid(&m->rows, 0, MAIL_ID), id);
    if (rc == RC_OK) log_event(LOG_INFO, "mail_sent", LOG_CSTR("mailId", id), LOG_STR("kind", db_text(&m->rows, 0, MAIL_KIND)));
    if (rc != RC_OK && !away) log_event(LOG_WARN, "mail_refused", LOG_CSTR("mailId", id), LOG_CSTR("error", error));
    if (away && !m->away) log_event(LOG_WARN, "mail_server_away", LOG_CSTR("mailId", id), LOG_CSTR("error", error));
    if (!away && m->away) log_event(LOG_INFO, "mail_server_back", LOG_CSTR("mailId", id));
    m->away = away;
}

static enum rc settle(struct mailer *m, enum rc sent, const char *error) {
    struct db_params p;
    bool refused = sent != RC_OK && sent != RC_UNAVAILABLE && db_i64(&m->rows, 0, MAIL_ATTEMPTS) >= REFUSALS_MAX;
    struct db_stmt *stmt = sent == RC_OK ? &done : refused ? &refuse : &postpone;
    dbp_init(&p);
    dbp_uuid(&p, db_uuid(&m->rows, 0, MAIL_ID));
    if (sent != RC_OK) dbp_text(&p, str_of(error));
    return db_exec(m->w->db, &m->w->arena, DB_WRITE, stmt, &p, NULL);
}

/* Without a server mails are files, and this process being alive is all there is to tell. A mail that could not be sent says
 * little: its receiver's mailbox may be full. */
static enum rc look_at_server(struct mailer *m) {
    const char *error = NULL;
    if (!part_due(&m->part)) return RC_OK;
    bool up = !m->smtp || smtp_ping(m->smtp, &m->w->arena, &error) == RC_OK;
    enum rc rc = part_note(&m->part, m->w->db, &m->w->arena, up, error);
    if (rc == RC_OK && up && m->server_away) rc = db_exec(m->w->db, &m->w->arena, DB_WRITE, &hurry, NULL, NULL);
    if (rc == RC_OK) m->server_away = !up;
    return rc;
}

/* *more: there may be another mail that is due. */
static enum rc turn(struct mailer *m, bool *more) {
    const char *error;
    *more = false;
    m->password = STR("");
    if (clock_mono_ms() >= m->clean_at_ms) {
        m->clean_at_ms = clock_mono_ms() + CLEAN_MS;
        enum rc cleaned = db_exec(m->w->db, &m->w->arena, DB_WRITE, &clean, NULL, NULL);
        if (cleaned != RC_OK) return cleaned;
    }
    enum rc rc = look_at_server(m);
    if (rc == RC_OK) rc = db_transaction(m->w->db, &m->w->arena, take_transaction, m);
    if (rc != RC_OK || m->rows.count == 0) return rc;
    enum rc sent = send_mail(m, &error);
    log_outcome(m, sent, error);
    if (sent == RC_UNAVAILABLE) part_doubt(&m->part);
    rc = settle(m, sent, error);
    *more = rc == RC_OK;
    return rc;
}

static int mailer_run(struct worker_context *w) {
    struct mailer m = {.w = w, .part = {.name = PART_MAIL, .every_s = w->conf->smtp_check_s}};
    m.smtp = w->conf->smtp_url[0] ? smtp_new(w->conf, worker_stopping) : NULL;
    int wait_ms = m.part.every_s * MS < WAIT_MS ? (int)m.part.every_s * MS : WAIT_MS;
    struct arena lasting;
    bool more, notified;
    arena_init(&lasting);
    db_on_connect(w->db, "LISTEN mopl_mails");
    if (mail_sender(&lasting, w->conf, &m.from) != RC_OK)
        log_event(LOG_ERROR, "mail_sender_refused", LOG_CSTR("setting", "MOPL_MAIL_FROM"));
    while (!worker_stopping()) {
        enum rc rc = turn(&m, &more);
        arena_reset(&w->arena);
        if (rc != RC_OK) worker_sleep(AWAY_PAUSE_MS);
        if (!more && !worker_stopping() && db_wait(w->db, wait_ms, &notified) != RC_OK) worker_sleep(AWAY_PAUSE_MS);
    }
    smtp_free(m.smtp);
    arena_fini(&lasting);
    return 0;
}

static struct db_stmt *const statements[] = {&take, &set_temporary, &done, &postpone, &hurry, &refuse, &clean, NULL};

const struct worker worker = {
    .name = "mailer",
    .help = "Sends mails by the server of MOPL_SMTP_URL, or writes them into MOPL_DATA/mail; several share the work.",
    .statements = statements,
    .run = mailer_run,
};
