/* An SMTP server for benchmarks that keeps nothing: one thread, epoll, loopback only.
 *
 * Commands that arrived together are answered with one write, as Postfix does. It counts what comes
 * (messages, recipients, octets and the sum of the octets of all bodies, without dot-stuffing), so
 * that a run proves that nothing was lost or damaged.
 *
 *   sink [-k key.pem -C cert.pem] [-x NAME]...
 *     -x NAME   do not announce NAME (PIPELINING, CHUNKING, STARTTLS, AUTH, SIZE, ...)
 * It prints its port and its control port. Control: send "stats\n" or "reset\n", get one line of JSON.
 * It ends when its standard input does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RBUF (1 << 18)
#define LEFT 16384
#define HDRCAP 65536
#define OFF 16

enum { CMD, DATA, BDAT, AUTHWAIT };
enum { MID, BOL, DOT, DOTCR };

struct conn {
    int fd, ctl, hs, want_out, closing;
    SSL *ssl;
    int st, ehlo, mail, nrcpt, inbdat, authed;
    int ds, prev_cr;                 /* DATA scanner */
    uint64_t bdat_left; int bdat_last;
    int in_body; size_t hlen, hscan; /* header capture */
    
    char *hdr;
    char left[LEFT]; size_t nleft;
    char *out; size_t olen, ooff, ocap;
};

static struct { uint64_t connections, open, messages, rcpts, body_octets, body_sum, errors, early_data, bare_lf; } S;
static int ep, stop;
static SSL_CTX *ctx;
static const char *off[OFF]; static int noff;
static char ehlo_plain[1024], ehlo_tls[1024];
static size_t n_plain, n_tls;

static int announced(const char *name) {
    for (int i = 0; i < noff; i++) if (!strcasecmp(off[i], name)) return 0;
    return 1;
}

static void body(const char *p, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += (unsigned char)p[i];
    S.body_sum += sum; S.body_octets += n;
}

static void outn(struct conn *c, const char *s, size_t n) {
    if (c->olen + n > c->ocap) {
        c->ocap = (c->olen + n) * 2 + 1024;
        c->out = realloc(c->out, c->ocap);
        if (!c->out) abort();
    }
    memcpy(c->out + c->olen, s, n); c->olen += n;
}
#define out(c, s) outn(c, s, sizeof(s) - 1)

static void reset_txn(struct conn *c) { c->mail = c->nrcpt = c->inbdat = 0; }
static void begin_msg(struct conn *c) { c->in_body = 0; c->hlen = c->hscan = 0; }

static void content(struct conn *c, const char *p, size_t n) {
    if (!n) return;
    if (!c->in_body) {
        size_t k = n < HDRCAP - c->hlen ? n : HDRCAP - c->hlen;
        memcpy(c->hdr + c->hlen, p, k);
        size_t old = c->hlen; c->hlen += k;
        size_t from = c->hscan > 3 ? c->hscan - 3 : 0;
        char *e = memmem(c->hdr + from, c->hlen - from, "\r\n\r\n", 4);
        c->hscan = c->hlen;
        if (e) {
            size_t end = (size_t)(e - c->hdr) + 4;
            c->in_body = 1; c->hlen = end;
            size_t used = end - old;            /* bytes of p that were header */
            body(p + used, n - used);
        } else if (c->hlen == HDRCAP) { c->in_body = 1; }
        return;
    }
    body(p, n);
}

static void end_msg(struct conn *c) {
    S.messages++; S.rcpts += (uint64_t)c->nrcpt;
    char b[64]; int n = snprintf(b, sizeof b, "250 2.0.0 Ok: queued as %llX\r\n", (unsigned long long)S.messages);
    outn(c, b, (size_t)n);
    reset_txn(c);
    c->st = CMD;
}

/* consume message content in DATA; returns bytes used */
static size_t scan_data(struct conn *c, char *p, size_t n) {
    char *b = p, *e = p + n, *span = p;
    while (p < e) {
        switch (c->ds) {
        case MID: {
            char *q = memchr(p, '\n', (size_t)(e - p));
            if (!q) { c->prev_cr = e[-1] == '\r'; p = e; break; }
            int cr = q > p ? q[-1] == '\r' : c->prev_cr;
            c->prev_cr = 0; p = q + 1;
            if (cr) c->ds = BOL; else S.bare_lf++;
            break;
        }
        case BOL:
            if (*p == '.') { content(c, span, (size_t)(p - span)); p++; span = p; c->ds = DOT; }
            else c->ds = MID;
            break;
        case DOT:
            if (*p == '\r') { p++; span = p; c->ds = DOTCR; } else c->ds = MID;
            break;
        case DOTCR:
            if (*p == '\n') { p++; end_msg(c); return (size_t)(p - b); }
            content(c, "\r", 1); c->prev_cr = 1; c->ds = MID;
            break;
        }
    }
    content(c, span, (size_t)(e - span));
    return n;
}

