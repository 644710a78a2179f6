/* Password hashes. */
#include "password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "hash_turns.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "random.h"

enum { SALT_BYTES = 16, BCRYPT_BYTES_MAX = 72 };

/* Marks our own form: bcrypt over base64(SHA-256(password)). */
#define OWN_PREFIX "v1:"

/* Lower case, in byte order, for bsearch. Shorter ones than PASSWORD_MIN are refused anyway. */
static const char *const COMMON[] = {"00000000",      "0000000000",
                                     "01234567",      "0123456789",
                                     "0987654321",    "10203040",
                                     "11111111",      "111111111",
                                     "1111111111",    "11112222",
                                     "11223344",      "1122334455",
                                     "112233445566",  "12121212",
                                     "121212121",     "12312312",
                                     "123123123",     "1231231234",
                                     "123321123",     "12341234",
                                     "12344321",      "123454321",
                                     "1234554321",    "12345678",
                                     "123456789",     "1234567890",
                                     "12345678910",   "123456789a",
                                     "123456789q",    "123456abc",
                                     "123456qwe",     "12345qwert",
                                     "1234abcd",      "1234qwer",
                                     "123abc123",     "123qwe123",
                                     "123qweasd",     "13131313",
                                     "147258369",     "147852369",
                                     "159357456",     "19841984",
                                     "1q2w3e4r",      "1q2w3e4r!",
                                     "1q2w3e4r5t",    "1q2w3e4r5t6y",
                                     "1qaz2wsx",      "1qaz2wsx3edc",
                                     "1qaz@wsx",      "1qazxsw2",
                                     "20202020",      "20252025",
                                     "20262026",      "22222222",
                                     "31415926",      "33333333",
                                     "44444444",      "55555555",
                                     "66666666",      "69696969",
                                     "741852963",     "77777777",
                                     "789456123",     "789789789",
                                     "87654321",      "88888888",
                                     "963852741",     "98765432",
                                     "987654321",     "9876543210",
                                     "99999999",      "a1234567",
                                     "a12345678",     "a123456789",
                                     "a1b2c3d4",      "a1s2d3f4",
                                     "aa123456",      "aa12345678",
                                     "aaaa1111",      "aaaaaaaa",
                                     "aaaaaaaa1",     "abc12345",
                                     "abc123456",     "abc123abc",
                                     "abcabcabc",     "abcd1234",
                                     "abcd1234!",     "abcdef123",
                                     "abcdefg1",      "abcdefgh",
                                     "access14",      "admin123",
                                     "admin1234",     "admin12345",
                                     "admin@123",     "adminadmin",
                                     "administrator", "arsenal1",
                                     "asd12345",      "asd123asd",
                                     "asdf1234",      "asdfasdf",
                                     "asdfghjk",      "asdfghjkl",
                                     "asdfghjkl1",    "asdfqwer",
                                     "autumn2025",    "barcelona",
                                     "baseball",      "baseball1",
                                     "basketball",    "batman123",
                                     "blink182",      "butterfly",
                                     "changeit",      "changeme",
                                     "changeme1",     "changeme123",
                                     "charlie1",      "chelsea1",
                                     "chocolate",     "chocolate1",
                                     "christian",     "cocacola",
                                     "computer",      "computer1",
                                     "corvette",      "creative",
                                     "danielle",      "december1",
                                     "default1",      "dkssud12",
                                     "dkssudgktpdy",  "dragon123",
                                     "einstein",      "elephant",
                                     "estrella",      "facebook",
                                     "facebook1",     "football",
                                     "football1",     "football123",
                                     "fuckyou!",      "fuckyou1",
                                     "fuckyou2",      "garfield",
                                     "gateway1",      "goodluck",
                                     "google123",     "guest123",
                                     "guest1234",     "hanguk12",
                                     "hannover",      "happy123",
                                     "hello123",      "hello1234",
                                     "hellohello",    "helloworld",
                                     "hotmail1",      "ilovegod",
                                     "iloveme1",      "iloveyou",
                                     "iloveyou!",     "iloveyou1",
                                     "iloveyou2",     "internet",
                                     "internet1",     "jennifer",
                                     "jennifer1",     "jessica1",
                                     "jonathan",      "jordan23",
                                     "killer123",     "korea123",
                                     "korea1234",     "letmein1",
                                     "letmein123",    "letmeinnow",
                                     "liverpool",     "liverpool1",
                                     "lovelove",      "lovely123",
                                     "lovers123",     "loveyou1",
                                     "manchester",    "master123",
                                     "maverick",      "mercedes",
                                     "michael1",      "michelle",
                                     "midnight",      "minecraft",
                                     "minecraft1",    "monkey123",
                                     "mopl1234",      "moplmopl",
                                     "movie123",      "mustang1",
                                     "mylove123",     "mypassword",
                                     "newpassword",   "nicholas",
                                     "nothing1",      "november",
                                     "october1",      "p@ssw0rd",
                                     "p@ssw0rd1",     "p@ssword",
                                     "p@ssword1",     "pa$$word",
                                     "pa55word",      "passpass",
                                     "passw0rd",      "password",
                                     "password!",     "password01",
                                     "password1",     "password1!",
                                     "password11",    "password12",
                                     "password123",   "password1234",
                                     "password2",     "password2024",
                                     "password2025",  "password2026",
                                     "password3",     "password99",
                                     "passwords",     "passwort",
                                     "patricia",      "pokemon1",
                                     "pokemon123",    "princess",
                                     "princess1",     "q1234567",
                                     "q123456789",    "q1w2e3r4",
                                     "q1w2e3r4t5",    "qazwsx123",
                                     "qazwsxedc",     "qazxswedc",
                                     "qlalfqjsgh",    "qlalfqjsgh1",
                                     "qwe123qwe",     "qweasdzxc",
                                     "qweqweqwe",     "qwer1234",
                                     "qwer1234!",     "qwert123",
                                     "qwerty12",      "qwerty123",
                                     "qwerty1234",    "qwerty12345",
                                     "qwertyqwerty",  "qwertyui",
                                     "qwertyuiop",    "qwertyuiop123",
                                     "rhdwn1234",     "rockyou1",
                                     "root1234",      "rootroot",
                                     "samsung1",      "samsung123",
                                     "scooter1",      "secret123",
                                     "security",      "security1",
                                     "seoul1234",     "server123",
                                     "shadow123",     "slipknot",
                                     "snowball",      "softball",
                                     "something",     "spiderman",
                                     "spiderman1",    "spring2025",
                                     "starwars",      "starwars1",
                                     "steelers",      "success1",
                                     "summer2024",    "summer2025",
                                     "summer2026",    "sunshine",
                                     "sunshine1",     "superman",
                                     "superman1",     "swordfish",
                                     "temp1234",      "temporary",
                                     "test123!",      "test1234",
                                     "test12345",     "testing1",
                                     "testing123",    "testtest",
                                     "thepassword",   "tinkerbell",
                                     "tjdnf123",      "tkfkdgo1",
                                     "tkfkdgo12",     "tkfkdgody",
                                     "trustno1",      "trustnoone",
                                     "user1234",      "useruser",
                                     "veronica",      "victoria",
                                     "welcome1",      "welcome12",
                                     "welcome123",    "welcome2024",
                                     "welcome2025",   "welcome2026",
                                     "welcome@1",     "whatever",
                                     "whatever1",     "winter2024",
                                     "winter2025",    "wkrdjq123",
                                     "wordpass",      "xxxxxxxx",
                                     "yourpassword",  "z1234567",
                                     "zaq12wsx",      "zaq1xsw2",
                                     "zaq1zaq1",      "zxcv1234",
                                     "zxcvbnm1",      "zxcvbnm123",
                                     "zxcvbnmm",      "zxczxczxc",
                                     "zzzzzzzz",      "비밀번호비밀번호",
                                     "사랑해사랑해",  "안녕하세요안녕하세요"};

