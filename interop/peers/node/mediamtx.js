// MediaMTX, a server that takes what is published by WHIP and gives it out by WHEP.
// It has one path, and its API tells what comes there.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const emit = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const folder = mkdtempSync(join(tmpdir(), 'interop-mediamtx-'));
const settings = join(folder, 'mediamtx.yml');
writeFileSync(settings, `
api: yes
apiAddress: 127.0.0.1:9997
rtsp: no
rtmp: no
hls: no
srt: no
webrtcAddress: 127.0.0.1:8889
authInternalUsers:
- user: any
  permissions: [{action: publish}, {action: read}, {action: api}]
paths:
  all_others:
`);
const binary = process.argv[2];
const server = spawn(binary, [settings], { stdio: ['ignore', 'pipe', 'inherit'] });
server.stdout.pipe(process.stderr); // ours is for the protocol

let code = 1;
function end(outcome) {
  code = outcome;
  server.kill('SIGKILL');
}
server.on('exit', () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
});
process.on('SIGTERM', () => end(1));

const address = 'http://127.0.0.1:8889/lab/';
const resources = new Map();

async function told(response) {
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}

const requests = {
  new() {},

  media() {}, // it sends what is published

  // https://www.rfc-editor.org/rfc/rfc9725
  async answer({ pc, sdp, resource }) {
    const response = await told(await fetch(address + resource, {
      method: 'POST', headers: { 'content-type': 'application/sdp' }, body: sdp,
    }));
    resources.set(pc, new URL(response.headers.get('location'), address));
    return { sdp: await response.text() };
  },

  // received has the bytes that were published, and the codecs as its state.
  async received() {
    const response = await fetch('http://127.0.0.1:9997/v3/paths/list');
    const { items: [path] } = await (await told(response)).json();
    return path?.ready ? { state: path.tracks.join(), bytes: path.bytesReceived } : {};
  },

  async close({ pc }) {
    if (resources.has(pc)) await fetch(resources.get(pc), { method: 'DELETE' });
    resources.delete(pc);
  },
};

async function request(line) {
  const asked = JSON.parse(line);
  try {
    if (!requests[asked.do]) throw new Error(`MediaMTX cannot ${asked.do}`);
    emit({ id: asked.id, ...await requests[asked.do](asked) });
  } catch (error) {
    emit({ id: asked.id, error: String(error?.message ?? error) });
  }
}

for (let answers = false; !answers;) {
  await sleep(20);
  answers = await fetch(address).then(() => true, () => false); // it does not listen yet
}
const input = createInterface({ input: process.stdin });
input.on('line', request);
input.on('close', () => end(0));
emit({ event: 'ready', version: `MediaMTX ${/v[\d.]+$/.exec(binary)?.[0]}` });
