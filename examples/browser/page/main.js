// The page's side: signaling, the channels, and what the elements show. The
// drawing is in timeline.js and plots.js.
import { Timeline } from "./timeline.js";
import { Plot, median, quantile } from "./plots.js";

const $ = (id) => document.getElementById(id);
const SECONDS = 2; // of a throughput run

const begin = performance.now();
const now = () => performance.now() - begin; // the page's time line, in ms
const timeline = new Timeline($("timeline"), $("tip"), now);
const rtt = new Plot($("rtt"), now, "ms", [{ color: "--text", dots: true }]);
const throughput = new Plot($("throughput"), now, "MB/s", [{ color: "--page" }, { color: "--go" }]);

// ---- The states of both sides

const inMS = (ms) => `${ms.toFixed(1)} ms`;

function note(side, track, state, at) {
  const item = document.createElement("li");
  Object.assign(item.dataset, { side, track, state });
  for (const [tag, text] of [["time", inMS(at)], ["span", side], ["b", `${track} ${state}`]]) {
    item.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  $("states").append(item);
  if (track === "connection") {
    document.body.dataset[side] = state;
    $(`state-${side}`).textContent = state;
  }
  return item;
}

const noted = {};
function notePage(track, state) {
  if (noted[track] === state || noted[track] === "closed") return;
  noted[track] = state;
  const at = now();
  timeline.add({ side: "page", track, state, at });
  note("page", track, state, at);
}

// The two clocks share no beginning. A message takes some time, so the least
// difference seen between an event of Go's and its arrival is the best guess.
const ofGo = []; // the times shown, and what they are on Go's clock
function noteGo({ track, state, at }) {
  timeline.goBegan = Math.min(timeline.goBegan, now() - at);
  timeline.add({ side: "go", track, state, at });
  ofGo.push({ at, time: note("go", track, state, at).querySelector("time") });
  for (const { at, time } of ofGo) time.textContent = inMS(timeline.goBegan + at);
}

// ---- Signaling: the polite side of perfect negotiation

const socket = new WebSocket(`ws://${location.host}/session`);
const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
const pc = new RTCPeerConnection();

function watchDTLS() {
  const dtls = pc.sctp?.transport;
  if (!dtls || dtls.onstatechange) return;
  dtls.onstatechange = () => notePage("dtls", dtls.state);
  notePage("dtls", dtls.state);
}

notePage("signaling", pc.signalingState);
notePage("gathering", pc.iceGatheringState);
notePage("ice", pc.iceConnectionState);
notePage("connection", pc.connectionState);
pc.onsignalingstatechange = () => { notePage("signaling", pc.signalingState); watchDTLS(); };
pc.onicegatheringstatechange = () => notePage("gathering", pc.iceGatheringState);
pc.oniceconnectionstatechange = () => notePage("ice", pc.iceConnectionState);
pc.onconnectionstatechange = () => {
  notePage("connection", pc.connectionState);
  if (pc.connectionState === "connected") tellPath();
};

async function describe() {
  await pc.setLocalDescription();
  send({ description: pc.localDescription });
}
pc.onnegotiationneeded = () => describe().catch(fail);
pc.onicecandidate = ({ candidate }) => send({ candidate: candidate ?? { candidate: "" } });

async function receive({ description, candidate, path: taken, error }) {
  if (description) {
    await pc.setRemoteDescription(description); // takes our own offer back, if the two collide
    watchDTLS();
    if (description.type === "offer") await describe();
  } else if (candidate) {
    await pc.addIceCandidate(candidate);
  } else if (taken) {
    path = taken;
    tellPath();
  } else if (error) {
    fail(error);
  }
}

let received = Promise.resolve(); // one message after the other
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.state) noteGo(message.state); // at the time that it has come
  else received = received.then(() => receive(message)).catch(fail);
};
socket.onclose = ({ reason }) => {
  closePage();
  if (!failed) facts(`It is over: ${reason || "the program has gone"}. The program has ended too, unless it runs with -keep.`);
  for (const button of document.querySelectorAll("header button")) button.hidden = true;
  document.body.dataset.over = reason || "gone";
};

let failed = false;
function fail(error) {
  failed = true;
  document.body.dataset.failed = String(error);
  facts(`Failed: ${error}`);
}

function facts(text) { $("facts").textContent = text; }

// A close of our own fires no event.
// https://www.w3.org/TR/webrtc/#dom-rtcpeerconnection-close
function closePage() {
  pc.close();
  for (const track of ["chat", "ping", "bulk", "dtls", "ice", "signaling", "connection"]) {
    if (noted[track]) notePage(track, "closed");
  }
  usable(false);
  timeline.stop();
  rtt.stop();
  throughput.stop();
}

let started, took; // when a button was pressed; until it was connected, ms
let path;
function start(who) {
  started = now();
  facts(`Connecting; ${who} makes the offer.`);
  for (const id of ["offer-page", "offer-go"]) $(id).hidden = true;
  for (const id of ["close-page", "close-go"]) $(id).hidden = false;
}
$("offer-page").onclick = () => {
  start("the page");
  useChat(pc.createDataChannel("chat"));
  usePing(pc.createDataChannel("ping", { ordered: false, maxRetransmits: 0 }));
  useBulk(pc.createDataChannel("bulk"));
};
$("offer-go").onclick = () => { start("Go"); send({ ask: "offer" }); };
$("close-page").onclick = () => closePage();
$("close-go").onclick = () => send({ ask: "close" });

