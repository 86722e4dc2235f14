/* Many clients that come at once: the load behind bench/recover, bench/presence and bench/positions; loopback only.
 *
 * Opens WebSockets, a limited number of them in flight, sends connect and subscribe in one frame on each (the JSON
 * encoding of Centrifugo's protocol) and checks what comes back. Modes:
 *
 *   subscribe  a connection has entered when its subscribe reply is there.
 *   recover    the same, and the reply must hold the `-m` publications after offset `-o`; `-l` more, made meanwhile, come
 *              in the reply or after it: each offset once and in order.
 *   joins      the same, and everybody must see the join of everybody who enters after it, and its own, each once:
 *              of N clients the first sees N, the last sees 1, all together N (N + 1) / 2.
 *
 * The clock runs from the first connect() to the last thing expected. Prints one JSON line then, and keeps its
 * connections open, reading and answering pings, until its standard input ends; `</dev/null` ends at once.
 *
 * It trusts the server where a real client may not: no check of Sec-WebSocket-Accept, a constant mask, and JSON is
 * searched, not parsed. So names and payloads must not contain `]` or what looks like a key of the protocol.
 *
 * Build: gcc -O2 -o storm storm.c
 * Run:   storm MODE PORT [-n CONNECTIONS] [-f IN_FLIGHT] [-t SECONDS] [-p PATH] [-c CHANNEL] [-o OFFSET] [-e EPOCH]
 *              [-m MISSED] [-l LIVE]
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
    MAX_CONNECTIONS = 65536,
    OTHER_DESCRIPTORS = 16,
    READ_SIZE = 1 << 18,
    MAX_KEPT = 1 << 20, /* bytes of one message that has not arrived whole */
    MAX_TEXT = 4096,    /* of what a client sends */
    HEAD = 64,          /* bytes of a reply in which its kind shows: {"id":2,"subscribe": */
    ID_SIZE = 40,       /* client ids are UUIDs of 36 characters */
    EVENTS_AT_ONCE = 512,
    TEXT = 1, CLOSE = 8, PING = 9, PONG = 10, /* opcodes, RFC 6455 section 11.8 */
};

enum mode { SUBSCRIBE, RECOVER, JOINS };
enum state { CONNECTING, UPGRADING, ENTERING, ENTERED, FAILED };

struct connection {
    int fd;
    enum state state;
    int opcode;          /* of the frame being read */
    uint64_t frame_left; /* of its payload, what is kept included */
    char *kept;          /* bytes of a message or head that has not arrived whole */
    size_t kept_size;
    int identity;  /* number of its client id */
    int joins;     /* seen */
    uint64_t next; /* offset of the publication to come */
};

static const char *const modes[] = {"subscribe", "recover", "joins"};
static enum mode mode;
static struct connection *connections;
static int wanted = 1000, in_flight_limit = 256, port, epoll_fd;
static int opened, in_flight, entered, level, failed; /* level: entered, and at the last offset */
static uint64_t since, missed, live;
static const char *path = "/connection/websocket", *channel = "bench", *epoch = "";
static double seconds_limit = 60;
static uint64_t publications, joins, pushes, bytes;
static char upgrade[MAX_TEXT], commands[MAX_TEXT + 8], pong[MAX_TEXT];
static size_t upgrade_size, commands_size, pong_size;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void refuse(const char *why) {
    fprintf(stderr, "storm: %s\n", why);
    exit(2);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) die("calloc");
    return memory;
}

/* The first failure is told, the others are counted. */
static void fail(struct connection *connection, const char *why) {
    if (connection->state == FAILED) return;
    if (!failed++) fprintf(stderr, "storm: %s\n", why);
    if (connection->state == ENTERED) entered--;
    else in_flight--;
    connection->state = FAILED;
    close(connection->fd);
    free(connection->kept);
    connection->kept = NULL;
    connection->kept_size = 0;
}

