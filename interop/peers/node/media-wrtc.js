// What @roamhq/wrtc sends and how it takes what comes: it has no devices, and takes
// raw pictures and sound.
import wrtc from '@roamhq/wrtc';
import { makeMedia } from './media.js';

const { RTCAudioSink, RTCAudioSource, RTCVideoSink, RTCVideoSource } = wrtc.nonstandard;

// picture is a bar that moves over grey.
function picture(n, width, height) {
  const data = new Uint8ClampedArray((width * height * 3) / 2).fill(128);
  const left = (4 * n) % (width - 40);
  for (let y = 0; y < height; y += 1) data.fill(235, y * width + left, y * width + left + 40);
  return { width, height, data };
}

// sound is 10 ms of a tone.
function sound(n) {
  const samples = Int16Array.from({ length: 480 }, (_, i) => 8000 * Math.sin(((n * 480 + i) * 2 * Math.PI * 440) / 48000));
  return { samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 };
}

function source(kind, width, height) {
  const from = kind === 'audio' ? new RTCAudioSource() : new RTCVideoSource();
  const track = from.createTrack();
  const begin = performance.now();
  const every = kind === 'audio' ? 10 : 1000 / 30;
  let n = 0;
  const timer = setInterval(() => {
    for (; begin + n * every < performance.now(); n += 1) {
      if (kind === 'audio') from.onData(sound(n));
      else from.onFrame(picture(n, width, height));
    }
  }, 5);
  return { track, stop: () => { clearInterval(timer); track.stop(); } };
}

function sink(track) {
  const to = track.kind === 'audio' ? new RTCAudioSink(track) : new RTCVideoSink(track);
  return () => to.stop();
}

export const media = makeMedia({ source, sink });
