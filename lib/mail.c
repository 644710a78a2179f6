#include "mail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base64.h"
#include "buf.h"
#include "clock.h"
#include "file.h"
#include "hex.h"
#include "log.h"
#include "random.h"
#include "utf8.h"

/* Base64 characters (multiples of 4) of an encoded word, so that with "Subject: " or one blank before it and its own 12 characters
 * a line stays within 76 and the word within 75 (RFC 2047 section 2). */
enum { WORD_FIRST = 52, WORD_NEXT = 60, BODY_LINE = 76, TAG_BYTES = 16, MAIL_BYTES_MAX = 1 << 20 };

static void random_tag(char out[static 2 * TAG_BYTES + 1]) {
    uint8_t bytes[TAG_BYTES];
    random_bytes(bytes, sizeof bytes);
    hex_cstr(bytes, sizeof bytes, out);
}

static bool control_free(struct str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F) return false;
    return true;
}

/* One mailbox and nothing more: what could end the header, the angle brackets or the address is refused. */
static bool address_safe(struct str s) {
    if (!control_free(s) || !utf8_valid(s)) return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '<' || s.ptr[i] == '>' || s.ptr[i] == ',' || s.ptr[i] == ' ') return false;
    size_t at = str_find(s, '@');
    return at > 0 && at + 1 < s.len;
}

/* The longest prefix of whole code points within `bytes`. */
static struct str prefix_within(struct str s, size_t bytes) {
    if (s.len <= bytes) return s;
    while (bytes > 0 && ((unsigned char)s.ptr[bytes] & 0xC0) == 0x80) bytes--;
    return str_from(s.ptr, bytes);
}

/* Always as encoded words, plain text too: then no text can be taken for one, and a line break in it stays data. */
static void add_encoded_words(struct buf *b, struct arena *a, struct str text) {
    size_t room = WORD_FIRST;
    while (text.len > 0) {
        struct str part = prefix_within(text, room / 4 * 3);
        struct str word = base64_encode(a, part);
        buf_addf(b, "%s=?UTF-8?B?%.*s?=", room == WORD_FIRST ? "" : "\r\n ", (int)word.len, word.ptr);
        text = str_from(text.ptr + part.len, text.len - part.len);
        room = WORD_NEXT;
    }
}

static void add_base64_lines(struct buf *b, struct arena *a, struct str body) {
    struct str text = base64_encode(a, body);
    for (size_t at = 0; at < text.len; at += BODY_LINE) {
        size_t left = text.len - at;
        buf_add(b, str_from(text.ptr + at, left < BODY_LINE ? left : BODY_LINE));
        buf_add(b, STR("\r\n"));
    }
}

static void add_part(struct buf *b, struct arena *a, const char *boundary, const char *media_type, struct str body) {
    buf_addf(b, "--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, media_type);
    add_base64_lines(b, a, body);
}

/* Sender as "Name <address>" or a bare address. */
struct sender {
    struct str name;
    struct str address;
};

static bool sender_parse(struct str from, struct sender *out) {
    size_t open = str_find(from, '<');
    if (open == from.len) {
        *out = (struct sender){STR(""), str_trim(from)};
    } else {
        if (from.ptr[from.len - 1] != '>') return false;
        *out = (struct sender){str_trim(str_from(from.ptr, open)), str_from(from.ptr + open + 1, from.len - open - 2)};
    }
    return address_safe(out->address) && utf8_valid(out->name);
}

static void add_headers(struct buf *b, struct arena *a, const struct sender *sender, const struct mail *mail,
                        const char *boundary) {
    char date[32], id[UUID_TEXT_LEN + 1];
    clock_format_mail(clock_now_us(), date);
    buf_addf(b, "Date: %s\r\nFrom: ", date);
    add_encoded_words(b, a, sender->name);
    if (sender->name.len > 0) buf_add(b, STR("\r\n "));
    buf_addf(b, "<%.*s>\r\nTo: <%.*s>\r\nSubject: ", (int)sender->address.len, sender->address.ptr, (int)mail->to.len,
             mail->to.ptr);
    add_encoded_words(b, a, mail->subject);
    size_t at = str_find(sender->address, '@');
    buf_addf(b, "\r\nMessage-ID: <%s%.*s>\r\n", uuid_cstr(mail->id, id), (int)(sender->address.len - at), sender->address.ptr + at);
    buf_addf(
        b,
        "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\nContent-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n",
        boundary);
}

enum rc mail_compose(struct arena *a, const struct conf *conf, const struct mail *mail, struct str *out) {
    struct sender sender;
    if (!address_safe(mail->to)) return RC_BAD_INPUT;
    if (!sender_parse(str_of(conf->mail_from), &sender)) {
        log_event(LOG_ERROR, "mail_sender_refused", LOG_CSTR("setting", "MOPL_MAIL_FROM"));
        return RC_BAD_INPUT;
    }
    char boundary[2 * TAG_BYTES + 1];
    random_tag(boundary);
    struct buf b;
    buf_init(&b);
    add_headers(&b, a, &sender, mail, boundary);
    /* The last part is the one preferred by programs that can show it. */
    add_part(&b, a, boundary, "text/plain", mail->text);
    add_part(&b, a, boundary, "text/html", mail->html);
    buf_addf(&b, "--%s--\r\n", boundary);
    *out = arena_dup(a, buf_str(&b));
    buf_fini(&b);
    return RC_OK;
}

static enum rc folder_refused(void) {
    log_event(LOG_ERROR, "mail_folder_failed", LOG_CSTR("error", strerror(errno)));
    return RC_UNAVAILABLE;
}

enum rc mail_write(struct arena *a, const struct conf *conf, const struct mail *mail) {
    struct str message;
    enum rc rc = mail_compose(a, conf, mail, &message);
    if (rc) return rc;
    const char *folder = arena_printf(a, "%s/mail", conf->data_dir);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) return folder_refused();
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return folder_refused();
    /* Names sort by time; a mail that is written again is another file. */
    char id[UUID_TEXT_LEN + 1];
    rc = file_put(fd, arena_printf(a, "%016lld-%s.eml", (long long)clock_now_us(), uuid_cstr(mail->id, id)), 0600, message);
    close(fd);
    return rc;
}

enum rc mail_sender(struct arena *a, const struct conf *conf, struct str *address) {
    struct sender sender;
    if (!sender_parse(str_of(conf->mail_from), &sender)) return RC_BAD_INPUT;
    *address = arena_dup(a, sender.address);
    return RC_OK;
}

void mail_forget(struct arena *a, const struct conf *conf, struct str to) {
    const char *folder = arena_printf(a, "%s/mail", conf->data_dir);
    const char *line = arena_printf(a, "\r\nTo: <%.*s>\r\n", (int)to.len, to.ptr);
    struct str message;
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        if (file_read(a, arena_printf(a, "%s/%s", folder, e->d_name), MAIL_BYTES_MAX, &message) != RC_OK) continue;
        if (memmem(message.ptr, message.len, line, strlen(line))) (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}
