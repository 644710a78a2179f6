#include "uuid.h"

#include <pthread.h>

#include "clock.h"
#include "random.h"

enum { RANDOM_BYTES = 8, POOL_BYTES = RANDOM_BYTES * 64, FRACTION_BITS = 12, US_PER_MS = 1000 };

/* A clock set back less than this is ridden out on the last stamp; beyond it the new time is believed. */
static const uint64_t RIDE_OUT_STAMPS = UINT64_C(10) * 1000 << FRACTION_BITS;

/* Random bytes for many ids are fetched at once: one system call in 64 ids. */
static _Thread_local struct {
    uint8_t bytes[POOL_BYTES];
    size_t left;
} pool;

/* Two processes must not draw from one pool, or they would make the same ids. */
static void forget_pool(void) {
    pool.left = 0;
}

static void watch_forks(void) {
    (void)pthread_atfork(NULL, NULL, forget_pool);
}

static void draw(uint8_t *out) {
    if (pool.left == 0) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        (void)pthread_once(&once, watch_forks);
        random_bytes(pool.bytes, POOL_BYTES);
        pool.left = POOL_BYTES;
    }
    pool.left -= RANDOM_BYTES;
    memcpy(out, pool.bytes + pool.left, RANDOM_BYTES);
}

/* Milliseconds and their fraction in 1/4096, never the same twice in a thread, so that ids made in a row sort in that order. */
static uint64_t next_stamp(void) {
    static _Thread_local uint64_t last;
    uint64_t us = (uint64_t)clock_now_us();
    uint64_t stamp = (us / US_PER_MS) << FRACTION_BITS | ((us % US_PER_MS) << FRACTION_BITS) / US_PER_MS;
    if (stamp <= last && last - stamp < RIDE_OUT_STAMPS) stamp = last + 1;
    last = stamp;
    return stamp;
}

struct uuid uuid_v7(void) {
    struct uuid id;
    uint64_t stamp = next_stamp();
    uint64_t ms = stamp >> FRACTION_BITS;
    for (int i = 0; i < 6; i++) id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | ((stamp >> 8) & 0x0f));
    id.bytes[7] = (uint8_t)stamp;
    draw(id.bytes + 8);
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Where each byte's two digits stand in the text. */
static const uint8_t digit_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

bool uuid_parse(struct str text, struct uuid *out) {
    if (text.len != UUID_TEXT_LEN) return false;
    if (text.ptr[8] != '-' || text.ptr[13] != '-' || text.ptr[18] != '-' || text.ptr[23] != '-') return false;
    struct uuid id;
    for (int i = 0; i < 16; i++) {
        int high = hex_value(text.ptr[digit_at[i]]);
        int low = hex_value(text.ptr[digit_at[i] + 1]);
        if (high < 0 || low < 0) return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = id;
    return true;
}

void uuid_format(struct uuid id, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[digit_at[i]] = digits[id.bytes[i] >> 4];
        out[digit_at[i] + 1] = digits[id.bytes[i] & 0x0f];
    }
    out[8] = out[13] = out[18] = out[23] = '-';
}

char *uuid_cstr(struct uuid id, char *out) {
    uuid_format(id, out);
    out[UUID_TEXT_LEN] = '\0';
    return out;
}
