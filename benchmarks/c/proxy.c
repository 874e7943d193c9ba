/* A proxy for benchmarks that adds a delay and counts round trips (loopback only).
 *
 * Adds a fixed one-way delay in each direction (RTT = 2 x delay) with unlimited throughput (it buffers), and
 * models the TCP handshake: the upstream connect starts 3 one-way delays after accept (SYN, SYN-ACK, ACK), so
 * the banner reaches the client 2 RTT after connect(), as on a real path.
 *
 * Per connection it counts
 *   flights  direction switches client->server: bursts of client bytes with no server byte delivered in between
 *   rounds   the critical path in round trips: a client chunk has depth 1 + (deepest reply delivered so far); a
 *            reply has the depth of the deepest client chunk already forwarded.  rounds == flights for lock-step
 *            clients; for a client which keeps several groups in flight, rounds is what wall time / RTT shows.
 *
 *   proxy -u UPSTREAM -d ONE_WAY_MS
 * It prints its port and its control port. Control: send "stats\n" or "reset\n", get one line of JSON.
 * It ends when its standard input does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1 << 18)
#define CAP (1ull << 28)
#define MAXREC 4096

struct seg { struct seg *next; uint64_t at; size_t len, off; int eof; uint64_t depth; char b[]; };
struct dir { struct seg *head, *tail; uint64_t queued; int src, dst, eof_in, eof_out, blocked; };
struct pair {
    struct pair *next, *prev;
    struct dir c2s, s2c;
    uint64_t up_at; int up, dead;      /* up: 0 wait, 1 connected */
    uint64_t flights, rounds, seen, srv, cbytes, sbytes, creads, sreads; int last_client;
};
struct ref { int kind; struct pair *p; };   /* kind 0 listen 1 control-listen 3 client 4 upstream 5 standard input */
struct rec { uint64_t flights, rounds, cbytes, sbytes, creads, sreads; };

static int ep, stop, upport;
static uint64_t delay_ns;
static struct pair *pairs;
static struct rec recs[MAXREC]; static uint64_t nrec, conns;
static char scratch[CHUNK];

static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec; }
static void nodelay(int fd) { int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); }

static struct ref *mkref(int kind, struct pair *p) { struct ref *r = malloc(sizeof *r); r->kind = kind; r->p = p; return r; }
static void add(int fd, uint32_t ev, struct ref *r) { struct epoll_event e = {.events = ev, .data.ptr = r}; epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e); }

static int listen_on(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (bind(fd, (void *)&a, n) || listen(fd, 1024) || getsockname(fd, (void *)&a, &n)) { perror("listen"); exit(2); }
    *port = ntohs(a.sin_port);
    return fd;
}

static void push(struct dir *d, const char *b, size_t n, int eof, uint64_t depth) {
    struct seg *s = malloc(sizeof *s + n);
    s->next = 0; s->at = now() + delay_ns; s->len = n; s->off = 0; s->eof = eof; s->depth = depth;
    if (n) memcpy(s->b, b, n);
    if (d->tail) d->tail->next = s; else d->head = s;
    d->tail = s; d->queued += n;
}

/* read everything available from d->src */
static void pull(struct pair *p, struct dir *d) {
    if (d->eof_in) return;
    while (d->queued < CAP) {
        ssize_t r = recv(d->src, scratch, CHUNK, 0);
        if (r < 0) { if (errno == EAGAIN) return; r = 0; }
        if (r == 0) { d->eof_in = 1; push(d, 0, 0, 1, 0); return; }
        if (d == &p->c2s) {
            if (!p->last_client) { p->flights++; p->last_client = 1; }
            if (p->seen + 1 > p->rounds) p->rounds = p->seen + 1;
            p->cbytes += (uint64_t)r; p->creads++;
            push(d, scratch, (size_t)r, 0, p->seen + 1);
        } else { p->sbytes += (uint64_t)r; p->sreads++; push(d, scratch, (size_t)r, 0, p->srv); }
    }
}

/* deliver what is due; returns next due time or 0 */
static uint64_t deliver(struct pair *p, struct dir *d, uint64_t t) {
    if (d->dst < 0) return 0;
    while (d->head) {
        struct seg *s = d->head;
        if (s->at > t) return s->at;
        if (s->eof) { shutdown(d->dst, SHUT_WR); d->eof_out = 1; }
        else {
            ssize_t r = send(d->dst, s->b + s->off, s->len - s->off, MSG_NOSIGNAL);
            if (r < 0 && errno == EAGAIN) { d->blocked = 1; return 0; }   /* EPOLLOUT (edge) resumes */
            if (r < 0) { p->dead = 1; return 0; }
            if (d == &p->s2c) { p->last_client = 0; if (s->depth > p->seen) p->seen = s->depth; }
            else if (s->depth > p->srv) p->srv = s->depth;
            s->off += (size_t)r; d->queued -= (uint64_t)r;
            if (s->off < s->len) continue;
        }
        d->head = s->next; if (!d->head) d->tail = 0;
        free(s);
    }
    return 0;
}

static void start_up(struct pair *p) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)upport), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (void *)&a, sizeof a)) { close(fd); p->dead = 1; return; }
    nodelay(fd);
    /* loopback connect is instant; go non-blocking afterwards */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    p->c2s.dst = p->s2c.src = fd; p->up = 1;
    add(fd, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, mkref(4, p));
}

static void finish(struct pair *p) {
    if (nrec < MAXREC) recs[nrec] = (struct rec){p->flights, p->rounds, p->cbytes, p->sbytes, p->creads, p->sreads};
    nrec++;
    close(p->c2s.src); if (p->c2s.dst >= 0) close(p->c2s.dst);
    for (int i = 0; i < 2; i++) { struct seg *s = i ? p->s2c.head : p->c2s.head; while (s) { struct seg *q = s->next; free(s); s = q; } }
    if (p->prev) p->prev->next = p->next; else pairs = p->next;
    if (p->next) p->next->prev = p->prev;
    free(p);   /* the small refs leak: bounded by the connection count */
}

