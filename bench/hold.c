/* Clients that do not read while it is measured: the load behind bench/two_workers; loopback only.
 *
 * Opens WebSockets one after the other, subscribes each to one channel (the JSON encoding of Centrifugo's protocol; to a
 * plain server, with -r, nothing is sent), and talks with its caller in lines:
 *
 *   -> {"local_ports":[...]}  all are subscribed, in this order
 *   <- 34567 34999 ...        local ports of connections to be watched
 *   -> {"watched":N}          one message has gone to everybody, and was read by everybody
 *   <- go                     publish the messages: one at a time, the next one when the watched have it; or, with -b, back
 *                             to back, each when the one before was answered
 *   -> {"seconds":S,"message_seconds":M}  from the first POST until the watched had the last message; and the median of
 *                             the single messages, which is 0 with -b
 *   <- read                   now read everything from everybody
 *   -> {"delivered":N}        messages, over all connections
 *
 * Meanwhile this process costs next to nothing: the kernel queues what arrives at a socket at the expense of its sender.
 * So all cores are left to those who send. Everything sent must fit the receive buffers, a hundred kilobytes each.
 *
 * A message is recognised by one character, '@', that stands in it once and nowhere else.
 *
 * Build: gcc -O2 -o hold hold.c
 * Run:   hold [-n CONNECTIONS] [-m MESSAGES] [-b] [-r] [-p PATH] [-a API_PATH] [-k API_KEY] [-t SECONDS] BODY PORT [PORT]
 *        With two ports: clients go to both in turn, and each message is posted to both.
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
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 60000,
    MAX_SERVERS = 2,
    MAX_WATCHED = 64,
    MAX_MESSAGES = 1000,
    MAX_TEXT = 4096, /* of what is sent */
    READ_SIZE = 1 << 18,
    EVENTS_AT_ONCE = 64,
};

struct connection {
    int fd;
    uint16_t local_port;
    int64_t messages; /* read so far */
};

static struct connection connections[MAX_CONNECTIONS], *watched[MAX_WATCHED];
static int wanted = 1000, message_count = 40, watched_count, server_count, ports[MAX_SERVERS], api[MAX_SERVERS], epoll_fd;
static bool is_burst, is_raw;
static const char *path = "/connection/websocket", *api_path = "/api/publish", *api_key = "";
static char request[MAX_TEXT], buffer[READ_SIZE + 1];
static size_t request_size;
static int seconds_limit = 60; /* for everything together */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void refuse(const char *why) {
    fprintf(stderr, "hold: %s\n", why);
    exit(2);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- sending and waiting for an answer, one at a time ---- */

static int connect_to(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

/* Read into *buffer* until *word* is there. */
static void read_until(int fd, const char *word) {
    size_t have = 0;
    while (have < READ_SIZE) {
        ssize_t size = recv(fd, buffer + have, READ_SIZE - have, 0);
        if (size <= 0) die("the server hung up, or does not answer");
        have += size;
        buffer[have] = 0;
        if (memmem(buffer, have, word, strlen(word))) return;
    }
    refuse("the server says too much");
}

/* A masked text frame (RFC 6455 section 5.3) of at most 125 bytes into *out*; its size. */
static size_t make_frame(char *out, const char *text) {
    static const char mask[4] = {1, 2, 3, 4};
    size_t size = strlen(text);
    out[0] = (char)0x81;
    out[1] = (char)(0x80 | size);
    memcpy(out + 2, mask, 4);
    for (size_t i = 0; i < size; i++) out[6 + i] = text[i] ^ mask[i & 3];
    return size + 6;
}

static void open_one(struct connection *connection, int port) {
    static const char commands[] =
        "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"bench\"}}";
    char text[MAX_TEXT];
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    int fd = connection->fd = connect_to(port);
    if (getsockname(fd, (struct sockaddr *)&own, &size)) die("getsockname");
    connection->local_port = ntohs(own.sin_port);
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          path, port);
    if (length >= (int)sizeof text) refuse("the path is too long");
    send_all(fd, text, length);
    read_until(fd, "\r\n\r\n");
    if (!strstr(buffer, " 101 ")) refuse("an upgrade was refused");
    if (is_raw) return;
    send_all(fd, text, make_frame(text, commands));
    read_until(fd, "\"id\":2");
    if (strstr(buffer, "\"error\"")) refuse("a subscription was refused");
}

static void open_all(void) {
    for (int i = 0; i < wanted; i++) open_one(&connections[i], ports[i % server_count]);
    printf("{\"local_ports\":[");
    for (int i = 0; i < wanted; i++) printf(i ? ",%d" : "%d", connections[i].local_port);
    printf("]}\n");
}

/* ---- publishing ---- */

static void make_request(const char *body) {
    int size = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        api_path, api_key, strlen(body), body);
    if (size >= (int)sizeof request) refuse("the body is too long");
    request_size = size;
    for (int i = 0; i < server_count; i++) api[i] = connect_to(ports[i]);
}

