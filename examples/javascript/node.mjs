// Prints what is published to the channel "news".  npm install && node node.mjs
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const url = process.argv[2] ?? "ws://localhost:8000/connection/websocket";
const client = new Centrifuge(url, { websocket: WebSocket });

client.on("connected", ({ client: id }) => console.log(`connected as ${id}`));
client.on("disconnected", ({ code, reason }) => console.log(`disconnected: ${reason} (${code})`));

const news = client.newSubscription("news");
news.on("subscribed", () => console.log("subscribed"));
news.on("publication", ({ data }) => console.log("received", data));

news.subscribe();
client.connect();
