/* The least a WebSocket fan-out can cost on this machine: what every figure in bench/ is compared with.
 *
 * One thread, one epoll, no allocation per message. It answers a WebSocket upgrade with 101, ignores whatever clients
 * send, and on POST / turns the body into one text frame and hands it to every client with one send() each. Any other
 * request is just answered. No sessions, no channels, no history, no queues: a send that would block is dropped, and
 * the load generator reports the loss.
 *
 * It answers the POST when everything is sent. With `first` it answers before it sends, as a server does whose API
 * must stay quick: the publisher is awake then while frames arrive, on the core of those who receive them.
 *
 * With `reply TEXT` whatever a client sends is answered with one prebuilt frame that holds TEXT: the least it can cost
 * to bring a client that comes back up to date.
 *
 * Build: gcc -O2 -o floor floor.c        Run: floor PORT [first | reply TEXT]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_DESCRIPTORS = 1 << 20,
    MAX_REQUEST = 1 << 17, /* head and body of a POST, or the head of an upgrade */
    EVENTS_AT_ONCE = 512,
    LISTEN_BACKLOG = 4096,
};

/* What is known of a descriptor. A request that has not arrived whole is kept until it has. */
struct peer {
    char *request;
    uint32_t have;
    int32_t position; /* in clients[], or -1 while it speaks HTTP */
};

static struct peer *peers; /* by descriptor; untouched pages cost nothing */
static int *clients;       /* descriptors of WebSocket connections, in no order */
static int client_count;
static int epoll_fd;

/* ---- SHA-1 (RFC 3174) and base64 (RFC 4648), for Sec-WebSocket-Accept only ---- */

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const unsigned char block[64]) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
        else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
        else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
        else f = b ^ c ^ d, k = 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Accept value of a 24-byte key (RFC 6455 section 4.2.2): 28 characters and a zero byte into *out*. */
static void accept_value(const char key[24], char out[29]) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char text[128] = {0}; /* 60 bytes, the padding and the length make two blocks */
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    text[60] = 0x80;
    text[126] = 60 * 8 >> 8, text[127] = 60 * 8 & 0xFF;
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    sha1_block(state, text);
    sha1_block(state, text + 64);
    unsigned char digest[21] = {0};
    for (int i = 0; i < 20; i++) digest[i] = state[i / 4] >> (24 - 8 * (i % 4));
    for (int i = 0; i < 7; i++) {
        uint32_t group = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int j = 0; j < 4; j++) out[4 * i + j] = alphabet[group >> (18 - 6 * j) & 63];
    }
    out[27] = '='; /* 20 bytes fill all but the last character */
    out[28] = 0;
}

/* ---- connections ---- */

static void drop(int fd) {
    struct peer *peer = &peers[fd];
    if (peer->position >= 0) { /* the last client takes the free place */
        int last = clients[--client_count];
        clients[peer->position] = last;
        peers[last].position = peer->position;
    }
    free(peer->request);
    *peer = (struct peer){.position = -1};
    close(fd);
}

static void reply(int fd, const char *text) {
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) perror("send"); /* the close follows as an event */
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_DESCRIPTORS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peers[fd] = (struct peer){.position = -1};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void upgrade(int fd, const char *key) {
    char accept[29], response[256];
    accept_value(key, accept);
    snprintf(response, sizeof response,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    reply(fd, response);
    peers[fd].position = client_count;
    clients[client_count++] = fd;
}

static bool answers_first;

/* One unmasked text frame into *frame*, which has room for 10 bytes more than the text; its size. */
static size_t make_frame(unsigned char *frame, const char *text, size_t size) {
    size_t head = 2;
    frame[0] = 0x81; /* FIN, text */
    if (size < 126) {
        frame[1] = size;
    } else if (size < 65536) {
        frame[1] = 126, frame[2] = size >> 8, frame[3] = size, head = 4;
    } else {
        frame[1] = 127, head = 10;
        for (int i = 0; i < 8; i++) frame[2 + i] = (uint64_t)size >> (56 - 8 * i);
    }
    memcpy(frame + head, text, size);
    return head + size;
}

/* The measured part: one prebuilt frame, one system call per client. */
static void broadcast(const char *body, size_t size) {
    static unsigned char frame[MAX_REQUEST + 10];
    size_t whole = make_frame(frame, body, size);
    for (int i = 0; i < client_count; i++) (void)!send(clients[i], frame, whole, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static unsigned char *answer; /* to whatever a client sends, or NULL */
static size_t answer_size;

static void prepare_answer(const char *text) {
    answer = malloc(strlen(text) + 10);
    if (answer) answer_size = make_frame(answer, text, strlen(text));
}

/* Serve the request of *fd* if all of it is there; return whether it was. */
static bool serve(int fd, const char *request, size_t have) {
    static const char key_header[] = "\r\nSec-WebSocket-Key: ", length_header[] = "\r\nContent-Length: ";
    const char *end = memmem(request, have, "\r\n\r\n", 4);
    if (!end) return false;
    const char *body = end + 4, *key = strcasestr(request, key_header);
    if (key && key < end) {
        upgrade(fd, key + sizeof key_header - 1);
        return true;
    }
    const char *length = strcasestr(request, length_header);
    size_t size = length && length < end ? strtoul(length + sizeof length_header - 1, NULL, 10) : 0;
    if ((size_t)(request + have - body) < size) return false;
    bool is_publication = !strncmp(request, "POST / ", 7);
    if (is_publication && !answers_first) broadcast(body, size);
    reply(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    if (is_publication && answers_first) broadcast(body, size);
    return true;
}

static void on_readable(int fd) {
    static char buffer[MAX_REQUEST + 1];
    struct peer *peer = &peers[fd];
    size_t have = peer->have;
    if (have) memcpy(buffer, peer->request, have);
    ssize_t got = recv(fd, buffer + have, MAX_REQUEST - have, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { /* closed, broken, or a request that does not fit */
        drop(fd);
        return;
    }
    if (peer->position >= 0) { /* what clients send is not looked at */
        if (answer) (void)!send(fd, answer, answer_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    have += got;
    buffer[have] = 0;
    bool served = serve(fd, buffer, have);
    free(peer->request);
    peer->request = NULL;
    peer->have = 0;
    if (served) return;
    peer->request = malloc(have);
    if (!peer->request) {
        drop(fd);
        return;
    }
    memcpy(peer->request, buffer, have);
    peer->have = have;
}

int main(int count, char **arguments) {
    answers_first = count == 3 && !strcmp(arguments[2], "first");
    if (count == 4 && !strcmp(arguments[2], "reply")) prepare_answer(arguments[3]);
    if (count != 2 && !answers_first && !answer) {
        fprintf(stderr, "usage: floor PORT [first | reply TEXT]\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    peers = calloc(MAX_DESCRIPTORS, sizeof *peers);
    clients = calloc(MAX_DESCRIPTORS, sizeof *clients);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!peers || !clients || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, LISTEN_BACKLOG)) {
        perror("floor");
        return 1;
    }
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS_AT_ONCE];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) accept_all(listener);
            else on_readable(events[i].data.fd);
        }
    }
}
