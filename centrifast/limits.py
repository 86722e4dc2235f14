"""Every limit that is not an option, with its reason."""

KIB = 1024
MIB = 1024 * KIB

WEBSOCKET_CLOSE_TIMEOUT = 5.0
"""Seconds to wait for the peer's close frame before the socket is dropped (client protocol 5.4)."""

CLOSE_REASON_SIZE = 123
"""Bytes a close frame leaves for the reason (RFC 6455 section 5.5)."""

EXTENSIONS_SIZE = 2 * KIB
"""Characters of the extensions that a client offers; of more none is agreed on. Reading them takes 1 µs for each."""

FINAL_BLOCKS = 16
"""Blocks of one deflated message that say they are the last; each costs a copy of what follows. Nobody sends two."""

FAILED_CONNECT_LINGER = 5.0
"""Seconds until a connection whose connect was answered with an error is dropped (server specification 5.1)."""

MAX_TTL = 365 * 24 * 3600
"""Seconds; what clients are told of an expiration is capped at a year (client protocol 3.3)."""

CLAIM_MATCH_SIZE = 1024
"""Characters of an issuer or audience that a pattern is tried on; anyone can send them, and patterns can be slow."""

KEY_SET_TIMEOUT = 1.0
"""Seconds for one attempt to fetch a key set (server specification 5.3)."""

KEY_SET_ATTEMPTS = 2
"""Attempts to fetch a key set before tokens are answered with a temporary error (server specification 5.3)."""

KEY_SET_SIZE = 512 * KIB
"""Bytes of a key set; a real one has a few thousand."""

KEY_SET_REDIRECTS = 3
"""Redirects followed on the way to a key set."""

KEY_SET_KEYS = 200
"""Keys read from one answer, and kept of one key set; a real one has two to ten."""

KEY_SET_INTERVAL = 1.0
"""Seconds between two fetches of one key set: unknown key ids cost nothing to make up (5.3, decision a)."""

KEY_LIFETIME = 3600.0
"""Seconds a fetched key counts after its last use (server specification 5.3)."""

KEY_SETS = 100
"""Key sets kept, and fetched at once; more than one only where claims are part of the URL."""

DRAIN_SLICE = 0.001
"""Seconds of writing before the loop serves its sockets again (architecture 5.3)."""

CLIENTS_AT_ONCE = 100
"""Clients disconnected, or changed by one call of the API, between two turns of the loop; up to 50 µs each."""

CONNECTION_LIMIT_LOG_INTERVAL = 3.0
"""Seconds between two log lines about the connection limit (server specification 2.5)."""

DESCRIPTORS_WARNING = 65_535
"""A hard limit of open files below this is worth a warning at start (server specification 12.5)."""

SHUTDOWN_POLL = 0.02
"""Seconds between two looks at whether the last connection has gone."""

PRESENCE_TTL = 60.0
"""Seconds a presence entry counts without a refresh, unless the engine has an option (server specification 3.7)."""

IDLE_STREAMS = 100_000
"""Streams kept for their epoch alone: nothing was published to them and nobody subscribes. About 500 bytes each."""

CATCH_UP_SIZE = 32 * MIB
"""Bytes of one channel's publications kept while its history is read; with more, who reads must come back (3010)."""

POSITION_CHECKS_AT_ONCE = 64
"""Channels whose position is compared with the engine's at the same time."""

POSITION_LOOKS_AT_ONCE = 1000
"""Channels that are looked at between two turns of the loop, whether or not something has come in them; 1 µs each."""

POSITION_CHECK_PAUSE = 1.0
"""Seconds until a position that seems to be behind is looked at again (engines specification 1.5, decision)."""

UNSUBSCRIBES_AT_ONCE = 1000
"""Channels that nobody wants any more of which the broker is told between two turns of the loop; 5 µs each."""

LOST_BATCH = 500
"""Subscribers told that they missed something, between two turns of the loop; about 10 µs each."""

RECOVERED_CACHE_SIZE = 8 * MIB
"""Bytes of recovered publications kept encoded, for clients that come back together."""

DELTA_WASTE = 1 * MIB
"""Bytes of recovered payloads for which no usable patch was found, before the others are sent whole; about 20 ms."""

COMMAND_BACKLOG_SIZE = 64 * KIB
"""Bytes of frames kept while a client's commands wait; with more, nothing is read from it until some are handled."""

