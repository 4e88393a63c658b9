// Chromium, without a window. It is driven over a pipe by its own DevTools
// protocol: one JSON object after the other, with a zero byte behind each.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { servePage } from './serve.js';

const profile = mkdtempSync(join(tmpdir(), 'interop-chromium-'));
const browser = spawn('/usr/bin/chromium', [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--autoplay-policy=no-user-gesture-required', `--user-data-dir=${profile}`,
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1', '--remote-debugging-pipe', ...process.argv.slice(2), 'about:blank',
], { stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'] });

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

let lastID = 0;
const waiting = new Map();

function call(method, params = {}, sessionId = undefined) {
  lastID += 1;
  browser.stdio[3].write(`${JSON.stringify({ id: lastID, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => { waiting.set(lastID, { method, resolve, reject }); });
}

function hear(text) {
  const { id, method, params, result, error } = JSON.parse(text);
  if (method === 'Runtime.bindingCalled') process.stdout.write(`${params.payload}\n`);
  if (!waiting.has(id)) return;
  const { method: asked, resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error) reject(new Error(`${asked}: ${error.message}`));
  else resolve(result);
}

let heard = '';
browser.stdio[4].setEncoding('utf8');
browser.stdio[4].on('data', (data) => {
  const texts = (heard + data).split('\0');
  heard = texts.pop();
  texts.forEach(hear);
});

const { product } = await call('Browser.getVersion');
const { targetId } = await call('Target.createTarget', { url: await servePage() });
const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
const evaluate = async (expression, awaitPromise = false) => {
  const { exceptionDetails, result } = await call('Runtime.evaluate', { expression, awaitPromise }, sessionId);
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
};
await call('Runtime.enable', {}, sessionId);
await call('Runtime.addBinding', { name: 'print' }, sessionId);
while (await evaluate('document.title') !== 'ready') await new Promise((resolve) => { setTimeout(resolve, 10); });
await evaluate('globalThis.request = start(print)');

// Requests do not wait for each other, as in the other peers.
const input = createInterface({ input: process.stdin });
input.on('line', (line) => { evaluate(`void request(${line})`).catch((e) => { console.error(e); end(1); }); });
input.on('close', () => end(0));
process.stdout.write(`${JSON.stringify({ event: 'ready', version: product })}\n`);
