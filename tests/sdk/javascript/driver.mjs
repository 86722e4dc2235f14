// Drives unmodified centrifuge-js clients, one after the other: commands on standard input, events on standard
// output, a JSON line each. tests/sdk/driver.py says which.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const protobuf = process.argv[2] === "protobuf";
const { Centrifuge } = await import(protobuf ? "centrifuge/build/protobuf" : "centrifuge");

// Payloads are bytes for a Protobuf client, values for a JSON one.
const pack = (value) => (protobuf ? new TextEncoder().encode(JSON.stringify(value)) : value);
const unpack = (data) => {
  if (!protobuf) return data ?? null;
  return data?.length ? JSON.parse(new TextDecoder().decode(data)) : null;
};

const code = ({ code, reason }) => ({ code, reason });
const failure = ({ error }) => ({ code: error.code });
const channelOf = ({ channel }) => ({ channel });
const describeInfo = ({ user, client, connInfo, chanInfo }) => ({
  user,
  client,
  conn_info: unpack(connInfo),
  chan_info: unpack(chanInfo),
});
const member = ({ channel, info }) => ({ channel, info: describeInfo(info) });
const publication = ({ channel, data, info, offset, tags }) => ({
  channel,
  data: unpack(data),
  info: info ? describeInfo(info) : null,
  offset: offset ?? 0,
  tags: tags ?? {},
});
const subscribed = ({ channel, recoverable, positioned, wasRecovering, recovered, streamPosition, data }) => ({
  channel,
  recoverable,
  positioned,
  was_recovering: wasRecovering,
  recovered,
  position: streamPosition ?? null,
  data: unpack(data),
});
const IN_CHANNELS = { subscribed, publication, join: member, leave: member };

const observedWebSocket = (emit) => class extends WebSocket {
  constructor(...settings) {
    super(...settings);
    this.on("message", (data) => emit("frame", { direction: "in", hex: Buffer.from(data).toString("hex") }));
  }

  send(data) {
    emit("frame", { direction: "out", hex: Buffer.from(data).toString("hex") });
    super.send(data);
  }
};

class Driver {
  #requests = { get_token: [], get_state: [] };
  #isOpen = true;
  #client;

  constructor({ url, token, get_token: getToken }) {
    this.#client = new Centrifuge(url, {
      websocket: observedWebSocket(this.#emit),
      token,
      minReconnectDelay: 50,
      maxReconnectDelay: 200,
      getToken: getToken ? this.#asking("get_token") : null,
    });
    this.#report(this.#client, { connecting: code, disconnected: code, error: failure });
    this.#report(this.#client, { ...IN_CHANNELS, unsubscribed: channelOf }, "server_");
    this.#client.on("connected", ({ client }) => this.#emit("connected", { client }));
  }

  #emit = (event, fields) => {
    if (this.#isOpen) process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
  };

  #report(source, events, side = "", fields = {}) {
    for (const [event, describe] of Object.entries(events)) {
      source.on(event, (context) => this.#emit(side + event, { ...fields, ...describe(context) }));
    }
  }

  // Asks the test: an event out, a command back.
  #asking = (what) => (context) => new Promise((resolve) => {
    this.#requests[what].push(resolve);
    this.#emit(what, context);
  });

  #answer(call, describe) {
    call.then(
      (result) => this.#emit("result", { data: describe(result) }),
      (error) => this.#emit("failed", { code: error.code }),
    );
  }

  connect() {
    this.#client.connect();
  }

  close() {
    this.#client.disconnect();
    this.#emit("closed");
    this.#isOpen = false;
  }

  subscribe({ channel, token, ask_token, ask_state, join_leave, tags_filter, ...options }) {
    let subscription = this.#client.getSubscription(channel);
    if (!subscription) {
      if (token) options.token = token;
      if (token || ask_token) options.getToken = this.#asking("get_token");
      if (ask_state) options.getState = () => this.#asking("get_state")({ channel });
      if (join_leave) options.joinLeave = true;
      if (tags_filter) options.tagsFilter = tags_filter;
      subscription = this.#client.newSubscription(channel, { minResubscribeDelay: 50, ...options });
      this.#report(subscription, IN_CHANNELS);
      this.#report(subscription, { subscribing: code, unsubscribed: code, error: failure }, "", { channel });
    }
    subscription.subscribe();
  }

  unsubscribe({ channel }) {
    this.#client.getSubscription(channel).unsubscribe();
  }

  publish({ channel, data }) {
    this.#answer(this.#client.publish(channel, pack(data)), () => null);
  }

  rpc({ method, data }) {
    this.#answer(this.#client.rpc(method, pack(data)), (result) => unpack(result.data));
  }

  presence({ channel }) {
    this.#answer(this.#client.presence(channel), ({ clients }) => Object.fromEntries(
      Object.entries(clients).map(([client, info]) => [client, describeInfo(info)]),
    ));
  }

  presence_stats({ channel }) {
    this.#answer(this.#client.presenceStats(channel), ({ numClients, numUsers }) => ({
      num_clients: numClients,
      num_users: numUsers,
    }));
  }

  history({ channel, ...options }) {
    this.#answer(this.#client.history(channel, options), ({ publications, offset, epoch }) => ({
      publications: publications.map(({ data, offset }) => ({ data: unpack(data), offset })),
      offset,
      epoch,
    }));
  }

  token({ token }) {
    this.#requests.get_token.shift()(token);
  }

  state({ offset, epoch }) {
    this.#requests.get_state.shift()({ offset, epoch });
  }
}

let driver;
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const { command, ...parameters } = JSON.parse(line);
  if (command === "open") driver = new Driver(parameters);
  else driver[command](parameters);
});
