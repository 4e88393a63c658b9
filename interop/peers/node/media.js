// The requests about audio and video of a peer with the W3C's API. It has no
// imports, as w3c.js. A peer gives
//   source(kind, width, height)  a track that sends, and what stops it
//   sink(track)                  shows or plays a track that comes, so that it is
//                                decoded
// Of a picture that is smaller encoders do not make three encodings.
export const makeMedia = ({ source, sink }) => (find) => ({
  async media({ pc: name, audio, video, rids }) {
    const connection = find({ pc: name });
    const { pc } = connection;
    pc.ontrack = ({ track }) => connection.ending.push(sink(track));
    for (const kind of [audio && 'audio', video && 'video'].filter(Boolean)) {
      const { track, stop } = source(kind, rids ? 960 : 320, rids ? 540 : 240);
      connection.ending.push(stop);
      if (rids) {
        pc.addTransceiver(track, {
          direction: 'sendonly',
          sendEncodings: rids.map((rid, i) => ({ rid, scaleResolutionDownBy: 2 ** (rids.length - 1 - i) })),
        });
      } else {
        pc.addTrack(track);
      }
    }
  },

  // received is what its statistics say.
  async received(request) {
    const counted = { video: 0, audio: 0, repaired: 0 };
    (await find(request).pc.getStats()).forEach((report) => {
      if (report.type !== 'inbound-rtp') return;
      counted.repaired += report.retransmittedPacketsReceived ?? 0;
      if (report.kind === 'video') counted.video += report.framesDecoded ?? 0;
      if (report.kind === 'audio') {
        // Samples of one channel, at 48 kHz, without those that were made up.
        counted.audio += Math.floor(((report.totalSamplesReceived ?? 0) - (report.concealedSamples ?? 0)) / 48);
      }
    });
    return counted;
  },
});