static void send_all(struct connection *connection, const char *data, size_t size) {
    if (send(connection->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) fail(connection, "a send failed");
}

/* A masked client frame (RFC 6455 section 5.3) of at most 65535 bytes into *out*; its size. */
static size_t make_frame(char *out, int opcode, const char *text, size_t size) {
    static const char mask[4] = {1, 2, 3, 4};
    size_t head = 0;
    out[head++] = 0x80 | opcode;
    if (size < 126) {
        out[head++] = 0x80 | size;
    } else {
        out[head++] = 0x80 | 126;
        out[head++] = size >> 8;
        out[head++] = size;
    }
    memcpy(out + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) out[head + i] = text[i] ^ mask[i & 3];
    return head + size;
}

/* What every client sends is the same: made once. */
static void make_requests(void) {
    char text[MAX_TEXT - 16], position[512] = "";
    int size = snprintf(upgrade, sizeof upgrade,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        path, port);
    if (size >= (int)sizeof upgrade) refuse("the path is too long");
    upgrade_size = size;
    if (mode == RECOVER)
        snprintf(position, sizeof position, ",\"recover\":true,\"offset\":%lu,\"epoch\":\"%s\"", (unsigned long)since,
                 epoch);
    size = snprintf(text, sizeof text,
                    "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"%s,\"flag\":1}}", channel,
                    position);
    if (size >= (int)sizeof text) refuse("channel and epoch are too long");
    commands_size = make_frame(commands, TEXT, text, size);
    pong_size = make_frame(pong, TEXT, "{}", 2);
}

/* Where *word* ends in a text, or NULL. */
static const char *find(const char *text, const char *end, const char *word) {
    size_t size = strlen(word);
    const char *found = memmem(text, end - text, word, size);
    return found ? found + size : NULL;
}

/* ---- joins: client ids get numbers, and every connection has a bit for each ---- */

static char (*ids)[ID_SIZE]; /* by slot of a hash table; empty: free */
static int *numbers;         /* by slot */
static size_t slots;         /* a power of two */
static int id_count;
static uint8_t *seen; /* a row of bits for each connection */
static size_t row_size;

static void prepare_joins(void) {
    for (slots = 1024; slots < 4 * (size_t)wanted; slots *= 2) continue;
    ids = allocate(slots, ID_SIZE);
    numbers = allocate(slots, sizeof *numbers);
    row_size = wanted / 8 + 1;
    seen = allocate(wanted, row_size);
}

/* The number of the client id that starts at *text*, a new one if it is not known; -1: not an id, or too many. */
static int number_of(const char *text, const char *end) {
    const char *quote = memchr(text, '"', end - text);
    char id[ID_SIZE] = "";
    uint64_t hash = 14695981039346656037ULL; /* FNV-1a */
    if (!quote || quote == text || quote - text >= ID_SIZE) return -1;
    memcpy(id, text, quote - text);
    for (int i = 0; i < ID_SIZE; i += 8) {
        uint64_t word;
        memcpy(&word, id + i, 8);
        hash = (hash ^ word) * 1099511628211ULL;
        hash ^= hash >> 29;
    }
    size_t slot = hash & (slots - 1);
    while (ids[slot][0] && memcmp(ids[slot], id, ID_SIZE)) slot = (slot + 1) & (slots - 1);
    if (!ids[slot][0]) {
        if (id_count == wanted) return -1;
        memcpy(ids[slot], id, ID_SIZE);
        numbers[slot] = id_count++;
    }
    return numbers[slot];
}

static uint8_t *seen_byte(const struct connection *connection, int number) {
    return &seen[(connection - connections) * row_size + number / 8];
}

static void on_join(struct connection *connection, const char *info, const char *end) {
    const char *id = find(info, end, "\"client\":\"");
    int number = id ? number_of(id, end) : -1;
    if (connection->state != ENTERED) return fail(connection, "a join came before the subscribe reply");
    if (number < 0) return fail(connection, "a join without the id of one of the clients");
    uint8_t *byte = seen_byte(connection, number), bit = 1 << (number & 7);
    if (*byte & bit) return fail(connection, "the same join twice");
    *byte |= bit;
    connection->joins++;
    joins++;
}

/* Whether the clients can be lined up so that each saw exactly those that entered after it, and itself. */
static bool are_joins_exact(void) {
    bool exact = id_count == wanted;
    uint8_t *taken = allocate(wanted + 1, 1);
    for (int i = 0; exact && i < wanted; i++) {
        struct connection *connection = &connections[i];
        int count = connection->joins, own = connection->identity;
        exact = count >= 1 && !taken[count] && *seen_byte(connection, own) & 1 << (own & 7);
        taken[count] = 1;
    }
    free(taken);
    return exact;
}

/* ---- what comes in ---- */

/* One publication was received in its place. */
static void advance(struct connection *connection) {
    connection->next++;
    publications++;
}

static void note_if_level(const struct connection *connection) {
    if (connection->next == since + missed + live + 1) level++;
}

/* Whether a subscribe reply holds every missed publication once and in order. */
static bool has_recovered(struct connection *connection, const char *reply, const char *end) {
    const char *list = find(reply, end, "\"publications\":["), *list_end = list ? memchr(list, ']', end - list) : NULL;
    char wanted_epoch[512];
    connection->next = since + 1;
    if (!list_end) list = list_end = end;
    for (const char *p = list; (p = find(p, list_end, "\"offset\":")); advance(connection))
        if (strtoull(p, NULL, 10) != connection->next) return false;
    snprintf(wanted_epoch, sizeof wanted_epoch, "\"epoch\":\"%s\"", epoch);
    uint64_t count = connection->next - since - 1;
    return count >= missed && count <= missed + live &&
           (find(reply, list, "\"recovered\":true") || find(list_end, end, "\"recovered\":true")) &&
           (find(reply, list, wanted_epoch) || find(list_end, end, wanted_epoch));
}

static void on_reply(struct connection *connection, const char *reply, const char *end) {
    const char *head_end = end - reply > HEAD ? reply + HEAD : end;
    const char *result = find(reply, head_end, "\"connect\":{");
    if (result) {
        const char *id = mode == JOINS ? find(result, end, "\"client\":\"") : NULL;
        connection->identity = id ? number_of(id, end) : -1;
        if (mode == JOINS && connection->identity < 0) fail(connection, "no client id in a connect reply");
    } else if (connection->state == ENTERING && find(reply, head_end, "\"subscribe\":{")) {
        if (mode == RECOVER && !has_recovered(connection, reply, end)) return fail(connection, "not recovered, or not all");
        connection->state = ENTERED;
        in_flight--;
        entered++;
        note_if_level(connection);
    } else {
        fail(connection, "an error or something unexpected instead of a reply");
    }
}

static void on_publication(struct connection *connection, const char *publication, const char *end) {
    const char *offset = find(publication, end, "\"offset\":");
    if (connection->state != ENTERED) return fail(connection, "a publication came before the subscribe reply");
    if (!offset || strtoull(offset, NULL, 10) != connection->next)
        return fail(connection, "a publication was lost or doubled");
    advance(connection);
    note_if_level(connection);
}

/* One message of the protocol. */
static void on_message(struct connection *connection, const char *message, size_t size) {
    static const char push_begin[] = "{\"push\":{";
    const char *end = message + size;
    if (size == 2 && !memcmp(message, "{}", 2)) return send_all(connection, pong, pong_size);
    if (size < sizeof push_begin || memcmp(message, push_begin, sizeof push_begin - 1))
        return on_reply(connection, message, end);
    const char *join = mode == JOINS ? find(message, end, "\"join\":{") : NULL;
    const char *publication = mode == RECOVER ? find(message, end, "\"pub\":{") : NULL;
    if (join) on_join(connection, join, end);
    else if (publication) on_publication(connection, publication, end);
    else pushes++;
}

static void on_control_frame(struct connection *connection, const char *payload, size_t size) {
    char frame[256];
    if (connection->opcode == PING) send_all(connection, frame, make_frame(frame, PONG, payload, size));
    else if (connection->opcode == CLOSE) fail(connection, "the server sent a close frame");
}

/* Read the head of a frame; its size, 0 if it is not all there. */
static size_t read_head(struct connection *connection, const char *data, size_t have) {
    const unsigned char *head = (const unsigned char *)data;
    if (have < 2) return 0;
    uint64_t size = head[1];
    size_t end = size == 127 ? 10 : size == 126 ? 4 : 2;
    if (have < end) return 0;
    if (end > 2) size = 0;
    for (size_t i = 2; i < end; i++) size = size << 8 | head[i];
    connection->opcode = head[0] & 15;
    connection->frame_left = size;
    if ((head[0] & 0xF0) != 0x80 || head[1] & 0x80 || (connection->opcode < 8 && connection->opcode != TEXT) ||
        (connection->opcode >= 8 && size > 125))
        fail(connection, "a frame that is not understood");
    return end;
}

/* Handle the whole messages of a text frame one by one as they arrive; how many bytes are done with. */
static size_t read_frames(struct connection *connection, const char *data, size_t have) {
    size_t position = 0;
    while (position < have && connection->state != FAILED) {
        const char *begin = data + position;
        if (!connection->frame_left) {
            size_t head = read_head(connection, begin, have - position);
            if (!head) break;
            position += head;
            continue;
        }
        bool is_last = have - position >= connection->frame_left, is_control = connection->opcode >= 8;
        size_t there = is_last ? connection->frame_left : have - position;
        const char *newline = is_control ? NULL : memchr(begin, '\n', there);
        if (!newline && !is_last) break;
        size_t size = newline ? (size_t)(newline - begin) : there, done = newline ? size + 1 : size;
        position += done;
        connection->frame_left -= done;
        if (is_control) on_control_frame(connection, begin, size);
        else on_message(connection, begin, size);
    }
    return position;
}

static size_t read_upgrade_response(struct connection *connection, const char *data, size_t have) {
    const char *body = find(data, data + have, "\r\n\r\n");
    if (!body) return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        fail(connection, "the upgrade was refused");
        return have;
    }
    connection->state = ENTERING;
    send_all(connection, commands, commands_size);
    return body - data;
}