COMMAND_SLICE = 0.005
"""Seconds of serving commands of one client before the loop has its turn."""

INFOS_AT_ONCE = 1000
"""Clients of a presence answer encoded between two turns of the loop; 1.5 µs each."""

UNSUBSCRIBE_WAIT = 5.0
"""Seconds that an unsubscribe waits for a running subscribe of its channel (client protocol 3.2)."""

FILTER_NODES = 100
"""Nodes of a tags filter; it runs for every publication, 0.1 µs a node and 1 µs where numbers are compared."""

FILTER_DEPTH = 32
"""Levels of a tags filter, because it recurses; nobody needs that many."""

FILTER_TEXT_SIZE = 16 * KIB
"""Characters of all keys and values of a tags filter, one more for each of a list; kept as long as the subscription."""

STREAM_QUEUE_SIZE = 256 * KIB
"""Bytes of a streaming response that wait for a peer that reads slowly; what does not fit is not written."""

LOG_BUFFER_SIZE = 1 * MIB
"""Bytes of log lines that wait to be written; with more, lines are dropped and counted. Nothing waits for the log."""

LOG_BATCH_SIZE = 64 * KIB
"""Bytes of log lines handed to the system at once: what a pipe holds."""

LOG_END_TIMEOUT = 1.0
"""Seconds the end of the process waits for the last lines of the log."""

TAPS_AT_ONCE = 32
"""Tails open at the same time; each looks at every publication."""

TAP_SESSIONS = 100
"""Sessions of a watched user that are asked whether they are subscribed, for every publication; 0.1 µs each."""

TAP_COMMANDS = 1000
"""Commands remembered while taps are open, to tell how long their replies took."""

TAIL_PAYLOAD_SIZE = 4 * KIB
"""Bytes of a payload that a tail shows; of a longer one the beginning."""

TAIL_LINE_SIZE = 64 * KIB
"""Bytes of a line of a tail; of a longer one only what is known without payloads."""

TAIL_ENTRIES = 16
"""Entries of a list or map inside a request or result that a tail shows."""

TAIL_ALIVE_INTERVAL = 25.0
"""Seconds between two signs of life of a tail: proxies end what is quiet for a minute."""

LINK_QUEUE_SIZE = 64 * MIB
"""Bytes that may wait for one worker, or for the supervisor; a peer that leaves more unread is given up."""

LINK_MESSAGE_SIZE = 256 * MIB
"""Bytes of one message between a worker and its supervisor: a read of a whole, large history."""

ENGINE_REQUESTS = 100_000
"""Requests of one worker that wait for the engine: more than its clients and backends can have open at once."""

ENGINE_TIMEOUT = 5.0
"""Seconds until a request to the engine has failed."""

SLOW_CLIENTS = 1000
"""Clients that one answer of ``stats`` names."""

SLOW_LOOKS_AT_ONCE = 5000
"""Clients whose queue is looked at between two turns of the loop; 0.2 µs each."""

CHANNEL_LOG_SIZE = 256
"""Characters of a channel's name in a line of the log: nobody needs more, and anyone can send any number."""

PATH_LOG_SIZE = 256
"""Characters of a request's path in a line of the log; addresses given by proxies get a quarter."""

GRAPHITE_TIMEOUT = 1.0
"""Seconds for one push of metrics to Graphite, as upstream."""

WORKER_PING_PERIOD = 1.0
"""Seconds between two looks at whether each worker answers."""

WORKER_HANG = 10.0
"""Seconds after which a worker that does not answer is replaced; longer than any honest pause of an event loop."""

WORKER_ABORT = 1.0
"""Seconds a hung worker has to leave behind where it hangs, before it is killed."""

WORKER_START = 60.0
"""Seconds until a worker that does not serve by then has failed to start."""

WORKER_SHORT_LIFE = 30.0
"""Seconds; a worker that lived longer died of something else than the one before."""

WORKER_FIRST_DELAY = 0.1
"""Seconds until a dead worker is started again; twice as long for each that dies young."""

WORKER_LAST_DELAY = 10.0
"""Seconds beyond which that delay does not grow."""

WORKER_RECONFIGURE = 10.0
"""Seconds each worker has to go over to a configuration that the supervisor has checked; then it is replaced."""

