/* Mails are read back the way a mail program does: unfolded, words and bodies decoded. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/folder.h"
#include "file.h"
#include "mail_text.h"
#include "mails.h"

static struct arena arena;
static char folder[] = "/tmp/mopl-mail-XXXXXX";
static struct conf conf = {.mail_from = "MOPL <no-reply@mopl.local>", .data_dir = folder};

static void setup(void) {
    arena_init(&arena);
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void) {
    arena_fini(&arena);
    folder_remove(folder);
}

TestSuite(mail, .init = setup, .fini = teardown);

static int sextet(char c) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

/* Base64 of any number of lines, up to the first other character. */
static struct str unbase64(struct str text) {
    char *out = arena_alloc(&arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n') continue;
        int six = sextet(text.ptr[i]);
        if (six < 0) break;
        bits = bits << 6 | (uint32_t)six;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        out[len++] = (char)(bits >> have);
    }
    return str_from(out, len);
}

static struct str find(struct str text, const char *needle) {
    const char *at = memmem(text.ptr, text.len, needle, strlen(needle));
    return at ? str_from(at, text.len - (size_t)(at - text.ptr)) : (struct str){0};
}

/* Value of a header with its folded lines, up to the CRLF that ends it. */
static struct str header(struct str message, const char *name) {
    struct str at = find(message, name);
    cr_assert_not_null(at.ptr, "%s", name);
    at = str_from(at.ptr + strlen(name), at.len - strlen(name));
    for (size_t i = 0; i + 2 < at.len; i++)
        if (at.ptr[i] == '\r' && at.ptr[i + 2] != ' ') return str_from(at.ptr, i);
    return at;
}

/* Decodes a header made of encoded words alone. */
static struct str decoded(struct str value) {
    struct str out = {"", 0};
    for (struct str at = find(value, "=?UTF-8?B?"); at.ptr; at = find(at, "=?UTF-8?B?")) {
        at = str_from(at.ptr + 10, at.len - 10);
        struct str part = unbase64(at);
        out = str_of(arena_printf(&arena, "%.*s%.*s", (int)out.len, out.ptr, (int)part.len, part.ptr));
    }
    return out;
}

/* Body of the part with this media type. */
static struct str part(struct str message, const char *media_type) {
    struct str at = find(find(message, media_type), "\r\n\r\n");
    cr_assert_not_null(at.ptr);
    return unbase64(str_from(at.ptr + 4, at.len - 4));
}

static struct str compose(struct str subject, struct str text) {
    struct mail mail = {uuid_v7(), STR("user@example.com"), subject, text, STR("<p>html</p>")};
    struct str out = {0};
    cr_assert_eq(mail_compose(&arena, &conf, &mail, &out), RC_OK);
    return out;
}

/* RFC 5322: every line ends with CRLF and is at most 998 long; RFC 2047: at most 76 where it has encoded words. */
static void check_lines(struct str message) {
    size_t start = 0;
    for (size_t i = 0; i < message.len; i++) {
        if (message.ptr[i] != '\n') continue;
        cr_assert(i > start && message.ptr[i - 1] == '\r', "bare line feed");
        cr_assert_leq(i - 1 - start, 76u, "line of %zu: %.*s", i - 1 - start, (int)(i - start), message.ptr + start);
        start = i + 1;
    }
    cr_assert_eq(start, message.len, "ends with a line break");
    for (size_t i = 0; i < message.len; i++)
        cr_assert(message.ptr[i] == '\n' || message.ptr[i] != '\r' || message.ptr[i + 1] == '\n');
}

Test(mail, has_the_headers_of_a_mail) {
    struct str m = compose(STR("Hello"), STR("text"));
    cr_assert(str_starts(m, STR("Date: ")));
    cr_assert(str_eq(header(m, "\r\nTo: "), STR("<user@example.com>")));
    cr_assert(str_eq(decoded(header(m, "\r\nFrom: ")), STR("MOPL")));
    cr_assert_not_null(find(header(m, "\r\nFrom: "), "<no-reply@mopl.local>").ptr);
    cr_assert(str_eq(header(m, "\r\nMIME-Version: "), STR("1.0")));
    struct str id = header(m, "\r\nMessage-ID: ");
    cr_assert(str_starts(id, STR("<")) && find(id, "@mopl.local>").ptr);
    cr_assert_not(str_eq(id, header(compose(STR("Hello"), STR("text")), "\r\nMessage-ID: ")));
    cr_assert(str_starts(header(m, "\r\nContent-Type: "), STR("multipart/alternative;\r\n boundary=\"")));
    check_lines(m);
}