/* One message, to all servers; they answer when they like. */
static void publish(void) {
    for (int i = 0; i < server_count; i++) send_all(api[i], request, request_size);
}

static void read_answers(void) {
    for (int i = 0; i < server_count; i++) {
        read_until(api[i], "\r\n\r\n");
        if (strncmp(buffer, "HTTP/1.1 200", 12) || strstr(buffer, "\"error\"")) refuse("a publication was refused");
    }
}

/* ---- what arrives ---- */

/* Read what is there, and count. */
static void read_from(struct connection *connection) {
    ssize_t size;
    while ((size = recv(connection->fd, buffer, READ_SIZE, MSG_DONTWAIT)) > 0)
        for (char *p = buffer, *end = buffer + size; (p = memchr(p, '@', end - p)); p++) connection->messages++;
    if (size == 0) refuse("the server hung up");
    if (errno != EAGAIN) die("recv");
}

/* Wait until everybody watched has so many. */
static void wait_for(int64_t messages) {
    struct epoll_event events[EVENTS_AT_ONCE];
    for (int i = 0; i < watched_count;) {
        if (watched[i]->messages >= messages) {
            i++;
            continue;
        }
        int count = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, 1000 * seconds_limit);
        if (!count) refuse("a message has not arrived");
        for (int j = 0; j < count; j++) read_from(events[j].data.ptr);
    }
}

/* Read from everybody until each has so many; messages over all. What never comes is missing in the sum. */
static int64_t read_all(int64_t messages) {
    int64_t total = 0;
    for (int tries = 0; tries < 100; tries++) {
        total = 0;
        for (int i = 0; i < wanted; i++) {
            read_from(&connections[i]);
            total += connections[i].messages;
        }
        if (total >= messages * wanted) break;
        usleep(10000);
    }
    return total;
}

static void watch(char *line) {
    epoll_fd = epoll_create1(0);
    for (char *word = strtok(line, " \n"); word && watched_count < MAX_WATCHED; word = strtok(NULL, " \n"))
        for (int i = 0; i < wanted; i++)
            if (connections[i].local_port == atoi(word)) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
                if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event)) die("epoll_ctl");
                watched[watched_count++] = &connections[i];
            }
    if (!watched_count) refuse("nobody is to be watched");
}

/* ---- the conversation ---- */

static char *next_line(void) {
    static char line[MAX_TEXT];
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(0); /* the caller has enough */
    return line;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void publish_all(void) {
    static double times[MAX_MESSAGES];
    double began = now();
    for (int i = 0; i < message_count; i++) {
        double published = now();
        publish();
        if (!is_burst) {
            wait_for(i + 2); /* one has come before */
            times[i] = now() - published;
        }
        read_answers();
    }
    wait_for(message_count + 1);
    double seconds = now() - began;
    qsort(times, message_count, sizeof *times, compare);
    printf("{\"seconds\":%.9f,\"message_seconds\":%.9f}\n", seconds, times[message_count / 2]);
}

static bool read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "n:m:p:a:k:t:br")) != -1;) {
        if (option == 'n') wanted = atoi(optarg);
        else if (option == 'm') message_count = atoi(optarg);
        else if (option == 'p') path = optarg;
        else if (option == 'a') api_path = optarg;
        else if (option == 'k') api_key = optarg;
        else if (option == 't') seconds_limit = atoi(optarg);
        else if (option == 'b') is_burst = true;
        else if (option == 'r') is_raw = true;
        else return false;
    }
    server_count = count - optind - 1;
    if (wanted < 1 || wanted > MAX_CONNECTIONS || message_count < 1 || message_count > MAX_MESSAGES ||
        server_count < 1 || server_count > MAX_SERVERS)
        return false;
    for (int i = 0; i < server_count; i++) ports[i] = atoi(arguments[optind + 1 + i]);
    return seconds_limit > 0;
}

int main(int count, char **arguments) {
    struct rlimit limit;
    if (!read_options(count, arguments)) {
        fprintf(stderr, "usage: hold [-n CONNECTIONS] [-m MESSAGES] [-b] [-r] [-p PATH] [-a API_PATH] [-k API_KEY] "
                        "[-t SECONDS] BODY PORT [PORT]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    alarm(seconds_limit);
    open_all();
    make_request(arguments[optind]);
    watch(next_line());
    publish();
    read_answers();
    int64_t before = read_all(1);
    if (before != wanted) refuse("the first message has not come to everybody once");
    printf("{\"watched\":%d}\n", watched_count);
    next_line();
    publish_all();
    next_line();
    printf("{\"delivered\":%lld}\n", (long long)(read_all(message_count + 1) - before));
    return 0;
}
