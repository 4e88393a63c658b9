// Firefox, without a window. It is driven over a WebSocket by WebDriver BiDi. In
// Node 20 the client of that needs --experimental-websocket.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { servePage } from './serve.js';

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const profile = mkdtempSync(join(tmpdir(), 'interop-firefox-'));
writeFileSync(join(profile, 'user.js'), [
  ['media.peerconnection.ice.loopback', true],
  ['media.peerconnection.ice.obfuscate_host_addresses', false],
  ['media.autoplay.default', 0],
  ['media.autoplay.blocking_policy', 0],
  ['browser.shell.checkDefaultBrowser', false],
  ['datareporting.policy.dataSubmissionEnabled', false],
  ['app.update.enabled', false],
  ['network.captive-portal-service.enabled', false],
  ['network.connectivity-service.enabled', false],
].map(([name, value]) => `user_pref("${name}", ${value});\n`).join(''));

const browser = spawn('/usr/bin/firefox-esr', [
  '--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', profile, 'about:blank',
], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile, MOZ_DISABLE_CONTENT_SANDBOX: '1' } });

// The profile goes when the browser has gone, which would write to it.
let code = 1;
function end(outcome) {
  code = outcome;
  browser.kill('SIGKILL');
}
browser.on('exit', () => {
  rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
  process.exit(code);
});
process.on('SIGTERM', () => end(1));

// It says where it listens.
const address = await new Promise((resolve) => {
  createInterface({ input: browser.stderr }).on('line', (line) => {
    console.error(line);
    const found = /BiDi listening on (ws:\S+)/.exec(line);
    if (found) resolve(found[1]);
  });
});

const socket = new WebSocket(`${address}/session`);
await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
let lastID = 0;
const waiting = new Map();
socket.onmessage = ({ data }) => {
  const { id, type, method, params, result, message } = JSON.parse(data);
  if (method === 'script.message') process.stdout.write(`${params.data.value}\n`);
  if (!waiting.has(id)) return;
  const { asked, resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (type === 'error') reject(new Error(`${asked}: ${message}`));
  else resolve(result);
};
function call(method, params) {
  lastID += 1;
  socket.send(JSON.stringify({ id: lastID, method, params }));
  return new Promise((resolve, reject) => { waiting.set(lastID, { asked: method, resolve, reject }); });
}

const { capabilities } = await call('session.new', { capabilities: {} });
await call('session.subscribe', { events: ['script.message'] });
const { contexts: [{ context }] } = await call('browsingContext.getTree', {});
await call('browsingContext.navigate', { context, url: await servePage(), wait: 'complete' });
const target = { context };
const evaluate = async (expression) => {
  const answer = await call('script.evaluate', { expression, target, awaitPromise: false });
  if (answer.type !== 'success') throw new Error(answer.exceptionDetails.text);
  return answer.result.value;
};
while (await evaluate('document.title') !== 'ready') await sleep(10);
await call('script.callFunction', {
  functionDeclaration: '(print) => { globalThis.request = start(print); }',
  arguments: [{ type: 'channel', value: { channel: 'print' } }],
  target,
  awaitPromise: false,
});

// Requests do not wait for each other, as in the other peers.
const input = createInterface({ input: process.stdin });
input.on('line', (line) => { evaluate(`void request(${line})`).catch((e) => { console.error(e); end(1); }); });
input.on('close', () => end(0));
process.stdout.write(`${JSON.stringify({ event: 'ready', version: `Firefox ${capabilities.browserVersion}` })}\n`);
