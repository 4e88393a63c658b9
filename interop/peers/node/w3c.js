// What every peer with the W3C's RTCPeerConnection does, in Node and in a page.
// It has no imports, so that a page can load it as it is.

// A channel's behavior is the first word of its label: "echo" sends back what it
// gets, "sink" counts and hashes it.
const LOW = 1 << 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const bytesOf = (data) => (ArrayBuffer.isView(data)
  ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  : new Uint8Array(data));

// limit of a channel. @roamhq/wrtc has 65535 where there is none.
const limit = (n) => (n === null || n === 65535 ? undefined : n);

// makePeer returns the function that does what a request asks for.
//   emit(event)  tells the laboratory what has happened
//   hasher()     has update(bytes) and digest(), which may be a promise of hex
//   random(n)    is n random bytes
//   blind        says that channels which the peer has announced do not tell how
//                reliable they are
//   media(find)  are the requests about audio and video, if it has any: see media.js
export function makePeer({ RTCPeerConnection, emit, hasher, random, blind = false, media = () => ({}) }) {
  const connections = new Map();

  function adopt(connection, channel, announced) {
    const record = { channel, bytes: 0, messages: 0, hash: hasher(), early: [] };
    connection.channels.set(channel.label, record);
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => {
      if (channel.label.startsWith('echo')) {
        // Chromium may hand out a message before it says that the channel is open,
        // and will not send until then.
        if (channel.readyState === 'connecting') record.early.push(data);
        else channel.send(data);
        return;
      }
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : bytesOf(data);
      record.bytes += bytes.length;
      record.messages += 1;
      record.hash.update(bytes);
    };
    const opened = () => {
      if (record.opened) return;
      record.opened = true;
      const event = { event: 'open', pc: connection.name, label: channel.label, channel: channel.id };
      if (!announced || !blind) {
        event.ordered = channel.ordered;
        event.maxRetransmits = limit(channel.maxRetransmits);
        event.maxPacketLifeTime = limit(channel.maxPacketLifeTime);
      }
      emit(event);
      record.early.splice(0).forEach((data) => channel.send(data));
    };
    channel.onopen = opened;
    channel.onclose = () => emit({ event: 'closed', pc: connection.name, label: channel.label });
    if (channel.readyState === 'open') opened();
  }

  async function gathered(pc) {
    while (pc.iceGatheringState !== 'complete') await sleep(5);
  }

  // local applies our description and returns its text, with the candidates
  // unless they are to trickle.
  async function local(connection, description, trickle) {
    const { pc } = connection;
    await pc.setLocalDescription(description);
    if (trickle) return { sdp: description.sdp };
    await gathered(pc);
    return { sdp: pc.localDescription.sdp };
  }

  const find = ({ pc }) => {
    const connection = connections.get(pc);
    if (!connection) throw new Error(`no connection ${pc}`);
    return connection;
  };

  const channelOf = (request) => {
    const record = find(request).channels.get(request.label);
    if (!record) throw new Error(`no channel ${request.label}`);
    return record;
  };

  const requests = {
    new({ pc: name, iceServers = [], relay = false }) {
      const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: relay ? 'relay' : 'all' });
      const connection = { name, pc, channels: new Map(), ending: [] };
      connections.set(name, connection);
      pc.onicecandidate = ({ candidate }) => {
        if (!candidate?.candidate) return;
        emit({
          event: 'candidate',
          pc: name,
          candidate: {
            candidate: candidate.candidate,
            sdpMid: candidate.sdpMid ?? null,
            sdpMLineIndex: candidate.sdpMLineIndex ?? null,
          },
        });
      };
      pc.onconnectionstatechange = () => emit({ event: 'state', pc: name, state: pc.connectionState });
      pc.ondatachannel = ({ channel }) => adopt(connection, channel, true);
    },

    channel(request) {
      const options = {};
      for (const key of ['ordered', 'maxRetransmits', 'maxPacketLifeTime', 'negotiated']) {
        if (request[key] !== undefined) options[key] = request[key];
      }
      if (request.channel !== undefined) options.id = request.channel;
      const connection = find(request);
      adopt(connection, connection.pc.createDataChannel(request.label, options), false);
    },

    async offer(request) {
      const connection = find(request);
      const offer = await connection.pc.createOffer(request.restart ? { iceRestart: true } : {});
      return local(connection, offer, request.trickle);
    },

    async answer(request) {
      const connection = find(request);
      await connection.pc.setRemoteDescription({ type: 'offer', sdp: request.sdp });
      return local(connection, await connection.pc.createAnswer(), request.trickle);
    },

    async accept(request) {
      await find(request).pc.setRemoteDescription({ type: 'answer', sdp: request.sdp });
    },

    async candidate(request) {
      await find(request).pc.addIceCandidate(request.candidate);
    },

    // blast sends size bytes in messages of chunk bytes, at the pace that the
    // channel's buffer allows.
    async blast(request) {
      const { channel } = channelOf(request);
      const hash = hasher();
      const block = random(request.chunk);
      let messages = 0;
      for (let sent = 0; sent < request.size; messages += 1) {
        const message = block.slice(0, Math.min(request.chunk, request.size - sent));
        new DataView(message.buffer, message.byteOffset).setUint32(0, messages);
        hash.update(message);
        while (channel.bufferedAmount > LOW) await sleep(1);
        channel.send(message);
        sent += message.length;
      }
      return { bytes: request.size, messages, sha256: await hash.digest() };
    },

    // digest waits until a sink has got so many bytes.
    async digest(request) {
      const record = channelOf(request);
      while (record.bytes < request.size) await sleep(2);
      return { bytes: record.bytes, messages: record.messages, sha256: await record.hash.digest() };
    },

    state: (request) => ({ state: find(request).pc.connectionState }),

    'close-channel': (request) => { channelOf(request).channel.close(); },

    async close(request) {
      const connection = find(request);
      connection.ending.splice(0).forEach((stop) => stop());
      await connection.pc.close();
    },

    ...media(find),
  };

  return async (request) => {
    try {
      const result = await requests[request.do](request);
      emit({ id: request.id, ...result });
    } catch (error) {
      emit({ id: request.id, error: String(error?.message ?? error) });
    }
  };
}
