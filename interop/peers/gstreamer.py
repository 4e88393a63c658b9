"""GStreamer's webrtcbin. Each request has a thread, as promises block."""

import hashlib
import json
import os
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402, after the versions

LOW = 1 << 20
printing = threading.Lock()


def emit(**event):
    """Tells the laboratory something, in one line."""
    with printing:
        sys.stdout.write(json.dumps({k: v for k, v in event.items() if v is not None}) + "\n")
        sys.stdout.flush()


def limit(n):
    """What a channel has for none is -1."""
    return None if n < 0 else n


class Channel:
    """A channel and what it has got. The first word of its label is what it does."""

    def __init__(self, pc, channel):
        self.channel = channel
        self.pc = pc
        self.label = channel.get_property("label")
        self.bytes = 0
        self.messages = 0
        self.hash = hashlib.sha256()
        self.told = threading.Lock()
        channel.connect("on-message-string", lambda _, text: self.message(text or "", True))
        channel.connect("on-message-data", lambda _, data: self.message(data.get_data() or b"" if data else b"", False))
        channel.connect("on-close", lambda _: emit(event="closed", pc=pc, label=self.label))
        channel.connect("on-open", lambda _: self.opened())
        if channel.get_property("ready-state") == GstWebRTC.WebRTCDataChannelState.OPEN:
            self.opened()

    def opened(self):
        if not self.told.acquire(blocking=False):
            return  # it was told once
        get = self.channel.get_property
        emit(event="open", pc=self.pc, label=self.label, channel=get("id"), ordered=get("ordered"),
             maxRetransmits=limit(get("max-retransmits")), maxPacketLifeTime=limit(get("max-packet-lifetime")))

    def message(self, data, text):
        if self.label.startswith("echo"):
            # What is empty has to be nothing.
            if text:
                self.channel.emit("send-string", data or None)
            else:
                self.channel.emit("send-data", GLib.Bytes.new(data) if data else None)
            return
        data = data.encode() if text else data
        self.bytes += len(data)
        self.messages += 1
        self.hash.update(data)


def promised(element, signal, *args):
    """Waits for what an element promises."""
    promise = Gst.Promise.new()
    element.emit(signal, *args, promise)
    promise.wait()
    reply = promise.get_reply()
    error = reply.get_value("error") if reply and reply.has_field("error") else None
    if error:
        raise RuntimeError(error.message)
    return reply


def description(kind, sdp):
    _, message = GstSdp.SDPMessage.new_from_text(sdp)
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


class Connection:
    """One webrtcbin; each request is the method of its name."""

    def __init__(self, request):
        self.name = request["pc"]
        self.channels = {}
        self.pipeline = Gst.Pipeline()
        self.bin = Gst.ElementFactory.make("webrtcbin")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.bin)
        self.ice = self.bin.get_property("ice-agent")  # which would go without a reference
        self.bin.connect("on-ice-candidate", self.candidate_found)
        self.bin.connect("on-data-channel", lambda _, channel: self.adopt(channel))
        self.bin.connect("notify::connection-state", lambda *_: emit(event="state", pc=self.name, state=self.current()))
        self.pipeline.set_state(Gst.State.PLAYING)

    def current(self):
        return self.bin.get_property("connection-state").value_nick

    def adopt(self, channel):
        self.channels[channel.get_property("label")] = Channel(self.name, channel)

    def candidate_found(self, _, line, candidate):
        if candidate:
            emit(event="candidate", pc=self.name,
                 candidate={"candidate": candidate, "sdpMid": None, "sdpMLineIndex": line})

    def channel(self, request):
        options = Gst.Structure.new_empty("options")
        for ours, theirs in (("ordered", "ordered"), ("negotiated", "negotiated"), ("maxRetransmits", "max-retransmits"),
                             ("maxPacketLifeTime", "max-packet-lifetime"), ("channel", "id")):
            if ours in request:
                options.set_value(theirs, request[ours])
        channel = self.bin.emit("create-data-channel", request["label"], options)
        if channel is None:
            raise RuntimeError("no channel")
        self.adopt(channel)

    def local(self, made, trickle):
        text = made.sdp.as_text()
        promised(self.bin, "set-local-description", description(made.type, text))
        if trickle:
            return {"sdp": text}
        while self.bin.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            time.sleep(0.005)
        return {"sdp": self.bin.get_property("local-description").sdp.as_text()}

    def offer(self, request):
        if request.get("restart"):
            raise NotImplementedError("webrtcbin has no ICE restart")
        reply = promised(self.bin, "create-offer", None)
        return self.local(reply.get_value("offer"), request.get("trickle"))

    def answer(self, request):
        promised(self.bin, "set-remote-description", description(GstWebRTC.WebRTCSDPType.OFFER, request["sdp"]))
        reply = promised(self.bin, "create-answer", None)
        return self.local(reply.get_value("answer"), request.get("trickle"))

    def accept(self, request):
        promised(self.bin, "set-remote-description", description(GstWebRTC.WebRTCSDPType.ANSWER, request["sdp"]))

    def candidate(self, request):
        init = request["candidate"]
        self.bin.emit("add-ice-candidate", init["sdpMLineIndex"] or 0, init["candidate"])

    def blast(self, request):
        channel = self.channels[request["label"]].channel
        digest, size, chunk = hashlib.sha256(), request["size"], request["chunk"]
        block, sent, messages = os.urandom(chunk), 0, 0
        while sent < size:
            message = (messages.to_bytes(4, "big") + block[4:])[:size - sent]
            digest.update(message)
            while channel.get_property("buffered-amount") > LOW:
                time.sleep(0.001)
            channel.emit("send-data", GLib.Bytes.new(message))
            sent += len(message)
            messages += 1
        return {"bytes": size, "messages": messages, "sha256": digest.hexdigest()}

    def digest(self, request):
        channel = self.channels[request["label"]]
        while channel.bytes < request.get("size", 0):
            time.sleep(0.002)
        return {"bytes": channel.bytes, "messages": channel.messages, "sha256": channel.hash.hexdigest()}

    def state(self, _):
        return {"state": self.current()}

    def close_channel(self, request):
        self.channels[request["label"]].channel.emit("close")

    def close(self, _):
        self.pipeline.set_state(Gst.State.NULL)


def serve(connections, request):
    try:
        result = getattr(connections[request["pc"]], request["do"].replace("-", "_"))(request)
        emit(id=request["id"], **(result or {}))
    except Exception as error:  # whatever it is, the laboratory is told
        emit(id=request["id"], error=f"{type(error).__name__}: {error}")


def main():
    Gst.init(None)
    connections = {}
    emit(event="ready", version=Gst.version_string())
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "new":
            connections[request["pc"]] = Connection(request)
            emit(id=request["id"])
        else:
            threading.Thread(target=serve, args=(connections, request), daemon=True).start()
    os._exit(0)


main()
