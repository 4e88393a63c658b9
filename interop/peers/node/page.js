// What a page needs to be a peer: w3c.js, and the same parts as stdio.js has for
// Node. The driver of the browser gives it a function that takes a line of text.
import { media } from './media-page.js';
import { makePeer } from './w3c.js';

// hasher keeps what it gets, as the browser's own digest takes it all at once.
const hasher = () => {
  const parts = [];
  return {
    update: (bytes) => parts.push(bytes.slice()),
    digest: async () => {
      const all = new Uint8Array(await new Blob(parts).arrayBuffer());
      const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
      return Array.from(sum, (b) => b.toString(16).padStart(2, '0')).join('');
    },
  };
};

const random = (n) => {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i += 65536) crypto.getRandomValues(bytes.subarray(i, Math.min(n, i + 65536)));
  return bytes;
};

export const start = (print) => makePeer({
  RTCPeerConnection, emit: (object) => print(JSON.stringify(object)), hasher, random, media,
});