static void keep(struct connection *connection, const char *data, size_t size) {
    if (size > MAX_KEPT) return fail(connection, "a message is too long");
    if (size > connection->kept_size || !size) {
        free(connection->kept);
        connection->kept = size ? allocate(size, 1) : NULL;
    }
    if (size) memcpy(connection->kept, data, size);
    connection->kept_size = size;
}

/* Read all there is: events are edge-triggered. */
static void on_readable(struct connection *connection) {
    static char buffer[MAX_KEPT + READ_SIZE];
    ssize_t got = READ_SIZE;
    while (got == READ_SIZE && connection->state != FAILED) {
        size_t have = connection->kept_size, done = 0;
        got = recv(connection->fd, buffer + have, READ_SIZE, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return fail(connection, "the server closed a connection");
        if (have) memcpy(buffer, connection->kept, have);
        bytes += got;
        have += got;
        if (connection->state == UPGRADING) done = read_upgrade_response(connection, buffer, have);
        if (connection->state != UPGRADING) done += read_frames(connection, buffer + done, have - done);
        if (connection->state != FAILED) keep(connection, buffer + done, have - done);
    }
}

static void on_event(struct connection *connection, uint32_t events) {
    if (connection->state == CONNECTING && events & EPOLLOUT) {
        connection->state = UPGRADING;
        send_all(connection, upgrade, upgrade_size);
    }
    if (connection->state == FAILED) return;
    if (connection->state == CONNECTING) fail(connection, "a connection was refused");
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(connection);
}

static void open_connections(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    while (opened < wanted && in_flight < in_flight_limit) {
        struct connection *connection = &connections[opened++];
        int fd = connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0) die("socket");
        in_flight++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    }
}

