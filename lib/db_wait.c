/* Notifications may have come in with the answers to other calls: libpq keeps them, so they are looked at before the socket is. */
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "db_wire.h"

enum { AWAY_PAUSE_MS = 100 };

static void pause_ms(int ms) {
    (void)poll(NULL, 0, ms);
}

enum rc db_wait(struct db *db, int timeout_ms, bool *notified) {
    *notified = false;
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        PGconn *conn = db_connection(db);
        if (!conn) {
            pause_ms(timeout_ms < AWAY_PAUSE_MS ? timeout_ms : AWAY_PAUSE_MS);
            return RC_UNAVAILABLE;
        }
        *notified = db_wire_take_notifications(conn);
        int64_t left_ms = end_ms - clock_mono_ms();
        if (*notified || left_ms <= 0) return RC_OK;
        struct pollfd p = {.fd = PQsocket(conn), .events = POLLIN};
        if (poll(&p, 1, (int)left_ms) < 0) return RC_OK; /* a signal */
        if (p.revents && !PQconsumeInput(conn)) return RC_UNAVAILABLE;
    }
}