static struct metric bcrypt_time = {METRIC_TIMER("mopl_bcrypt_seconds", "Time of making or comparing one password hash.")};
static struct metric turn_time = {METRIC_TIMER("mopl_bcrypt_wait_seconds", "Time that one waited for its turn.")};

/* crypt(3) with its 32 KB of state off the stack, wiped afterwards. False if the setting is none it knows. */
static bool run_crypt(const char *phrase, const char *setting, char out[CRYPT_OUTPUT_SIZE]) {
    int64_t came_ns = clock_mono_ns();
    int turn = hash_turn_take();
    int64_t began_ns = clock_mono_ns();
    metric_observe(metric_one(&turn_time), began_ns - came_ns);
    struct crypt_data *data = mem_zalloc(sizeof *data);
    const char *hash = crypt_r(phrase, setting, data);
    bool good = hash && hash[0] != '*';
    if (good) snprintf(out, CRYPT_OUTPUT_SIZE, "%s", hash);
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    hash_turn_give(turn);
    metric_since(metric_one(&bcrypt_time), began_ns);
    return good;
}

/* No byte beyond the 72nd is lost, and no NUL ends it early. */
static void digest_phrase(struct str password, char out[64]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(password.ptr ? password.ptr : ""), password.len, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    OPENSSL_cleanse(digest, sizeof digest);
}

