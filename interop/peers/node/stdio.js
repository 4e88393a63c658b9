// Joins the peer of w3c.js to stdin and stdout, one JSON object a line.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { makePeer } from './w3c.js';

const emit = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

const hasher = () => {
  const hash = createHash('sha256');
  return { update: (bytes) => hash.update(bytes), digest: () => hash.copy().digest('hex') };
};

const random = (n) => new Uint8Array(randomBytes(n));

// serve runs until stdin ends. The version is that of the npm package.
export function serve(RTCPeerConnection, name, options = {}) {
  // stdout is for the protocol alone.
  console.log = console.error;
  console.info = console.error;
  console.debug = console.error;
  const request = makePeer({ RTCPeerConnection, emit, hasher, random, ...options });
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => request(JSON.parse(line)));
  // At once: what native code is left running would keep the process alive.
  input.on('close', () => process.exit(0));
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
  emit({ event: 'ready', version: `${name} ${version}` });
}