/* ---- the run ---- */

static uint64_t joins_wanted(void) { return (uint64_t)wanted * (wanted + 1) / 2; }

static bool is_complete(void) {
    if (entered < wanted) return false;
    return mode == JOINS ? joins == joins_wanted() : mode == RECOVER ? level == wanted : true;
}

static bool is_over(void) {
    if (entered + failed < wanted) return false;
    return failed || is_complete();
}

/* Handle events for at most *milliseconds*; false when standard input has ended. */
static bool turn(int milliseconds) {
    struct epoll_event events[EVENTS_AT_ONCE];
    bool goes_on = true;
    int ready = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, milliseconds);
    for (int i = 0; i < ready; i++) {
        struct connection *connection = events[i].data.ptr;
        char byte;
        if (connection) on_event(connection, events[i].events);
        else goes_on = read(STDIN_FILENO, &byte, 1) > 0;
    }
    return goes_on;
}

static bool run(void) {
    int64_t start = now_ns(), end = start + (int64_t)(seconds_limit * 1e9), last = start;
    double cpu_before = cpu_seconds();
    while (!is_over() && now_ns() < end) {
        uint64_t before = joins + publications + entered;
        open_connections();
        turn((end - now_ns()) / 1000000 + 1);
        if (joins + publications + entered != before) last = now_ns();
    }
    double cpu = cpu_seconds() - cpu_before, elapsed = (last - start) / 1e9;
    bool complete = is_complete() && (mode != JOINS || are_joins_exact());
    printf("{\"mode\":\"%s\",\"connections\":%d,\"complete\":%s,\"entered\":%d,\"failures\":%d,\"publications\":%lu,"
           "\"joins\":%lu,\"pushes\":%lu,\"bytes\":%lu,\"seconds\":%.4f,\"client_cpu_seconds\":%.3f,"
           "\"client_cpu_share\":%.3f}\n",
           modes[mode], wanted, complete ? "true" : "false", entered, failed, (unsigned long)publications,
           (unsigned long)joins, (unsigned long)pushes, (unsigned long)bytes, elapsed, cpu,
           elapsed > 0 ? cpu / elapsed : 0);
    fflush(stdout);
    return complete;
}

