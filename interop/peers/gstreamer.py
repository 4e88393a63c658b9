"""GStreamer's webrtcbin. Each request has a thread, as promises block."""

import hashlib
import json
import os
import re
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


# What is sent, up to the packets, whose payload type comes last. Key frames come
# when they are asked for.
SOURCES = {
    "audio": "audiotestsrc is-live=true wave=ticks ! audioresample ! opusenc ! rtpopuspay pt={pt} !"
             " capsfilter caps=application/x-rtp,media=audio,encoding-name=OPUS,payload={pt}",
    "VP8": "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 !"
           " vp8enc deadline=1 keyframe-max-dist=3000 ! rtpvp8pay pt={pt} picture-id-mode=15-bit !"
           " capsfilter caps=application/x-rtp,media=video,encoding-name=VP8,payload={pt}",
    "H264": "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 !"
            " openh264enc gop-size=3000 ! video/x-h264,profile=constrained-baseline ! h264parse !"
            " rtph264pay pt={pt} config-interval=-1 aggregate-mode=zero-latency !"
            " capsfilter caps=application/x-rtp,media=video,encoding-name=H264,payload={pt}",
}
# Where an offer has their payload types. Of H.264 there are several: of one with
# another profile webrtcbin answers that it only receives.
OFFERED = {
    "audio": r"^a=rtpmap:(\d+) opus/",
    "VP8": r"^a=rtpmap:(\d+) VP8/",
    "H264": r"^a=fmtp:(\d+) .*packetization-mode=1;profile-level-id=42e01f",
}
# What takes packets, up to what was decoded.
SINKS = {
    "OPUS": "rtpopusdepay ! opusdec ! audio/x-raw,rate=48000,channels=1",
    "VP8": "rtpvp8depay ! vp8dec",
    "H264": "rtph264depay ! h264parse ! openh264dec",
}


class Connection:
    """One webrtcbin; each request is the method of its name."""

    def __init__(self, request):
        self.name = request["pc"]
        self.channels = {}
        self.wish = []
        self.counted = {"video": 0, "audio": 0}
        self.pipeline = Gst.Pipeline()
        self.bin = Gst.ElementFactory.make("webrtcbin")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.bin)
        self.ice = self.bin.get_property("ice-agent")  # which would go without a reference
        self.bin.connect("on-ice-candidate", self.candidate_found)
        self.bin.connect("on-data-channel", lambda _, channel: self.adopt(channel))
        self.bin.connect("notify::connection-state", lambda *_: emit(event="state", pc=self.name, state=self.current()))
        self.bin.connect("pad-added", self.arrived)
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

    def media(self, request):
        if request.get("rids"):
            raise NotImplementedError("webrtcbin sends no simulcast")
        video = "H264" if request.get("h264") else "VP8"
        self.wish = ["audio"] * request.get("audio", False) + [video] * request.get("video", False)

    def send(self, offered=None):
        """Joins the sources. Those of an answer have the payload types of the offer."""
        for own, kind in enumerate(self.wish, 96):
            found = re.search(OFFERED[kind], offered or "", re.MULTILINE | re.IGNORECASE)
            text = SOURCES[kind].format(pt=found.group(1) if found else own)
            source = Gst.parse_bin_from_description(text, True)
            self.pipeline.add(source)
            source.get_static_pad("src").link(self.bin.request_pad_simple("sink_%u"))
            source.sync_state_with_parent()
        self.wish = []

    def arrived(self, _, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        name = pad.get_current_caps().get_structure(0).get_string("encoding-name")
        sink = Gst.parse_bin_from_description(
            f"queue ! {SINKS[name]} ! fakesink name=end sync=false signal-handoffs=true", True)
        kind = "audio" if name == "OPUS" else "video"
        sink.get_by_name("end").connect("handoff", self.decoded, kind)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def decoded(self, _, buffer, __, kind):
        self.counted[kind] += 1 if kind == "video" else buffer.get_size() // 96  # of a millisecond

    def received(self, _):
        return self.counted

    def offer(self, request):
        self.send()
        if request.get("restart"):
            raise NotImplementedError("webrtcbin has no ICE restart")
        reply = promised(self.bin, "create-offer", None)
        return self.local(reply.get_value("offer"), request.get("trickle"))

    def answer(self, request):
        self.send(request["sdp"])
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
