// Drives one unmodified centrifuge-js client: commands on standard input, events on standard output, a JSON line
// each. tests/sdk/driver.py says which. The end of the input disconnects.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const settings = JSON.parse(process.argv[2]);
const protobuf = settings.encoding === "protobuf";
const { Centrifuge } = await import(protobuf ? "centrifuge/build/protobuf" : "centrifuge");

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

// Payloads are bytes for a Protobuf client, values for a JSON one.
const pack = (value) => (protobuf ? new TextEncoder().encode(JSON.stringify(value)) : value);
const unpack = (data) => {
  if (!protobuf) return data ?? null;
  return data?.length ? JSON.parse(new TextDecoder().decode(data)) : null;
};

class ObservedWebSocket extends WebSocket {
  constructor(...settings) {
    super(...settings);
    this.on("message", (data) => emit("frame", { direction: "in", hex: Buffer.from(data).toString("hex") }));
  }

  send(data) {
    emit("frame", { direction: "out", hex: Buffer.from(data).toString("hex") });
    super.send(data);
  }
}

const code = ({ code, reason }) => ({ code, reason });
const failure = ({ error }) => ({ code: error.code });
const channel = ({ channel }) => ({ channel });
const describeInfo = ({ user, client, connInfo, chanInfo }) => ({
  user,
  client,
  conn_info: unpack(connInfo),
  chan_info: unpack(chanInfo),
});
const publication = ({ channel, data, info }) => ({
  channel,
  data: unpack(data),
  info: info ? describeInfo(info) : null,
});

// Asks the test for a token: an event out, a command back.
const tokenRequests = [];
const getToken = ({ channel }) => new Promise((resolve) => {
  tokenRequests.push(resolve);
  emit("get_token", { channel });
});

const client = new Centrifuge(settings.url, {
  websocket: ObservedWebSocket,
  token: settings.token,
  minReconnectDelay: 50,
  maxReconnectDelay: 200,
  getToken: settings.get_token ? getToken : null,
});
for (const [event, describe] of Object.entries({ connecting: code, disconnected: code, error: failure })) {
  client.on(event, (context) => emit(event, describe(context)));
}
client.on("connected", (context) => emit("connected", { client: context.client }));
for (const [event, describe] of Object.entries({ subscribed: channel, unsubscribed: channel, publication })) {
  client.on(event, (context) => emit(`server_${event}`, describe(context)));
}

function subscribe(name, token) {
  const subscription = client.newSubscription(name, token ? { token, getToken } : {});
  subscription.on("subscribed", (context) => emit("subscribed", channel(context)));
  subscription.on("publication", (context) => emit("publication", publication(context)));
  for (const [event, describe] of Object.entries({ subscribing: code, unsubscribed: code, error: failure })) {
    subscription.on(event, (context) => emit(event, { channel: name, ...describe(context) }));
  }
  subscription.subscribe();
}

function answer(call) {
  call.then(
    (result) => emit("result", { data: unpack(result.data) }),
    (error) => emit("failed", { code: error.code }),
  );
}

const commands = {
  connect: () => client.connect(),
  subscribe: ({ channel, token }) => subscribe(channel, token),
  unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
  publish: ({ channel, data }) => answer(client.publish(channel, pack(data))),
  rpc: ({ method, data }) => answer(client.rpc(method, pack(data))),
  token: ({ token }) => tokenRequests.shift()(token),
};
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const { command, ...parameters } = JSON.parse(line);
  commands[command](parameters);
});
input.on("close", () => client.disconnect());
