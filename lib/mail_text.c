/* One table of wordings. A {name} becomes its value: bold in HTML, where it is escaped, as it may hold what somebody chose. */
#include "mail_text.h"

#include <time.h>

#include "buf.h"
#include "mails.h"

enum { PARAGRAPHS_MAX = 4, KST_S = 9 * 3600 };

struct wording {
    const char *subject;
    const char *paragraphs[PARAGRAPHS_MAX]; /* NULL-ended unless full */
};

static const struct {
    const char *kind;
    struct wording by_lang[2]; /* enum lang */
} WORDINGS[] = {
    {MAIL_TEMPORARY_PASSWORD,
     {{"[MOPL] 임시 비밀번호를 알려 드려요",
       {"임시 비밀번호: {password}", "{life} 동안 한 번만 사용할 수 있어요. 로그인한 뒤 비밀번호를 바꿔 주세요.",
        "요청하지 않았다면 이 메일을 무시해 주세요. 기존 비밀번호는 그대로 쓸 수 있어요."}},
      {"[MOPL] Your temporary password",
       {"Temporary password: {password}", "It works once, within {life}. Please choose a new password after signing in.",
        "If you did not ask for it, ignore this mail: your old password still works."}}}},
    {MAIL_PASSWORD_CHANGED,
     {{"[MOPL] 비밀번호가 변경되었어요",
       {"{name}님의 비밀번호가 변경되었고, 다른 기기에서는 로그아웃되었어요.",
        "직접 바꾸지 않았다면 지금 로그인 화면에서 임시 비밀번호를 받아 비밀번호를 다시 바꿔 주세요."}},
      {"[MOPL] Your password was changed",
       {"The password of {name} was changed, and all other devices were signed out.",
        "If this was not you, ask for a temporary password on the sign-in page now and change it again."}}}},
    {MAIL_NEW_DEVICE,
     {{"[MOPL] 새로운 기기에서 로그인했어요",
       {"{name}님의 계정에 새로운 기기에서 로그인했어요.", "기기: {device}", "주소: {address}, 시각: {at}",
        "직접 로그인하지 않았다면 비밀번호를 바꿔 주세요. 그 기기는 바로 로그아웃돼요."}},
      {"[MOPL] A new device signed in",
       {"Somebody signed in as {name} from a new device.", "Device: {device}", "Address: {address}, time: {at}",
        "If this was not you, change your password: that signs the device out at once."}}}},
    {MAIL_ROLE_CHANGED,
     {{"[MOPL] 계정 권한이 변경되었어요", {"{name}님의 권한이 {old}에서 {new}(으)로 변경되었어요.", "다시 로그인하면 적용돼요."}},
      {"[MOPL] Your role was changed", {"The role of {name} was changed from {old} to {new}.", "Sign in again to use it."}}}},
    {MAIL_LOCKED,
     {{"[MOPL] 계정이 잠겼어요", {"{name}님의 계정이 관리자에 의해 잠겼어요. 모든 기기에서 로그아웃되었어요."}},
      {"[MOPL] Your account was locked", {"The account of {name} was locked by an administrator and signed out on all devices."}}}},
    {MAIL_UNLOCKED,
     {{"[MOPL] 계정 잠금이 풀렸어요", {"{name}님의 계정 잠금이 풀렸어요. 다시 로그인할 수 있어요."}},
      {"[MOPL] Your account was unlocked", {"The account of {name} was unlocked: you can sign in again."}}}},
    {MAIL_DELETION_ASKED,
     {{"[MOPL] 계정이 곧 삭제돼요",
       {"{name}님의 계정과 모든 활동은 {at} 이후 삭제되고 되돌릴 수 없어요.", "그 전에 로그인하면 삭제가 취소돼요."}},
      {"[MOPL] Your account is going to be deleted",
       {"The account of {name} and all that belongs to it will be deleted for good after {at}.",
        "Signing in before then undoes this."}}}},
    {MAIL_DELETION_UNDONE,
     {{"[MOPL] 계정 삭제가 취소되었어요",
       {"로그인하셔서 {name}님의 계정 삭제를 취소했어요.", "직접 로그인하지 않았다면 비밀번호를 바꿔 주세요."}},
      {"[MOPL] Your account will not be deleted",
       {"You signed in, so the account of {name} stays.", "If this was not you, change your password."}}}},
};

static void add_escaped(struct buf *b, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : NULL;
        if (entity) {
            buf_add(b, str_of(entity));
        } else {
            buf_add_char(b, c);
        }
    }
}

struct filler {
    const struct mail_value *values;
    size_t count;
    bool html;
};

/* Values are one line each: what somebody chose (a name, a device) adds none of its own. */
static void add_value(struct buf *b, const struct filler *f, struct str name) {
    for (size_t i = 0; i < f->count; i++) {
        if (!str_eq(str_of(f->values[i].name), name)) continue;
        size_t from = b->len;
        if (f->html) {
            buf_add(b, STR("<strong>"));
            add_escaped(b, f->values[i].text);
            buf_add(b, STR("</strong>"));
        } else {
            buf_add(b, f->values[i].text);
        }
        for (; from < b->len; from++) {
            if ((unsigned char)b->ptr[from] < ' ') b->ptr[from] = ' ';
        }
    }
}

static void add_filled(struct buf *b, const struct filler *f, const char *text) {
    struct str rest = str_of(text);
    while (rest.ptr) {
        buf_add(b, str_cut(&rest, '{')); /* the wordings hold nothing to escape */
        if (rest.ptr) add_value(b, f, str_cut(&rest, '}'));
    }
}

static struct str body_of(struct arena *a, const struct wording *w, const struct filler *f) {
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < PARAGRAPHS_MAX && w->paragraphs[i]; i++) {
        buf_add(&b, f->html ? STR("<p>") : STR(""));
        add_filled(&b, f, w->paragraphs[i]);
        buf_add(&b, f->html ? STR("</p>\r\n") : STR("\r\n\r\n"));
    }
    struct str body = arena_dup(a, buf_str(&b));
    buf_fini(&b);
    return body;
}

enum rc mail_text_fill(struct arena *a, struct str kind, enum lang lang, const struct mail_value *values, size_t count,
                       struct mail *mail) {
    for (size_t i = 0; i < sizeof WORDINGS / sizeof *WORDINGS; i++) {
        if (!str_eq(str_of(WORDINGS[i].kind), kind)) continue;
        const struct wording *w = &WORDINGS[i].by_lang[lang];
        mail->subject = str_of(w->subject);
        mail->text = body_of(a, w, &(struct filler){values, count, false});
        mail->html = body_of(a, w, &(struct filler){values, count, true});
        return RC_OK;
    }
    return RC_NOT_FOUND;
}

struct str mail_text_duration(struct arena *a, enum lang lang, int64_t seconds) {
    bool minutes = seconds % 60 == 0;
    long long n = minutes ? seconds / 60 : seconds;
    if (lang == LANG_KO) return str_of(arena_printf(a, "%lld%s", n, minutes ? "분" : "초"));
    return str_of(arena_printf(a, "%lld %s%s", n, minutes ? "minute" : "second", n == 1 ? "" : "s"));
}

struct str mail_text_time(struct arena *a, enum lang lang, int64_t seconds) {
    time_t local = (time_t)(lang == LANG_KO ? seconds + KST_S : seconds);
    struct tm parts;
    char text[32];
    if (!gmtime_r(&local, &parts) || strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts) == 0) return STR("");
    return str_of(arena_printf(a, "%s %s", text, lang == LANG_KO ? "(KST)" : "UTC"));
}
