/* A load client for small POST requests, cheap enough not to be the bottleneck; loopback only.
 *
 * Sends the same request again and again over a number of keep-alive connections, one request in flight on each,
 * either as fast as the answers come or at a fixed rate. At a rate, latency counts from the moment a request was due,
 * so a server that stalls cannot hide it. Prints one JSON line.
 *
 * Build: gcc -O2 -o httpload httpload.c
 * Run:   httpload PORT PATH BODY [-c CONNECTIONS] [-s SECONDS] [-r REQUESTS_PER_SECOND] [-H 'Name: value'] [-R]
 *        -R asks for a real-time priority: a client that waits for its core measures itself. Ignored where forbidden.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 1024,
    MAX_RESPONSE = 1 << 16,
    MAX_MICROSECONDS = 2000000, /* longer latencies count as this */
};

struct connection {
    int fd;
    int64_t since; /* when the request in flight was due; 0: idle */
    size_t have;
    char response[MAX_RESPONSE + 1];
};

static struct connection *connections;
static int connection_count = 16;
static double seconds = 5, rate;
static char request[1 << 16];
static size_t request_size;
static uint32_t latencies[MAX_MICROSECONDS + 1];
static int64_t answered, errors;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void open_connection(struct connection *connection, int epoll_fd, int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
}

static void send_request(struct connection *connection, int64_t due) {
    connection->since = due;
    connection->have = 0;
    if (send(connection->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) die("send");
}

/* Read what is there; return whether the answer is complete. */
static bool read_answer(struct connection *connection) {
    ssize_t got =
        recv(connection->fd, connection->response + connection->have, MAX_RESPONSE - connection->have, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) die("the server closed a connection or sent too much");
    connection->have += got;
    connection->response[connection->have] = 0;
    char *end = strstr(connection->response, "\r\n\r\n");
    if (!end) return false;
    char *length = strcasestr(connection->response, "\r\nContent-Length:");
    if (!length || length > end) die("no Content-Length");
    if (connection->response + connection->have < end + 4 + atol(length + 17)) return false;
    int64_t us = (now_ns() - connection->since) / 1000;
    latencies[us > MAX_MICROSECONDS ? MAX_MICROSECONDS : us]++;
    answered++;
    if (strncmp(connection->response + 9, "200", 3) || strstr(end, "\"error\"")) errors++;
    connection->since = 0;
    return true;
}

static int64_t quantile(double q) {
    int64_t seen = 0;
    for (int us = 0; us <= MAX_MICROSECONDS; us++)
        if ((seen += latencies[us]) >= q * answered) return us;
    return MAX_MICROSECONDS;
}

static int64_t largest(void) {
    int us = MAX_MICROSECONDS;
    while (us && !latencies[us]) us--;
    return us;
}

/* Send what is due at a fixed rate on idle connections, and set the timer for the next. */
static void send_due(int timer, int64_t start, int64_t *sent) {
    for (int i = 0; i < connection_count; i++) {
        int64_t due = start + (int64_t)(*sent / rate * 1e9);
        if (due > now_ns()) break;
        if (connections[i].since) continue;
        send_request(&connections[i], due);
        ++*sent;
    }
    int64_t next = start + (int64_t)(*sent / rate * 1e9), soon = now_ns() + 1;
    if (next < soon) return; /* every connection is busy: the next answer brings us back */
    struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void run(int port) {
    int epoll_fd = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_CONNECTIONS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &event);
    for (int i = 0; i < connection_count; i++) open_connection(&connections[i], epoll_fd, port);
    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9), sent = 0, now = start;
    if (rate > 0) send_due(timer, start, &sent);
    else
        for (int i = 0; i < connection_count; i++) send_request(&connections[i], now_ns());
    while (now < end) {
        int ready = epoll_wait(epoll_fd, events, MAX_CONNECTIONS, (end - now) / 1000000 + 1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            uint64_t ticks;
            if (!connection) (void)!read(timer, &ticks, sizeof ticks);
            else if (read_answer(connection) && rate <= 0) send_request(connection, now_ns());
        }
        if (rate > 0) send_due(timer, start, &sent);
        now = now_ns();
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    double elapsed = (now - start) / 1e9;
    printf("{\"requests\":%ld,\"errors\":%ld,\"seconds\":%.3f,\"requests_per_s\":%.1f,\"p50_us\":%ld,\"p99_us\":%ld,"
           "\"p999_us\":%ld,\"max_us\":%ld,\"client_cpu_share\":%.3f}\n",
           (long)answered, (long)errors, elapsed, answered / elapsed, (long)quantile(0.5), (long)quantile(0.99),
           (long)quantile(0.999), (long)largest(), cpu / elapsed);
}

int main(int count, char **arguments) {
    int option, port;
    char headers[8192] = "";
    while ((option = getopt(count, arguments, "c:s:r:H:R")) != -1) {
        if (option == 'c') connection_count = atoi(optarg);
        else if (option == 's') seconds = atof(optarg);
        else if (option == 'r') rate = atof(optarg);
        else if (option == 'H') {
            size_t used = strlen(headers);
            snprintf(headers + used, sizeof headers - used, "%s\r\n", optarg);
        } else if (option == 'R') {
            struct sched_param priority = {.sched_priority = 1};
            (void)!sched_setscheduler(0, SCHED_RR, &priority);
        } else return 2;
    }
    if (count - optind != 3 || connection_count < 1 || connection_count > MAX_CONNECTIONS) {
        fprintf(stderr, "usage: httpload [-c N] [-s SECONDS] [-r RATE] [-H HEADER] [-R] PORT PATH BODY\n");
        return 2;
    }
    port = atoi(arguments[optind]);
    const char *body = arguments[optind + 2];
    int size = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n%s"
                        "Content-Length: %zu\r\n\r\n%s",
                        arguments[optind + 1], port, headers, strlen(body), body);
    if (size < 0 || size >= (int)sizeof request) {
        fprintf(stderr, "httpload: the request is too long\n");
        return 2;
    }
    request_size = size;
    connections = calloc(connection_count, sizeof *connections);
    if (!connections) die("calloc");
    run(port);
    return errors ? 1 : 0;
}