static char *json(size_t *len) {
    size_t cap = 1024 + (size_t)(nrec < MAXREC ? nrec : MAXREC) * 120 + 65536, n = 0; char *b = malloc(cap);
    n += (size_t)snprintf(b, cap, "{\"rtt_ms\":%.3f,\"connections\":%llu,\"closed\":%llu,\"conns\":[", (double)delay_ns * 2 / 1e6, (unsigned long long)conns, (unsigned long long)nrec);
    int first = 1;
    for (uint64_t i = 0; i < nrec && i < MAXREC; i++, first = 0)
        n += (size_t)snprintf(b + n, cap - n, "%s{\"open\":0,\"flights\":%llu,\"rounds\":%llu,\"cbytes\":%llu,\"sbytes\":%llu}", first ? "" : ",", (unsigned long long)recs[i].flights, (unsigned long long)recs[i].rounds, (unsigned long long)recs[i].cbytes, (unsigned long long)recs[i].sbytes);
    for (struct pair *p = pairs; p && n + 200 < cap; p = p->next, first = 0)
        n += (size_t)snprintf(b + n, cap - n, "%s{\"open\":1,\"flights\":%llu,\"rounds\":%llu,\"cbytes\":%llu,\"sbytes\":%llu}", first ? "" : ",", (unsigned long long)p->flights, (unsigned long long)p->rounds, (unsigned long long)p->cbytes, (unsigned long long)p->sbytes);
    n += (size_t)snprintf(b + n, cap - n, "]}\n");
    *len = n; return b;
}

int main(int ac, char **av) {
    int port, ctl, o;
    while ((o = getopt(ac, av, "u:d:")) != -1) switch (o) {
    case 'u': upport = atoi(optarg); break;
    case 'd': delay_ns = (uint64_t)(atof(optarg) * 1e6); break;
    default: return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(0);
    int lfd = listen_on(&port), cfd = listen_on(&ctl);
    add(lfd, EPOLLIN, mkref(0, 0)); add(cfd, EPOLLIN, mkref(1, 0)); add(0, EPOLLIN, mkref(5, 0));
    printf("%d %d\n", port, ctl); fflush(stdout);
    while (!stop) {
        uint64_t t = now(), next = t + 1000000000ull;
        for (struct pair *p = pairs, *q; p; p = q) {
            q = p->next;
            if (!p->up && !p->dead) { if (p->up_at <= t) start_up(p); else if (p->up_at < next) next = p->up_at; }
            uint64_t a;
            /* read first: what the client sent before this round's deliveries must not count as an answer to them */
            if (p->c2s.queued < CAP) pull(p, &p->c2s);
            if (p->up && p->s2c.queued < CAP) pull(p, &p->s2c);
            t = now();
            if (!p->c2s.blocked && (a = deliver(p, &p->c2s, t)) && a < next) next = a;
            if (!p->s2c.blocked && (a = deliver(p, &p->s2c, t)) && a < next) next = a;
            if (p->c2s.head && !p->c2s.blocked && p->up && p->c2s.head->at < next) next = p->c2s.head->at;
            if (p->s2c.head && !p->s2c.blocked && p->s2c.head->at < next) next = p->s2c.head->at;
            if (p->dead || (p->c2s.eof_out && p->s2c.eof_out)) finish(p);
        }
        t = now();
        uint64_t w = next > t ? next - t : 0;
        struct timespec ts = {.tv_sec = (time_t)(w / 1000000000ull), .tv_nsec = (long)(w % 1000000000ull)};
        struct epoll_event ev[64]; int n = epoll_pwait2(ep, ev, 64, &ts, 0);
        for (int i = 0; i < n; i++) {
            struct ref *r = ev[i].data.ptr;
            if (r->kind == 5) stop = 1;
            else if (r->kind == 0) {
                int fd = accept4(lfd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); if (fd < 0) continue;
                nodelay(fd);
                struct pair *p = calloc(1, sizeof *p);
                p->c2s.src = p->s2c.dst = fd; p->c2s.dst = p->s2c.src = -1;
                p->up_at = now() + delay_ns * 3;
                p->next = pairs; if (pairs) pairs->prev = p;
                pairs = p; conns++;
                add(fd, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, mkref(3, p));
            } else if (r->kind == 1) {
                int fd = accept4(cfd, 0, 0, SOCK_CLOEXEC); if (fd < 0) continue;
                struct timeval tv = {.tv_sec = 1}; setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
                char b[64]; ssize_t k = recv(fd, b, sizeof b, 0); size_t len; char *j = json(&len);
                if (k > 0) { size_t off = 0; while (off < len) { ssize_t s = send(fd, j + off, len - off, MSG_NOSIGNAL); if (s <= 0) break; off += (size_t)s; } }
                free(j); close(fd);
                if (k >= 5 && !memcmp(b, "reset", 5)) { nrec = conns = 0; for (struct pair *p = pairs; p; p = p->next) p->flights = p->rounds = p->cbytes = p->sbytes = p->seen = p->srv = 0, p->last_client = 0; }
            } else if (r->kind == 3 || r->kind == 4) {
                struct pair *p = r->p, *q; for (q = pairs; q && q != p; q = q->next) {}
                if (!q) continue;   /* already finished in this round */
                if (ev[i].events & EPOLLOUT) { if (r->kind == 3) p->s2c.blocked = 0; else p->c2s.blocked = 0; }
            }
        }
    }
    return 0;
}
