// Node.js with ws: clients get the body of each POST. Run: NODE_PATH=build/peers/node_modules node ws_server.js PORT
"use strict";

const http = require("node:http");
const { WebSocket, WebSocketServer } = require("ws");

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

function broadcast(body) {
  for (const client of sockets.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(body, { binary: false });
  }
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.method === "POST") broadcast(Buffer.concat(parts));
    response.end("{}");
  });
});

server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => client.on("error", () => client.terminate()));
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