// Go tells which addresses were taken: a browser may hide them from its pages.
function tellPath() {
  if (pc.connectionState !== "connected" || !path) return;
  took ??= now() - started;
  facts(`Connected after ${took.toFixed(0)} ms: Go at ${path.local}, the page at ${path.remote}`);
}

// ---- The channels

pc.ondatachannel = ({ channel }) => ({ chat: useChat, ping: usePing, bulk: useBulk })[channel.label]?.(channel);

let chat, ping, bulk;

function watch(channel) {
  const told = () => notePage(channel.label, channel.readyState);
  told();
  for (const event of ["open", "closing", "close"]) channel.addEventListener(event, told);
  channel.addEventListener("close", () => usable(false));
}

function usable(yes) {
  for (const element of document.querySelectorAll("#say *, #send-page, #send-go")) element.disabled = !yes;
}

function say(who, text) {
  const item = Object.assign(document.createElement("li"), { textContent: text, className: who });
  $("said").append(item);
  item.scrollIntoView({ block: "nearest" });
}

function useChat(channel) {
  chat = channel;
  watch(channel);
  channel.onmessage = ({ data }) => say("go", data);
}
$("say").onsubmit = (event) => {
  event.preventDefault();
  const text = $("line").value.trim();
  if (!text || chat?.readyState !== "open") return;
  chat.send(text);
  say("page", text);
  $("line").value = "";
};

function usePing(channel) {
  ping = channel;
  watch(channel);
  const sent = new Map();
  const all = [];
  let number = 0, lost = 0;
  channel.onmessage = ({ data }) => {
    const took = performance.now() - sent.get(data);
    if (!sent.delete(data)) return;
    all.push(took);
    rtt.add(0, took);
    document.body.dataset.pings = all.length;
    $("rtt-now").textContent =
      `median ${median(all).toFixed(2)} ms, 99 % ${quantile(all, 0.99).toFixed(2)} ms, ${lost} of ${number} lost`;
  };
  const timer = setInterval(() => {
    if (channel.readyState === "closed") clearInterval(timer);
    if (channel.readyState !== "open") return;
    for (const [old, at] of sent) {
      if (performance.now() - at > 2000) { sent.delete(old); lost++; }
    }
    const text = String(number++);
    sent.set(text, performance.now());
    channel.send(text);
  }, 100);
}

// A run of throughput, whichever way: points for the plot, and its mean.
function run(line, id) {
  let last;
  return {
    // bytes so far, and the milliseconds that they took, by the receiver's clock
    progress(bytes, ms) {
      if (last && ms > last.ms) throughput.add(line, (bytes - last.bytes) / (ms - last.ms) / 1000);
      else throughput.gap(line);
      last = { bytes, ms };
    },
    over(bytes, ms) {
      throughput.gap(line);
      last = undefined;
      if (bytes > 0 && ms > 0) {
        const rate = bytes / ms / 1000;
        $(`${id}-now`).textContent = `${rate.toFixed(1)} MB/s`;
        document.body.dataset[id] = rate;
      }
    },
  };
}

function useBulk(channel) {
  bulk = channel;
  bulk.binaryType = "arraybuffer";
  watch(channel);
  channel.addEventListener("open", () => usable(true));
  if (channel.readyState === "open") usable(true);
  const up = run(0, "up"), down = run(1, "down");
  let bytes = 0, first, told;
  channel.onmessage = ({ data }) => {
    const at = performance.now();
    if (typeof data !== "string") {
      if (bytes === 0) { first = at; told = at; down.progress(0, 0); }
      bytes += data.byteLength;
      if (at - told >= 100) { told = at; down.progress(bytes, at - first); }
      return;
    }
    const text = JSON.parse(data);
    if (text.received !== undefined) { // of ours
      if (text.over) up.over(text.received, text.ms);
      else up.progress(text.received, text.ms);
      if (text.over) $("send-page").disabled = channel.readyState !== "open";
    } else if (text.over) { // of Go's
      down.over(bytes, at - first);
      bytes = 0;
      $("send-go").disabled = channel.readyState !== "open";
    }
  };
}

$("send-go").onclick = () => {
  $("send-go").disabled = true;
  bulk.send(JSON.stringify({ send: SECONDS }));
};

$("send-page").onclick = async () => {
  $("send-page").disabled = true;
  const channel = bulk;
  const data = crypto.getRandomValues(new Uint8Array(16 << 10)); // every browser takes that
  const most = 1 << 20; // queued here; more would only wait
  channel.bufferedAmountLowThreshold = most / 2;
  const end = performance.now() + SECONDS * 1000;
  while (channel.readyState === "open" && performance.now() < end) {
    while (channel.bufferedAmount < most) channel.send(data);
    await new Promise((resolve) => {
      for (const event of ["bufferedamountlow", "close"]) channel.addEventListener(event, resolve, { once: true });
    });
  }
  if (channel.readyState === "open") channel.send(JSON.stringify({ over: true }));
};
