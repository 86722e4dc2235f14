// Applies patches as unmodified centrifuge-js does, in the encoding that the first argument names: lines of
// {"base": text, "patch": text} on standard input, what became of the base as JSON texts on standard output.
// The client stays unconnected; its codec is where it keeps the decoder.
import { createInterface } from "node:readline";

const protobuf = process.argv[2] === "protobuf";
const { Centrifuge } = await import(protobuf ? "centrifuge/build/protobuf" : "centrifuge");
const codec = new Centrifuge("ws://127.0.0.1", { websocket: class {} })._codec;
const bytes = (text) => new TextEncoder().encode(text);

for await (const line of createInterface({ input: process.stdin })) {
  const { base, patch } = JSON.parse(line);
  const data = protobuf ? bytes(patch) : patch;
  const { newPrevValue } = codec.applyDeltaIfNeeded({ data, delta: true }, bytes(base));
  process.stdout.write(JSON.stringify(new TextDecoder().decode(newPrevValue)) + "\n");
}
