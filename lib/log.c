#include "log.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_write.h"
#include "utf8.h"

enum { TEXT_MAX_BYTES = 2000 };

static struct {
    const char *process;
    enum log_level min;
} state = {.process = "mopl", .min = LOG_INFO};
/* Of the thread that handles the request: one of a library may have something to say meanwhile, and afterwards. */
static _Thread_local struct str request_id;

enum log_level log_level_of(const char *name) {
    static const char *const names[] = {[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
    for (enum log_level level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (strcmp(name, names[level]) == 0) return level;
    }
    return LOG_INFO;
}

void log_init(const char *process, enum log_level min) {
    state.process = process;
    state.min = min;
}

void log_request_id(struct str id) {
    request_id = id;
}

/* The longest start of `text` within the limit that does not split a sequence. */
static struct str cut(struct str text) {
    if (text.len <= TEXT_MAX_BYTES) return text;
    size_t len = TEXT_MAX_BYTES;
    while (len > TEXT_MAX_BYTES - 3 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) len--;
    return str_from(text.ptr, len);
}

/* Text of unknown origin as valid UTF-8: each byte that is not part of a well-formed sequence becomes U+FFFD. */
static void add_text(struct buf *line, struct str text) {
    text = cut(text);
    size_t valid = utf8_valid_length(text);
    if (valid == text.len) {
        jw_str(line, text);
        return;
    }
    struct buf clean;
    buf_init(&clean);
    while (valid < text.len) {
        buf_add(&clean, str_from(text.ptr, valid));
        buf_add(&clean, STR("\xef\xbf\xbd"));
        text = str_from(text.ptr + valid + 1, text.len - valid - 1);
        valid = utf8_valid_length(text);
    }
    buf_add(&clean, text);
    jw_str(line, buf_str(&clean));
    buf_fini(&clean);
}

static void add_head(struct buf *line, enum log_level level, const char *event) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    jw_object(line);
    jw_key(line, "time");
    jw_time(line, clock_now_us());
    jw_key(line, "level");
    jw_str(line, str_of(names[level]));
    jw_key(line, "process");
    jw_str(line, str_of(state.process));
    jw_key(line, "pid");
    jw_i64(line, getpid());
    jw_key(line, "event");
    jw_str(line, str_of(event));
    if (!request_id.ptr) return;
    jw_key(line, "requestId");
    add_text(line, request_id);
}

/* One write keeps lines of several processes on one descriptor apart. What the descriptor refuses is lost: there is nowhere to say
 * so. */
static void write_line(struct str line) {
    ssize_t written;
    do written = write(STDERR_FILENO, line.ptr, line.len);
    while (written < 0 && errno == EINTR);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields) {
    if (level < state.min) return;
    int saved_errno = errno;
    struct buf line;
    buf_init(&line);
    add_head(&line, level, event);
    for (; fields->name; fields++) {
        jw_key_text(&line, str_of(fields->name));
        if (fields->text.ptr) {
            add_text(&line, fields->text);
        } else {
            jw_i64(&line, fields->number);
        }
    }
    jw_object_end(&line);
    buf_add_char(&line, '\n');
    write_line(buf_str(&line));
    buf_fini(&line);
    errno = saved_errno;
}