Test(mail, bodies_come_back) {
    char text[5000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "가나다라\r\n.\r\n--"[i % 19];
    struct str m = compose(STR("s"), str_from(text, sizeof text));
    cr_assert(str_eq(part(m, "text/plain"), str_from(text, sizeof text)));
    cr_assert(str_eq(part(m, "text/html"), STR("<p>html</p>")));
    cr_assert_lt((uintptr_t)find(m, "text/plain").ptr, (uintptr_t)find(m, "text/html").ptr);
    check_lines(m);
    cr_assert_eq(part(compose(STR("s"), STR("")), "text/plain").len, 0);
}

Test(mail, subjects_of_every_length_are_folded_between_characters) {
    char text[400];
    size_t len = 0;
    static const char *const pieces[] = {"가", "é", "a", "🎬", " "};
    for (int i = 0; len < 380; i++) {
        const char *piece = pieces[i * 7 % 5];
        memcpy(text + len, piece, strlen(piece));
        len += strlen(piece);
        struct str m = compose(str_from(text, len), STR("x")), value = header(m, "\r\nSubject: ");
        cr_assert(str_eq(decoded(value), str_from(text, len)), "subject of %zu bytes", len);
        check_lines(m);
        for (struct str at = find(value, "=?UTF-8?B?"); at.ptr; at = find(at, "=?UTF-8?B?")) {
            struct str end = find(str_from(at.ptr + 10, at.len - 10), "?=");
            cr_assert_leq(end.ptr + 2 - at.ptr, 75);
            struct str word = unbase64(str_from(at.ptr + 10, at.len - 10));
            cr_assert_neq((unsigned char)word.ptr[0] & 0xC0, 0x80, "a word starts within a character");
            at = str_from(end.ptr, end.len);
        }
    }
}

Test(mail, nothing_can_be_put_into_the_headers) {
    struct str m = compose(STR("Hi\r\nBcc: all@example.com\r\n\r\n<script>"), STR("x"));
    cr_assert_null(find(m, "Bcc").ptr, "a line break in the subject stays data");
    cr_assert(str_eq(decoded(header(m, "\r\nSubject: ")), STR("Hi\r\nBcc: all@example.com\r\n\r\n<script>")));
    cr_assert(str_eq(decoded(header(compose(STR("=?UTF-8?B?QQ==?="), STR("x")), "\r\nSubject: ")), STR("=?UTF-8?B?QQ==?=")));
    const struct str bad[] = {
        STR("a@b\r\nBcc: c@d"), STR("a@b\nc"),  STR("a@b\r"), STR("a@b>, <c@d"), STR("<a@b>"), STR("a@b,c@d"), STR("a@b c"),
        STR("a\0@b"),           STR("a@b\x7f"), STR("@b"),    STR("a@"),         STR("ab"),    STR(""),        STR("a@\xff"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mail mail = {uuid_v7(), bad[i], STR("s"), STR("t"), STR("h")};
        struct str out;
        cr_assert_eq(mail_compose(&arena, &conf, &mail, &out), RC_BAD_INPUT, "address %zu", i);
        cr_assert_eq(mail_write(&arena, &conf, &mail), RC_BAD_INPUT);
    }
}

Test(mail, senders) {
    static const struct {
        const char *from, *name, *address;
    } good[] = {{"a@b.c", "", "<a@b.c>"}, {" <a@b.c>", "", "<a@b.c>"}, {"모두의 플리 <a@b.c>", "모두의 플리", "<a@b.c>"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct conf c = {.mail_from = good[i].from};
        struct mail mail = {uuid_v7(), STR("u@e.c"), STR("s"), STR("t"), STR("h")};
        struct str out;
        cr_assert_eq(mail_compose(&arena, &c, &mail, &out), RC_OK);
        struct str from = header(out, "From: ");
        cr_assert(str_eq(decoded(from), str_of(good[i].name)));
        cr_assert_not_null(find(from, good[i].address).ptr);
        check_lines(out);
    }
    static const char *const bad[] = {"", "MOPL", "MOPL <a@b.c", "MOPL <a@b.c> x", "x <a@b.c\r\nBcc: d@e.f>", "<>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct conf c = {.mail_from = bad[i]};
        struct mail mail = {uuid_v7(), STR("u@e.c"), STR("s"), STR("t"), STR("h")};
        struct str out;
        cr_assert_eq(mail_compose(&arena, &c, &mail, &out), RC_BAD_INPUT, "%s", bad[i]);
    }
}

/* Reads the one .eml of the mail folder; fails unless there are `expected` files. */
static struct str only_mail(int expected) {
    DIR *dir = opendir(arena_printf(&arena, "%s/mail", folder));
    cr_assert_not_null(dir);
    struct str found = {0};
    int count = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.' && strchr("./", e->d_name[1] ? e->d_name[1] : '/')) continue;
        const char *path = arena_printf(&arena, "%s/mail/%s", folder, e->d_name);
        struct stat st;
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_eq(st.st_mode & 0777, 0600u);
        cr_assert_str_eq(strrchr(e->d_name, '.'), ".eml");
        cr_assert_eq(file_read(&arena, path, 1 << 20, &found), RC_OK);
        count++;
    }
    closedir(dir);
    cr_assert_eq(count, expected);
    return found;
}

Test(mail, sent_into_the_folder) {
    struct mail mail = {uuid_v7(), STR("user@example.com"), STR("s"), STR("t"), STR("h")};
    cr_assert_eq(mail_write(&arena, &conf, &mail), RC_OK);
    cr_assert(str_eq(part(only_mail(1), "text/plain"), STR("t")));
    cr_assert_eq(mail_write(&arena, &conf, &mail), RC_OK);
    only_mail(2);
}

Test(mail, a_folder_that_cannot_be_is_told) {
    struct conf c = {.mail_from = "a@b.c", .data_dir = "/proc/no/such"};
    struct mail mail = {uuid_v7(), STR("user@example.com"), STR("s"), STR("t"), STR("h")};
    cr_assert_eq(mail_write(&arena, &c, &mail), RC_UNAVAILABLE);
}

static struct mail filled(const char *kind, enum lang lang, const struct mail_value *values, size_t count) {
    struct mail mail = {.id = uuid_v7(), .to = STR("user@example.com")};
    cr_assert_eq(mail_text_fill(&arena, str_of(kind), lang, values, count, &mail), RC_OK, "%s", kind);
    return mail;
}

Test(mail, temporary_password_in_both_languages) {
    struct mail_value values[] = {{"password", STR("a<b&\"c")}, {"life", mail_text_duration(&arena, LANG_KO, 180)}};
    struct mail mail = filled(MAIL_TEMPORARY_PASSWORD, LANG_KO, values, 2);
    cr_assert_eq(mail_write(&arena, &conf, &mail), RC_OK);
    struct str m = only_mail(1);
    cr_assert_not_null(find(decoded(header(m, "\r\nSubject: ")), "임시 비밀번호").ptr);
    struct str text = part(m, "text/plain"), html = part(m, "text/html");
    cr_assert_not_null(find(text, "a<b&\"c").ptr);
    cr_assert_not_null(find(text, "3분").ptr);
    cr_assert_null(find(html, "a<b").ptr);
    cr_assert_not_null(find(html, "<strong>a&lt;b&amp;&quot;c</strong>").ptr);
    cr_assert_null(find(m, "a<b&").ptr, "the password is not readable in the raw file by chance");
    values[1].text = mail_text_duration(&arena, LANG_EN, 90);
    cr_assert_not_null(find(filled(MAIL_TEMPORARY_PASSWORD, LANG_EN, values, 2).text, "90 seconds").ptr);
}

Test(mail, every_kind_has_a_wording_that_names_what_it_is_given) {
    static const char *const kinds[] = {MAIL_TEMPORARY_PASSWORD, MAIL_PASSWORD_CHANGED, MAIL_NEW_DEVICE,
                                        MAIL_ROLE_CHANGED,       MAIL_LOCKED,           MAIL_UNLOCKED,
                                        MAIL_DELETION_ASKED,     MAIL_DELETION_UNDONE};
    struct mail_value values[] = {{"name", STR("N<\r\nBcc: x")}, {"password", STR("P")}, {"life", STR("L")}, {"device", STR("D")},
                                  {"address", STR("A")},         {"old", STR("O")},      {"new", STR("W")},  {"at", STR("T")}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (enum lang lang = LANG_KO; lang <= LANG_EN; lang++) {
            struct mail mail = filled(kinds[i], lang, values, sizeof values / sizeof *values);
            cr_assert(str_starts(mail.subject, STR("[MOPL] ")));
            cr_assert_eq(str_find(mail.text, '{'), mail.text.len, "%.*s", (int)mail.text.len, mail.text.ptr);
            cr_assert_null(find(mail.text, "\r\nBcc").ptr);
            cr_assert_null(find(mail.html, "N<").ptr);
        }
    }
    struct mail none = {.id = uuid_v7()};
    cr_assert_eq(mail_text_fill(&arena, STR("nonsense"), LANG_KO, NULL, 0, &none), RC_NOT_FOUND);
}

Test(mail, times_in_the_zone_of_the_language) {
    cr_assert(str_eq(mail_text_time(&arena, LANG_EN, 1769851800), STR("2026-01-31 09:30 UTC")));
    cr_assert(str_eq(mail_text_time(&arena, LANG_KO, 1769851800), STR("2026-01-31 18:30 (KST)")));
}

Test(mail, forgets_whom_it_shall) {
    struct mail one = {uuid_v7(), STR("gone@example.com"), STR("s"), STR("t"), STR("h")},
                other = {uuid_v7(), STR("not.gone@example.com"), STR("s"), STR("To: <gone@example.com>"), STR("h")};
    cr_assert_eq(mail_write(&arena, &conf, &one), RC_OK);
    cr_assert_eq(mail_write(&arena, &conf, &other), RC_OK);
    mail_forget(&arena, &conf, STR("gone@example.com"));
    cr_assert_not_null(find(only_mail(1), "To: <not.gone@example.com>").ptr);
}
