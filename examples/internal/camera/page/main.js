// One offer with all candidates, one answer: the signaling of WHIP.
// https://www.rfc-editor.org/rfc/rfc9725
const $ = (id) => document.getElementById(id);
const GATHERING = 3000; // ms that candidates are waited for

let pc, session, watching;

function facts(text) { $("facts").textContent = text; }

// The state of the body is for the style and for tests.
function state(name) { document.body.dataset.state = name; }

async function start() {
  $("start").hidden = true;
  facts("Asking for the camera.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 480 } });
  $("own").srcObject = stream;
  pc = new RTCPeerConnection();
  pc.onconnectionstatechange = () => {
    state(pc.connectionState);
    if (["failed", "closed"].includes(pc.connectionState)) over("The program has ended the connection.");
  };
  pc.ontrack = ({ track }) => {
    if (!$("back").srcObject) $("back").srcObject = new MediaStream();
    $("back").srcObject.addTrack(track);
    $("returned").hidden = false;
  };
  for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendrecv", streams: [stream] });
  await pc.setLocalDescription();
  await gathered();
  const response = await fetch("/whip", {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${response.status}: ${text}`);
  session = response.headers.get("Location");
  await pc.setRemoteDescription({ type: "answer", sdp: text });
  // The program may end it gracefully, which the browser tells of the transport alone.
  const { transport } = pc.getSenders()[0];
  transport.onstatechange = () => transport.state === "closed" && over("The program has ended the connection.");
  $("stop").hidden = false;
  facts("Connecting.");
  watching = setInterval(() => count().catch(fail), 250);
}

function gathered() {
  return new Promise((done) => {
    const look = () => pc.iceGatheringState === "complete" && done();
    pc.addEventListener("icegatheringstatechange", look);
    setTimeout(done, GATHERING);
    look();
  });
}

// count tells what the browser has encoded, and decoded of what came back.
async function count() {
  if (!pc) return;
  let sent = 0, back = 0, sound = 0;
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === "outbound-rtp" && entry.kind === "video") sent += entry.framesEncoded ?? 0;
    if (entry.type === "inbound-rtp" && entry.kind === "video") back += entry.framesDecoded ?? 0;
    if (entry.type === "inbound-rtp" && entry.kind === "audio") sound += entry.packetsReceived ?? 0;
  }
  Object.assign(document.body.dataset, { sent, back, sound });
  facts(`${sent} frames sent` + ($("back").srcObject ? `, ${back} came back` : ""));
}

// end tells the program first: it reads to the end, and then there is no connection
// to be missed.
async function end() {
  const ends = session;
  session = undefined;
  clearInterval(watching);
  if (ends) await fetch(ends, { method: "DELETE", keepalive: true });
  over("Stopped.");
}

function over(text) {
  if (!pc) return;
  clearInterval(watching);
  pc.close();
  pc = session = undefined;
  for (const track of $("own").srcObject?.getTracks() ?? []) track.stop();
  $("stop").hidden = true;
  facts(`${text} The program has ended too.`);
  state("over");
}

function fail(error) {
  over("Failed.");
  state("failed");
  facts(`Failed: ${error}`);
}

$("start").onclick = () => start().catch(fail);
$("stop").onclick = () => end().catch(fail);
// A page that is left has no time to wait.
addEventListener("pagehide", () => session && fetch(session, { method: "DELETE", keepalive: true }));
state("new");