enum rc password_hash(struct arena *a, struct str password, int cost, struct str *out) {
    char salt[SALT_BYTES];
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char phrase[64];
    char hash[CRYPT_OUTPUT_SIZE];
    random_bytes(salt, sizeof salt);
    if (!crypt_gensalt_rn("$2b$", (unsigned long)cost, salt, sizeof salt, setting, sizeof setting)) {
        log_event(LOG_ERROR, "bcrypt_refused", LOG_I64("cost", cost));
        return RC_INTERNAL;
    }
    digest_phrase(password, phrase);
    bool good = run_crypt(phrase, setting, hash);
    OPENSSL_cleanse(phrase, sizeof phrase);
    if (!good) {
        log_event(LOG_ERROR, "bcrypt_refused", LOG_I64("cost", cost));
        return RC_INTERNAL;
    }
    *out = str_of(arena_printf(a, OWN_PREFIX "%s", hash));
    return RC_OK;
}

static bool is_bcrypt(const char *setting) {
    return strncmp(setting, "$2a$", 4) == 0 || strncmp(setting, "$2b$", 4) == 0 || strncmp(setting, "$2y$", 4) == 0;
}

/* Takes the time of a real comparison. */
static void run_dummy(struct str password, int cost) {
    char phrase[64];
    char setting[40];
    char hash[CRYPT_OUTPUT_SIZE];
    digest_phrase(password, phrase);
    snprintf(setting, sizeof setting, "$2b$%02d$CCCCCCCCCCCCCCCCCCCCC.", cost);
    (void)run_crypt(phrase, setting, hash);
}

bool password_verify(struct str password, struct str hash, int cost) {
    char setting[CRYPT_OUTPUT_SIZE];
    char phrase[BCRYPT_BYTES_MAX + 1];
    char made[CRYPT_OUTPUT_SIZE];
    bool own = str_starts(hash, STR(OWN_PREFIX));
    if (own) hash = str_from(hash.ptr + strlen(OWN_PREFIX), hash.len - strlen(OWN_PREFIX));
    bool usable = hash.len > 4 && hash.len < sizeof setting;
    if (usable) {
        memcpy(setting, hash.ptr, hash.len);
        setting[hash.len] = '\0';
        usable = is_bcrypt(setting);
    }
    /* Foreign hashes were made of C strings, of which bcrypt takes 72 bytes. */
    if (usable && !own && memchr(password.ptr ? password.ptr : "", '\0', password.len)) usable = false;
    if (!usable) {
        run_dummy(password, cost);
        return false;
    }
    if (own) {
        digest_phrase(password, phrase);
    } else {
        size_t len = password.len < BCRYPT_BYTES_MAX ? password.len : BCRYPT_BYTES_MAX;
        if (len > 0) memcpy(phrase, password.ptr, len);
        phrase[len] = '\0';
    }
    bool good = run_crypt(phrase, setting, made) && strlen(made) == hash.len && CRYPTO_memcmp(made, hash.ptr, hash.len) == 0;
    OPENSSL_cleanse(phrase, sizeof phrase);
    return good;
}

bool password_needs_rehash(struct str hash, int cost) {
    int64_t made_with;
    struct str prefix = STR(OWN_PREFIX "$2b$");
    if (!str_starts(hash, prefix) || hash.len < prefix.len + 3) return true;
    return !str_to_i64(str_from(hash.ptr + prefix.len, 2), &made_with) || made_with < cost;
}

static int compare(const void *key, const void *entry) {
    return strcmp(key, *(const char *const *)entry);
}

bool password_is_common(struct str password) {
    char lower[64];
    if (password.len >= sizeof lower) return false;
    for (size_t i = 0; i < password.len; i++) {
        char c = password.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lower[password.len] = '\0';
    if (strlen(lower) != password.len) return false;
    return bsearch(lower, COMMON, sizeof COMMON / sizeof *COMMON, sizeof *COMMON, compare) != NULL;
}
