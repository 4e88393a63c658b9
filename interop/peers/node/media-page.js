// What a page sends and how it takes what comes. It asks for no camera: with a
// permission for one, browsers tell the peer other addresses.
import { makeMedia } from './media.js';

function picture(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  let n = 0;
  const timer = setInterval(() => {
    n += 1;
    context.fillStyle = '#888';
    context.fillRect(0, 0, width, height);
    context.fillStyle = `hsl(${n % 360} 100% 50%)`;
    context.fillRect((4 * n) % width, height / 4, 40, height / 2);
  }, 33);
  const [track] = canvas.captureStream(30).getVideoTracks();
  return { track, stop: () => { clearInterval(timer); track.stop(); } };
}

function tone() {
  const context = new AudioContext();
  const oscillator = context.createOscillator();
  const destination = context.createMediaStreamDestination();
  oscillator.connect(destination);
  oscillator.start();
  const [track] = destination.stream.getAudioTracks();
  return { track, stop: () => { track.stop(); context.close(); } };
}

function sink(track) {
  const element = document.createElement(track.kind);
  element.autoplay = true;
  element.srcObject = new MediaStream([track]);
  document.body.append(element);
  return () => { element.srcObject = null; element.remove(); };
}

export const media = makeMedia({ source: (kind, ...size) => (kind === 'audio' ? tone() : picture(...size)), sink });
