/* How many connections wait in the queue of each listening socket, asked of the kernel (sock_diag(7)). Where it does not tell,
 * nothing is shown. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "metrics-parts.h"

enum { ANSWER_BYTES = 32 << 10, STATE_LISTENING = 10, TIMEOUT_S = 2 };

/* Aligned for the headers that the kernel writes into it. */
union answer {
    struct nlmsghdr head;
    char bytes[ANSWER_BYTES];
};

static bool ask(int fd) {
    struct {
        struct nlmsghdr head;
        struct unix_diag_req request;
    } question = {
        .head = {.nlmsg_len = sizeof question, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = 1U << STATE_LISTENING,
                    .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN},
    };
    return send(fd, &question, sizeof question, 0) == (ssize_t)sizeof question;
}

/* One socket: shown if it is one of this instance's. */
static void show(struct req *r, const struct nlmsghdr *message, const char *folder) {
    const struct unix_diag_msg *socket_of = (const struct unix_diag_msg *)((const char *)message + NLMSG_HDRLEN);
    const char *at = (const char *)(socket_of + 1), *end = (const char *)message + message->nlmsg_len;
    struct unix_diag_rqlen queue = {0};
    struct str name = {0}, before = str_of(folder), after = STR(".sock");
    while (end - at >= (ptrdiff_t)sizeof(struct nlattr)) {
        struct nlattr attribute;
        memcpy(&attribute, at, sizeof attribute);
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > end - at) return;
        struct str value = str_from(at + NLA_HDRLEN, (size_t)attribute.nla_len - NLA_HDRLEN);
        if (attribute.nla_type == UNIX_DIAG_NAME) name = value;
        if (attribute.nla_type == UNIX_DIAG_RQLEN && value.len >= sizeof queue) memcpy(&queue, value.ptr, sizeof queue);
        if (NLA_ALIGN(attribute.nla_len) > end - at) break;
        at += NLA_ALIGN(attribute.nla_len);
    }
    while (name.len > 0 && name.ptr[name.len - 1] == '\0') name.len--;
    if (name.len <= before.len + after.len || !str_starts(name, before)) return;
    if (!str_eq(str_from(name.ptr + name.len - after.len, after.len), after)) return;
    name = str_from(name.ptr + before.len, name.len - before.len - after.len);
    if (str_eq(name, STR("front")) || str_eq(name, STR("redis"))) return;
    buf_addf(r->out, "hikaricp_connections_pending{pool=\"%.*s\"} %u\n", (int)name.len, name.ptr, queue.udiag_rqueue);
}

/* False at the end of the answer. */
static bool take(struct req *r, int fd, const char *folder) {
    union answer *answer = arena_alloc(r->arena, sizeof *answer);
    ssize_t got = recv(fd, answer, sizeof *answer, 0);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    const char *at = answer->bytes;
    for (size_t left = (size_t)got; left >= sizeof(struct nlmsghdr);) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)at;
        if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)) || message->nlmsg_len > left) return false;
        show(r, message, folder);
        size_t step = NLMSG_ALIGN(message->nlmsg_len);
        if (step > left) break;
        left -= step;
        at += step;
    }
    return true;
}

void metrics_write_queues(struct req *r) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    const char *folder = arena_printf(r->arena, "%s/run/", r->app->conf->data_dir);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 && ask(fd)) {
        metrics_family(r->out, "hikaricp_connections_pending", "gauge",
                       "Requests that wait for a worker, and so for its connection to the database.");
        while (take(r, fd, folder)) {
        }
    }
    close(fd);
}