WORKER_ORPHAN = 4.0
"""Seconds a worker has to end in after its supervisor is gone."""

REDIS_SEEDS = 64
"""Servers that one address may name: each tells where the others are."""

CONSUMER_MESSAGE_SIZE = 64 * MIB
"""Bytes of a message in a queue: what one request of the HTTP API may have; a longer one is skipped."""

QUEUED_MESSAGE_LOG_SIZE = 128
"""Bytes of a skipped message that the log shows: enough to find who wrote it."""

LIST_BATCH_SIZE = 16 * MIB
"""Bytes of elements taken from a Redis list at once, or one element if that is longer."""

LIST_LEASE = 10.0
"""Seconds a Redis list stays with a node that is not heard of: what a list waits after a crash."""

LIST_LOOK = 0.3
"""Seconds between two looks at whether a Redis list that another node reads has become free, more or less by chance."""

CONSUMER_PAUSE = 0.3
"""Seconds between two attempts to reach the Redis of a queue (server specification 10.4)."""

CONSUMER_FIRST_RETRY = 0.01
"""Seconds until a call that failed with an internal error is made again; doubled each time (specification 8.1)."""

CONSUMER_LAST_RETRY = 5.0
"""Seconds beyond which that pause does not grow."""

CONSUMER_SLICE = 0.005
"""Seconds of executing messages before the loop has its turn."""

CONSUMER_STOP_TIMEOUT = 5.0
"""Seconds a consumer may take for its last messages at a stop; what is not done by then comes again."""

CONSUMER_LOOK = 5.0
"""Seconds between two looks at how long a queue is, and at messages that others have let lie (engines 6.5)."""

STREAM_BLOCK = 5.0
"""Seconds that a read of a Redis stream waits for entries (engines specification 6.5)."""

STREAM_DELIVERIES = 100
"""Deliveries of an entry after which it is given up. Those that failed because nothing works do not count."""

STREAM_DRAIN = 1000
"""Entries at most that a consumer executes at its stop because it was given them in that moment."""

STREAM_CONSUMER_LIFETIME = 3600.0
"""Seconds after which the name of a consumer that crashed, and owes nothing, is removed from its group."""

REDIS_REQUESTS = 100_000
"""Requests that wait for one Redis server: more than a node's clients and backends can have open at once."""

REDIS_QUEUE_SIZE = 64 * MIB
"""Bytes that wait to be written to one Redis server; with more, requests fail at once."""

REDIS_REPLY_SIZE = 256 * MIB
"""Bytes of one reply of Redis: a read of a whole, large history."""

REDIS_PAUSE = 0.25
"""Seconds between two attempts to connect to a Redis that is away (engines specification 3.7.1)."""

PUBSUB_SLICE = 0.005
"""Seconds of handling messages of Redis before the loop has its turn."""

SUBSCRIBE_BATCH = 512
"""Channels of one SUBSCRIBE (engines specification 3.7.1)."""

SUBSCRIBE_BATCHES_AT_ONCE = 16
"""Such commands that wait for Redis at the same time when everything is subscribed to again."""

NODE_PERIOD = 3.0
"""Seconds between two times that a node says what it is (engines specification 3.11)."""

NODE_LIFETIME = 7.0
"""Seconds a node is known after it was heard of (engines specification 3.11)."""

NODES_KNOWN = 4096
"""Other nodes that are known; each worker of a server is one."""

NODE_INFO_SIZE = 256 * KIB
"""Bytes of what one node says of itself and is kept; a real one, with all its metrics, has about 10,000."""

NODE_FAREWELL = 1.0
"""Seconds a stopping node takes to say so."""

CONTROL_MESSAGE_SIZE = 16 * MIB
"""Bytes of a message between nodes; Redis ends a connection for which twice as much waits."""

CONTROL_CALLS = 10_000
"""Calls of other nodes carried out at once, and messages of their answers under way."""

SURVEY_TIMEOUT = 9.0
"""Seconds until a question to other nodes has failed: after a dead one is forgotten, before backends give up (10 s)."""

SURVEYS_AT_ONCE = 100
"""Questions to other nodes that wait for answers."""

SURVEY_ANSWERS_SIZE = 256 * MIB
"""Bytes of all answers to one question."""

CHANNELS_AT_ONCE = 1000
"""Channels of an answer encoded or read between two turns of the loop; 1 µs each."""