static void set_events(struct conn *c) {
    uint32_t ev = 0;
    size_t pend = c->olen - c->ooff;
    if (pend < (1u << 20)) ev |= EPOLLIN;
    if (pend || c->want_out) ev |= EPOLLOUT;
    struct epoll_event e = {.events = ev, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static int flush(struct conn *c) { /* -1 dead */
    int had = c->want_out;
    while (c->ooff < c->olen) {
        ssize_t r;
        if (c->ssl) {
            r = SSL_write(c->ssl, c->out + c->ooff, (int)(c->olen - c->ooff));
            if (r <= 0) { int er = SSL_get_error(c->ssl, (int)r);
                if (er == SSL_ERROR_WANT_WRITE || er == SSL_ERROR_WANT_READ) { c->want_out = 1; set_events(c); return 0; }
                return -1; }
        } else {
            r = send(c->fd, c->out + c->ooff, c->olen - c->ooff, MSG_NOSIGNAL);
            if (r < 0) { if (errno == EAGAIN) { c->want_out = 1; set_events(c); return 0; } return -1; }
        }
        c->ooff += (size_t)r;
    }
    c->olen = c->ooff = 0; c->want_out = 0;
    if (had) set_events(c);
    return 0;
}

static void drop(struct conn *c) {
    if (!c->ctl) S.open--;
    if (c->ssl) SSL_free(c->ssl);
    close(c->fd); free(c->out); free(c->hdr); free(c);
}

static int is(const char *l, size_t n, const char *w) { size_t k = strlen(w); return n >= k && !strncasecmp(l, w, k) && (n == k || l[k] == ' '); }
static void bad(struct conn *c) { S.errors++; out(c, "503 5.5.1 Bad sequence of commands\r\n"); }

/* one command line without CRLF; more = bytes that follow it in the same read. returns 1 to stop parsing (STARTTLS) */
static int command(struct conn *c, char *l, size_t n, size_t more) {
    if (c->st == AUTHWAIT) { c->st = CMD; c->authed = 1; out(c, "235 2.7.0 Authentication successful\r\n"); return 0; }
    switch (n ? l[0] | 32 : 0) {
    case 'm':
        if (n > 10 && !strncasecmp(l, "MAIL FROM:", 10)) {
            if (c->mail || !c->ehlo) { bad(c); return 0; }
            c->mail = 1;
            out(c, "250 2.1.0 Ok\r\n"); return 0;
        } break;
    case 'r':
        if (n > 8 && !strncasecmp(l, "RCPT TO:", 8)) {
            if (!c->mail || c->inbdat) { bad(c); return 0; }
            c->nrcpt++; out(c, "250 2.1.5 Ok\r\n"); return 0;
        }
        if (is(l, n, "RSET")) { reset_txn(c); out(c, "250 2.0.0 Ok\r\n"); return 0; }
        break;
    case 'd':
        if (is(l, n, "DATA")) {
            if (!c->nrcpt || c->inbdat) { bad(c); return 0; }
            if (more) S.early_data++;   /* DATA must be the last command of a group (RFC 2920) */
            c->st = DATA; c->ds = BOL; c->prev_cr = 0; begin_msg(c);
            out(c, "354 End data with <CR><LF>.<CR><LF>\r\n"); return 0;
        } break;
    case 'b':
        if (announced("CHUNKING") && n > 5 && !strncasecmp(l, "BDAT ", 5)) {
            char *q; unsigned long long k = strtoull(l + 5, &q, 10);
            int last = (size_t)(q - l) + 5 <= n && !strncasecmp(q, " LAST", 5);
            if (!c->nrcpt) { S.errors++; c->bdat_left = k; c->bdat_last = -1; c->st = BDAT; return 0; }
            if (!c->inbdat) { begin_msg(c); c->inbdat = 1; }
            c->bdat_left = k; c->bdat_last = last; c->st = BDAT;
            return 0;
        } break;
    case 'e':
        if (is(l, n, "EHLO")) { c->ehlo = 1; reset_txn(c);
            if (c->ssl) outn(c, ehlo_tls, n_tls); else outn(c, ehlo_plain, n_plain); return 0; }
        break;
    case 'h': if (is(l, n, "HELO")) { c->ehlo = 1; reset_txn(c); out(c, "250 sink\r\n"); return 0; } break;
    case 'n': if (is(l, n, "NOOP")) { out(c, "250 2.0.0 Ok\r\n"); return 0; } break;
    case 'v': if (is(l, n, "VRFY")) { out(c, "252 2.0.0 Maybe\r\n"); return 0; } break;
    case 'q': if (is(l, n, "QUIT")) { out(c, "221 2.0.0 Bye\r\n"); c->closing = 1; return 1; } break;
    case 'a':
        if (announced("AUTH") && n > 10 && !strncasecmp(l, "AUTH PLAIN", 10)) {
            if (n > 11) { c->authed = 1; out(c, "235 2.7.0 Authentication successful\r\n"); }
            else { c->st = AUTHWAIT; out(c, "334 \r\n"); }
            return 0;
        }
        if (announced("AUTH") && n == 10 && !strncasecmp(l, "AUTH PLAIN", 10)) { c->st = AUTHWAIT; out(c, "334 \r\n"); return 0; }
        break;
    case 's':
        if (ctx && !c->ssl && is(l, n, "STARTTLS")) {
            if (more) S.errors++;       /* plaintext behind STARTTLS: injection */
            out(c, "220 2.0.0 Ready to start TLS\r\n"); c->hs = 1; return 1;
        } break;
    }
    S.errors++; out(c, "500 5.5.2 Error: command not recognized\r\n");
    return 0;
}

static void bdat_done(struct conn *c) {
    c->st = CMD;
    if (c->bdat_last < 0) { out(c, "503 5.5.1 Bad sequence of commands\r\n"); return; }
    if (c->bdat_last) { c->inbdat = 0; end_msg(c); }
    else { char b[64]; int n = snprintf(b, sizeof b, "250 2.0.0 Ok\r\n"); outn(c, b, (size_t)n); }
}

/* returns -1: close */
static int feed(struct conn *c, char *p, size_t n) {
    char *e = p + n;
    c->nleft = 0;
    while (p < e) {
        if (c->st == DATA) { p += scan_data(c, p, (size_t)(e - p)); continue; }
        if (c->st == BDAT) {
            size_t k = (uint64_t)(e - p) < c->bdat_left ? (size_t)(e - p) : (size_t)c->bdat_left;
            if (c->bdat_last >= 0) content(c, p, k);
            p += k; c->bdat_left -= k;
            if (!c->bdat_left) bdat_done(c);
            continue;
        }
        char *q = memchr(p, '\n', (size_t)(e - p));
        if (!q) {
            if ((size_t)(e - p) > LEFT - 1) return -1;
            memcpy(c->left, p, (size_t)(e - p)); c->nleft = (size_t)(e - p); break;
        }
        size_t len = (size_t)(q - p); if (len && q[-1] == '\r') len--;
        if (command(c, p, len, (size_t)(e - q - 1))) break;
        p = q + 1;
        if (c->st == BDAT && !c->bdat_left) bdat_done(c);
    }
    return 0;
}

static size_t json(char *b, size_t cap) {
    size_t n = 0;
#define F(k) n += (size_t)snprintf(b + n, cap - n, "%s\"%s\": %llu", n ? ", " : "{", #k, (unsigned long long)S.k)
    F(connections); F(open); F(messages); F(rcpts); F(body_octets); F(body_sum); F(errors); F(early_data); F(bare_lf);
    return n + (size_t)snprintf(b + n, cap - n, "}\n");
}

static int control(struct conn *c, char *p, size_t n) {
    static char b[8192]; size_t k = json(b, sizeof b);
    outn(c, b, k); c->closing = 1;
    if (n >= 5 && !memcmp(p, "reset", 5))  { uint64_t open = S.open; memset(&S, 0, sizeof S); S.open = open; }
    return 0;
}

static int on_read(struct conn *c) { /* -1: drop */
    static char buf[LEFT + RBUF];
    if (c->hs == 2) {
        int r = SSL_accept(c->ssl);
        if (r != 1) { int er = SSL_get_error(c->ssl, r);
            if (er == SSL_ERROR_WANT_READ) { c->want_out = 0; set_events(c); return 0; }
            if (er == SSL_ERROR_WANT_WRITE) { c->want_out = 1; set_events(c); return 0; }
            S.errors++; ERR_clear_error(); return -1; }
        c->hs = 0; c->ehlo = 0; c->want_out = 0; set_events(c);
    }
    for (;;) {
        size_t off = c->nleft; memcpy(buf, c->left, off);
        ssize_t r;
        if (c->ssl) {
            r = 0;
            while (r < RBUF) {
                int k = SSL_read(c->ssl, buf + off + r, (int)(RBUF - r));
                if (k <= 0) { int er = SSL_get_error(c->ssl, k);
                    if (er == SSL_ERROR_WANT_READ || er == SSL_ERROR_WANT_WRITE) break;
                    ERR_clear_error(); if (!r) return -1; break; }
                r += k;
            }
            if (!r) break;
        } else {
            r = recv(c->fd, buf + off, RBUF, 0);
            if (r == 0) return -1;
            if (r < 0) { if (errno == EAGAIN) break; return -1; }
        }
        if (c->ctl) { control(c, buf, (size_t)r); }
        else {
            if (feed(c, buf, off + (size_t)r) < 0) return -1;
        }
        if (flush(c) < 0) return -1;
        if (c->closing && c->ooff == c->olen) { if (c->ssl) SSL_shutdown(c->ssl); return -1; }
        if (c->hs == 1) {
            c->nleft = 0; c->hs = 2; c->ssl = SSL_new(ctx); SSL_set_fd(c->ssl, c->fd); SSL_set_accept_state(c->ssl);
            return 0;
        }
        if (!c->ssl || r < RBUF) break; /* plain: level triggered, one read per wakeup */
    }
    return 0;
}

static int listen_on(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (bind(fd, (void *)&a, n) || listen(fd, 1024) || getsockname(fd, (void *)&a, &n)) { perror("listen"); exit(2); }
    *port = ntohs(a.sin_port);
    return fd;
}

static size_t build_ehlo(char *b, int tls) {
    const char *caps[12]; int k = 0; char *s = b;
    const char *all[] = {"PIPELINING", "SIZE 104857600", "AUTH PLAIN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8",
        "CHUNKING"};
    if (ctx && !tls && announced("STARTTLS")) caps[k++] = "STARTTLS";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char word[32]; sscanf(all[i], "%31s", word);
        if (announced(word)) caps[k++] = all[i];
    }
    s += sprintf(s, "250%csink.localhost\r\n", k ? '-' : ' ');
    for (int i = 0; i < k; i++) s += sprintf(s, "250%c%s\r\n", i == k - 1 ? ' ' : '-', caps[i]);
    return (size_t)(s - b);
}

int main(int ac, char **av) {
    int port, ctl, o; char *key = 0, *crt = 0;
    while ((o = getopt(ac, av, "k:C:x:")) != -1) switch (o) {
    case 'k': key = optarg; break;
    case 'C': crt = optarg; break;
    case 'x': if (noff < OFF) off[noff++] = optarg; break;
    default: return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (key && crt) {
        ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_CTX_use_certificate_chain_file(ctx, crt) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) { ERR_print_errors_fp(stderr); return 2; }
    }
    n_plain = build_ehlo(ehlo_plain, 0); n_tls = build_ehlo(ehlo_tls, 1);
    ep = epoll_create1(0);
    int lfd = listen_on(&port), cfd = listen_on(&ctl), in = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &lfd}; epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
    e.data.ptr = &cfd; epoll_ctl(ep, EPOLL_CTL_ADD, cfd, &e);
    e.data.ptr = &in; e.events = EPOLLIN; epoll_ctl(ep, EPOLL_CTL_ADD, in, &e);
    printf("%d %d\n", port, ctl); fflush(stdout);
    while (!stop) {
        struct epoll_event ev[128]; int n = epoll_wait(ep, ev, 128, -1);
        for (int i = 0; i < n; i++) {
            void *p = ev[i].data.ptr;
            if (p == &in) { stop = 1; continue; }
            if (p == &lfd || p == &cfd) {
                int isctl = p == &cfd, one = 1, fd;
                while ((fd = accept4(isctl ? cfd : lfd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    struct conn *c = calloc(1, sizeof *c); c->fd = fd; c->ctl = isctl;
                    struct epoll_event ce = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ce);
                    if (!isctl) {
                        c->hdr = malloc(HDRCAP); S.connections++; S.open++;
                        out(c, "220 sink.localhost ESMTP\r\n"); if (flush(c) < 0) drop(c);
                    }
                }
                continue;
            }
            struct conn *c = p;
            if (ev[i].events & EPOLLOUT) {
                if (c->hs != 2 && flush(c) < 0) { drop(c); continue; }
                if (c->closing && c->ooff == c->olen) { drop(c); continue; }
            }
            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) || c->hs == 2) if (on_read(c) < 0) drop(c);
        }
    }
    return 0;
}
