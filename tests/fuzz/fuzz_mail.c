/* Mails: the first line is the receiver, the second a name that somebody chose, the rest a device or an address. A mail that is
 * composed has our headers and no other, and its bodies are what was to be said; what people chose adds no markup. The kind and the
 * language go by the length. */
#include "base64.h"
#include "fuzz.h"
#include "log.h"
#include "mail.h"
#include "mail_text.h"
#include "mails.h"
#include "utf8.h"

static const char *const kinds[] = {MAIL_TEMPORARY_PASSWORD, MAIL_PASSWORD_CHANGED, MAIL_NEW_DEVICE,
                                    MAIL_ROLE_CHANGED,       MAIL_LOCKED,           MAIL_UNLOCKED,
                                    MAIL_DELETION_ASKED,     MAIL_DELETION_UNDONE};
enum { KINDS = sizeof kinds / sizeof *kinds, LINE_MAX_BYTES = 320 };

static void fill(struct arena *a, size_t choice, struct str name, struct str device, struct mail *mail) {
    const struct mail_value values[] = {{"name", name}, {"device", device}, {"address", device}, {"at", STR("now")}, {"old", name}};
    fuzz_check(mail_text_fill(a, str_of(kinds[choice % KINDS]), choice / KINDS % 2 ? LANG_KO : LANG_EN, values,
                              sizeof values / sizeof *values, mail) == RC_OK);
}

static size_t count_of(struct str text, char c) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) count += text.ptr[i] == c;
    return count;
}

/* Header lines: ours, each once, and foldings. */
static void check_headers(struct str head) {
    static const char *const names[] = {"Date",         "From",           "To",          "Subject", "Message-ID",
                                        "MIME-Version", "Auto-Submitted", "Content-Type"};
    size_t seen[8] = {0};
    while (head.len > 0) {
        struct str line = str_cut(&head, '\n');
        fuzz_check(line.len > 1 && line.len <= LINE_MAX_BYTES && line.ptr[line.len - 1] == '\r');
        for (size_t i = 0; i + 1 < line.len; i++) fuzz_check((unsigned char)line.ptr[i] >= ' ');
        if (line.ptr[0] == ' ') continue;
        struct str name = str_cut(&line, ':');
        size_t at = 0;
        while (at < 8 && !str_eq(name, str_of(names[at]))) at++;
        fuzz_check(at < 8 && line.ptr);
        seen[at]++;
    }
    for (size_t i = 0; i < 8; i++) fuzz_check(seen[i] == 1);
}

/* A part of base64 lines says `text`. */
static void check_part(struct arena *a, struct str message, const char *type, struct str text) {
    const char *at = memmem(message.ptr, message.len, type, strlen(type));
    fuzz_check(at != NULL);
    struct str rest = str_from(at, message.len - (size_t)(at - message.ptr)), wanted = base64_encode(a, text);
    while (str_cut(&rest, '\n').len > 1) continue;
    for (size_t done = 0; done < wanted.len;) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        fuzz_check(line.len > 0 && line.len <= 76 && done + line.len <= wanted.len);
        fuzz_check(memcmp(line.ptr, wanted.ptr + done, line.len) == 0);
        done += line.len;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR + 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str rest = str_from((const char *)data, size), to = str_cut(&rest, '\n');
    struct str name = rest.ptr ? str_cut(&rest, '\n') : STR(""), device = rest.ptr ? rest : STR("");
    if (!utf8_valid(name) || !utf8_valid(device)) return 0;
    struct conf conf = {.mail_from = "MOPL 모플 <no-reply@mopl.example>"};
    struct arena a;
    arena_init(&a);
    struct mail mail = {.id = uuid_v7(), .to = to}, plain = {.id = uuid_v7()};
    struct str message;
    fill(&a, size, name, device, &mail);
    fill(&a, size, STR("name"), STR("device"), &plain);
    fuzz_check(count_of(mail.html, '<') == count_of(plain.html, '<') && count_of(mail.html, '>') == count_of(plain.html, '>'));
    fuzz_check(count_of(mail.text, '\n') == count_of(plain.text, '\n') && count_of(mail.text, '\r') == count_of(plain.text, '\r'));
    if (mail_compose(&a, &conf, &mail, &message) == RC_OK) {
        const char *end = memmem(message.ptr, message.len, "\r\n\r\n", 4);
        fuzz_check(end != NULL);
        if (to.len <= 254) check_headers(str_from(message.ptr, (size_t)(end - message.ptr) + 2));
        check_part(&a, message, "Content-Type: text/plain", mail.text);
        check_part(&a, message, "Content-Type: text/html", mail.html);
    }
    arena_fini(&a);
    return 0;
}