/* Stay until standard input ends, but not longer than a run may take. */
static void hold(void) {
    int64_t end = now_ns() + (int64_t)(seconds_limit * 1e9);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event)) return; /* a file, or /dev/null: nothing to wait for */
    while (now_ns() < end && turn((end - now_ns()) / 1000000 + 1)) continue;
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if ((rlim_t)wanted + OTHER_DESCRIPTORS > limit.rlim_cur) refuse("more connections than descriptors");
}

static bool read_options(int count, char **arguments) {
    int option;
    while ((option = getopt(count, arguments, "n:f:t:p:c:o:e:m:l:")) != -1) {
        if (option == 'n') wanted = atoi(optarg);
        else if (option == 'f') in_flight_limit = atoi(optarg);
        else if (option == 't') seconds_limit = atof(optarg);
        else if (option == 'p') path = optarg;
        else if (option == 'c') channel = optarg;
        else if (option == 'o') since = strtoull(optarg, NULL, 10);
        else if (option == 'e') epoch = optarg;
        else if (option == 'm') missed = strtoull(optarg, NULL, 10);
        else if (option == 'l') live = strtoull(optarg, NULL, 10);
        else return false;
    }
    if (count - optind != 2 || wanted < 1 || wanted > MAX_CONNECTIONS || in_flight_limit < 1 || strlen(epoch) > 256)
        return false;
    port = atoi(arguments[optind + 1]);
    for (int i = 0; i <= JOINS; i++)
        if (!strcmp(arguments[optind], modes[i])) {
            mode = i;
            return true;
        }
    return false;
}

int main(int count, char **arguments) {
    if (!read_options(count, arguments)) {
        fprintf(stderr, "usage: storm [-n CONNECTIONS] [-f IN_FLIGHT] [-t SECONDS] [-p PATH] [-c CHANNEL] [-o OFFSET] "
                        "[-e EPOCH] [-m MISSED] [-l LIVE] subscribe|recover|joins PORT\n");
        return 2;
    }
    raise_descriptor_limit();
    connections = allocate(wanted, sizeof *connections);
    if (mode == JOINS) prepare_joins();
    make_requests();
    epoll_fd = epoll_create1(0);
    bool complete = run();
    hold();
    return complete ? 0 : 1;
}
