"""aiortc: an implementation in Python, on asyncio."""

import asyncio
import hashlib
import json
import os
import random
import sys

import aiortc
import numpy
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

LOW = 1 << 20
NOISE = [numpy.random.randint(100, 150, (360, 320), dtype=numpy.uint8) for _ in range(8)]


def emit(**event):
    """Tells the laboratory something, in one line."""
    sys.stdout.write(json.dumps({k: v for k, v in event.items() if v is not None}) + "\n")
    sys.stdout.flush()


class Channel:
    """A channel and what it has got. The first word of its label is what it does."""

    def __init__(self, pc, channel):
        self.channel = channel
        self.bytes = 0
        self.messages = 0
        self.hash = hashlib.sha256()

        def opened():
            emit(event="open", pc=pc, label=channel.label, channel=channel.id, ordered=channel.ordered,
                 maxRetransmits=channel.maxRetransmits, maxPacketLifeTime=channel.maxPacketLifeTime,
                 protocol=channel.protocol)

        channel.on("message", self.message)
        channel.on("close", lambda: emit(event="closed", pc=pc, label=channel.label))
        if channel.readyState == "open":
            opened()
        else:
            channel.on("open", opened)

    def message(self, data):
        if self.channel.label.startswith("echo"):
            # aiortc hands out what overtakes the acknowledgement of an unordered
            # channel, which it will not send on before that.
            if self.channel.readyState == "open":
                self.channel.send(data)
            else:
                self.channel.once("open", lambda: self.channel.send(data))
            return
        data = data.encode() if isinstance(data, str) else data
        self.bytes += len(data)
        self.messages += 1
        self.hash.update(data)


class Picture(VideoStreamTrack):
    """A picture of noise: of one that never changes, frames have next to nothing."""

    async def recv(self):
        frame = VideoFrame.from_ndarray(NOISE[random.randrange(len(NOISE))], format="yuv420p")
        frame.pts, frame.time_base = await self.next_timestamp()
        return frame


class Connection:
    """One RTCPeerConnection; each request is the method of its name."""

    def __init__(self, name, request):
        servers = [RTCIceServer(**server) for server in request.get("iceServers", [])]
        self.name = name
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.channels = {}
        self.counted = {"video": 0, "audio": 0}
        self.counting = set()
        self.pc.on("connectionstatechange",
                   lambda: emit(event="state", pc=name, state=self.pc.connectionState))
        self.pc.on("datachannel", self.adopt)
        self.pc.on("track", self.count)

    def adopt(self, channel):
        self.channels[channel.label] = Channel(self.name, channel)

    async def channel(self, request):
        options = {key: request[key] for key in ("ordered", "maxRetransmits", "maxPacketLifeTime", "negotiated")
                   if key in request}
        if "channel" in request:
            options["id"] = request["channel"]
        self.adopt(self.pc.createDataChannel(request["label"], **options))

    async def media(self, request):
        if request.get("rids"):
            raise NotImplementedError("aiortc has no simulcast")
        if request.get("audio"):
            self.pc.addTrack(AudioStreamTrack())
        if request.get("video"):
            self.pc.addTrack(Picture())

    def count(self, track):
        task = asyncio.ensure_future(self.decoded(track))
        self.counting.add(task)  # which nobody else holds
        task.add_done_callback(self.counting.discard)

    async def decoded(self, track):
        """Counts what comes out of the decoder: frames of video, milliseconds of audio."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return  # the track has ended
            self.counted[track.kind] += 1 if track.kind == "video" else frame.samples * 1000 // frame.sample_rate

    async def received(self, _):
        return self.counted

    async def offer(self, request):
        if request.get("restart"):
            raise NotImplementedError("aiortc has no ICE restart")
        # aiortc gathers within this call, and so never trickles by itself.
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"sdp": self.pc.localDescription.sdp}

    async def answer(self, request):
        await self.pc.setRemoteDescription(RTCSessionDescription(request["sdp"], "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return {"sdp": self.pc.localDescription.sdp}

    async def accept(self, request):
        await self.pc.setRemoteDescription(RTCSessionDescription(request["sdp"], "answer"))

    async def candidate(self, request):
        init = request["candidate"]
        candidate = candidate_from_sdp(init["candidate"].removeprefix("candidate:"))
        candidate.sdpMid = init["sdpMid"]
        candidate.sdpMLineIndex = init["sdpMLineIndex"]
        await self.pc.addIceCandidate(candidate)

    async def blast(self, request):
        channel = self.channels[request["label"]].channel
        digest, size, chunk = hashlib.sha256(), request["size"], request["chunk"]
        block, sent, messages = os.urandom(chunk), 0, 0
        while sent < size:
            message = (messages.to_bytes(4, "big") + block[4:])[:size - sent]
            digest.update(message)
            while channel.bufferedAmount > LOW:
                await asyncio.sleep(0.001)
            channel.send(message)
            sent += len(message)
            messages += 1
        return {"bytes": size, "messages": messages, "sha256": digest.hexdigest()}

    async def digest(self, request):
        channel = self.channels[request["label"]]
        while channel.bytes < request.get("size", 0):
            await asyncio.sleep(0.002)
        return {"bytes": channel.bytes, "messages": channel.messages, "sha256": channel.hash.hexdigest()}

    async def state(self, _):
        return {"state": self.pc.connectionState}

    async def close_channel(self, request):
        self.channels[request["label"]].channel.close()

    async def close(self, _):
        await self.pc.close()


async def serve(connections, request):
    try:
        if request["do"] == "new":
            connections[request["pc"]] = Connection(request["pc"], request)
            result = None
        else:
            method = getattr(connections[request["pc"]], request["do"].replace("-", "_"))
            result = await method(request)
        emit(id=request["id"], **(result or {}))
    except Exception as error:  # whatever it is, the laboratory is told
        emit(id=request["id"], error=f"{type(error).__name__}: {error}")


async def main():
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    connections, running = {}, set()
    emit(event="ready", version=f"aiortc {aiortc.__version__}")
    while line := await reader.readline():
        task = asyncio.ensure_future(serve(connections, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    os._exit(0)


asyncio.run(main())
