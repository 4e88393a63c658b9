// Janus, a server whose echo test answers our offers. It is driven by its REST
// interface: a session for each connection, in which a GET waits for what it has
// to tell. It opens no channels and tells nothing of those that we open.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const emit = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Its own folder of settings, as Debian's loads every plugin and listens on every
// address.
const folder = mkdtempSync(join(tmpdir(), 'interop-janus-'));
const plugins = ['audiobridge', 'duktape', 'lua', 'nosip', 'recordplay', 'sip', 'streaming', 'textroom', 'videocall',
  'videoroom', 'voicemail'];
const transports = ['mqtt', 'nanomsg', 'pfunix', 'rabbitmq', 'websockets'];
const libraries = (names) => `"${names.map((name) => `libjanus_${name}.so`).join(',')}"`;
writeFileSync(join(folder, 'janus.jcfg'), `
plugins: { disable = ${libraries(plugins)} }
transports: { disable = ${libraries(transports)} }
`);
writeFileSync(join(folder, 'janus.transport.http.jcfg'), `
general: { http = true, ip = "127.0.0.1", port = 8088, base_path = "/janus", json = "compact" }
`);
const server = spawn('/usr/bin/janus', [`--configs-folder=${folder}`, '--disable-colors', '--ipv6-candidates'], { stdio: ['ignore', 'pipe', 'inherit'] });
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

const address = 'http://127.0.0.1:8088/janus';
let lastTransaction = 0;

async function post(path, body) {
  lastTransaction += 1;
  const transaction = `${lastTransaction}`;
  const response = await fetch(address + path, { method: 'POST', body: JSON.stringify({ ...body, transaction }) });
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error.reason);
  return { ...answer, transaction };
}

const connections = new Map();

// Connection is a session; each request is the method of its name.
class Connection {
  async new({ pc }) {
    this.name = pc;
    this.current = 'new';
    this.waiting = new Map(); // what is to come for a request, by its transaction
    this.early = new Map(); // what has come before the request was acknowledged
    this.session = `/${(await post('', { janus: 'create' })).data.id}`;
    const { data } = await post(this.session, { janus: 'attach', plugin: 'janus.plugin.echotest' });
    this.handle = `${this.session}/${data.id}`;
    this.hear();
  }

  async hear() {
    while (!this.over) {
      try {
        const response = await fetch(`${address}${this.session}?maxev=10`);
        for (const event of [await response.json()].flat()) this.heard(event);
      } catch (error) {
        if (!this.over) console.error(error);
        await sleep(100);
      }
    }
  }

  heard(event) {
    if (event.janus === 'webrtcup') this.become('connected');
    if (event.janus === 'hangup') this.become('closed');
    if (event.janus === 'error' && event.error?.code === 458) this.over = true; // no such session
    if (event.janus !== 'event' && event.janus !== 'error') return;
    const waits = this.waiting.get(event.transaction);
    this.waiting.delete(event.transaction);
    if (waits) waits(event);
    else this.early.set(event.transaction, event);
  }

  become(state) {
    if (this.current === state) return;
    this.current = state;
    emit({ event: 'state', pc: this.name, state });
  }

  async answer({ sdp, trickle = false }) {
    const jsep = { type: 'offer', sdp, trickle, update: this.described === true };
    this.described = true;
    const { transaction } = await post(this.handle, { janus: 'message', body: { audio: false, video: false }, jsep });
    const event = this.early.get(transaction)
      ?? await new Promise((resolve) => { this.waiting.set(transaction, resolve); });
    this.early.delete(transaction);
    if (!event.jsep) throw new Error(event.error?.reason ?? event.plugindata?.data?.error ?? 'no answer in its event');
    if (this.current === 'new') this.current = 'connecting';
    return { sdp: event.jsep.sdp };
  }

  async candidate({ candidate }) {
    await post(this.handle, { janus: 'trickle', candidate });
  }

  state() { return { state: this.current }; }

  async close() {
    await post(this.handle, { janus: 'hangup' });
    await post(this.session, { janus: 'destroy' });
    this.over = true;
  }
}

async function request(line) {
  const asked = JSON.parse(line);
  try {
    if (asked.do === 'new') connections.set(asked.pc, new Connection());
    const connection = connections.get(asked.pc);
    if (!connection?.[asked.do]) throw new Error(`Janus cannot ${asked.do}`);
    emit({ id: asked.id, ...await connection[asked.do](asked) });
  } catch (error) {
    emit({ id: asked.id, error: String(error?.message ?? error) });
  }
}

let info;
while (!info) {
  try {
    info = await (await fetch(`${address}/info`)).json();
  } catch {
    await sleep(20); // it does not listen yet
  }
}
const input = createInterface({ input: process.stdin });
input.on('line', request);
input.on('close', () => end(0));
emit({ event: 'ready', version: `Janus ${info.version_string}` });
