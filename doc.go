// Package webrtc is a WebRTC transport library in the style of ORTC: a program
// starts ICE, DTLS, SCTP, data channels, senders and receivers of audio and video
// one by one, with signaling of its own, or has a PeerConnection do it, by offer
// and answer in SDP. The names are those of pion/webrtc. Every call that can wait
// takes a context, every end has a cause, and what was started can be waited for.
//
// This comment is the contract of all objects together. The comments of types
// and methods do not repeat it.
//
// # Data flow
//
// Each constructor takes the layer below:
//
//	signaling: parameters, candidates
//	  ICEGatherer -> ICETransport -> DTLSTransport -> SCTPTransport -> DataChannel
//	                                              -> RTPSender <- TrackLocal
//	                                              -> RTPReceiver -> TrackRemote
//	  PeerConnection: one of each transport, with SDP for the signaling
//
// These make one stack. An [ICETransport] owns the [ICEGatherer] given to its
// constructor or to its start, and closes it with itself; closing the gatherer
// ends the transport. An ICETransport carries one [DTLSTransport], and that one
// [SCTPTransport], ever. A [DataChannel] belongs to its SCTPTransport, also
// when it is made before the association is there; it is opened then. Any number of
// senders and receivers stand on one DTLSTransport, see "Media".
//
// What a layer above has to know comes from return values, from the Context of
// the layer below and its cause, and from events. Signaling is the program's:
// it carries [ICEParameters], [DTLSParameters], [SCTPCapabilities] and
// candidates to the peer, in any order and encoding; their JSON is that of
// pion/webrtc and of the W3C text, but for what stands under "Values" below.
//
// # Cancellation
//
// A call that can wait has a form that takes a context: StartContext,
// GatherContext, Restart, AcceptDataChannel, OpenDataChannel, SendContext,
// SendTextContext, ReceiveContext, ReadMessage, AwaitState, Shutdown and Run,
// AcceptContext of a [Listener], ReadContext, ReadRTPContext, ReadRTCPContext,
// WriteRTPContext and WriteSampleContext of media, and of a [PeerConnection] also
// Connect, SetLocalDescriptionContext and SetRemoteDescriptionContext. Start is
// StartContext without a limit of the caller's. Gather, Send,
// SetLocalDescription and SetRemoteDescription do not wait at all, but for Send
// with DataChannelSettings.Detach and BlockWrite.
//
//   - Refusals come first. A bad argument or a wrong state is an error and
//     changes nothing, whatever the context is.
//   - The context bounds the call, and not the life of what it has made: once
//     StartContext has returned nil, its context means nothing any more.
//   - If the context ends before a start has succeeded, also when it had ended
//     before the call, the transport is closed. When the call returns, our own
//     sockets and goroutines are gone, but for what releases a TURN allocation,
//     the protocol modules have been told to end, and the peer has been told
//     where the protocol has a way: DTLS sends an alert, SCTP an ABORT. A handler
//     that runs is not waited for.
//   - A start has one outcome. If its context may have ended it, it never
//     reports success.
//   - The error matches both ctx.Err() and context.Cause(ctx) under errors.Is.
//   - The call returns within milliseconds of the context's end, whatever the peer,
//     a server or a handler does.
//   - No start waits for ever. DTLS and SCTP have a start timeout of 30 s each
//     in the settings ([ErrHandshakeTimeout]); ICE ends when no pair works
//     ([ErrICEFailed]).
//
// Unlike a start, GatherContext does not close its transport: at the end of its
// context gathering is complete with what was found, and the transport lives.
// The contexts of a PeerConnection's calls, Run's apart, end no transport either:
// Connect gives up waiting, and the connection goes on.
//
// # Life
//
// ICETransport, DTLSTransport, SCTPTransport and PeerConnection have the same
// methods for it; PeerConnection's Stop is Close:
//
//   - Context is done when the transport has ended; its cause says why. An end
//     goes upwards: with ICE end DTLS, SCTP and the channels, with the same
//     cause. It never goes downwards: stopping DTLS or SCTP leaves the layer
//     below as it is.
//   - Run blocks until its context or the transport ends, closes what is left,
//     and returns when every goroutine and every handler, of the layers above
//     too, has finished. It may be called before the start, more than once, and
//     after the end.
//   - Stop is immediate and idempotent, and waits for no handler.
//   - Shutdown is graceful: what is queued is sent, SCTP shuts down, DTLS sends
//     close_notify. When its context ends it aborts, and says what was lost. It
//     waits for no handler. The peer may keep the acknowledgement of a last single
//     packet back for 200 ms.
//   - AwaitState blocks until one of the given states is reached, or the end.
//
// GracefulStop and GracefulClose are pion's: Shutdown without a limit, then
// waiting for handlers. A DataChannel has Close, GracefulClose, Shutdown and
// Context; an ICEGatherer Close and GracefulClose; an RTPSender and an RTPReceiver
// Context, Run, Stop and Shutdown.
//
// A gatherer has sockets and a goroutine, so it has to be closed, or given to a
// transport that is stopped; a PeerConnection has one from the beginning. Nothing
// else has to be closed: what was made but never started holds nothing.
//
// # Ordering
//
// The events of one stack, which are states, candidates, errors of their servers
// and pairs of ICE, states of DTLS, OnError and OnClose of SCTP, and the states of a
// PeerConnection, share one queue. They are
// delivered one at a time, in the order of the changes across all layers, by a
// goroutine that holds no lock. A slow handler delays the events behind it, and
// nothing else: no packet, no call, no Stop, no channel. The state that a
// handler reads is the event's or a later one. Closed comes once and last;
// failed may come before it.
//
// The callbacks of a channel never run on that queue. OnOpen, OnDial,
// OnDataChannel, OnDataChannelOpened, OnTrack and OnNegotiationNeeded each get a
// goroutine for the call, and may never return. The messages of one channel come to OnMessage in order and
// one at a time; OnError and then OnClose come after the last of them, unless
// OnMessage is set after the end. OnBufferedAmountLow has a queue of its own for
// each channel. These queues have a goroutine only while something waits in
// them.
//
// Not ordered against each other are: the callbacks of two channels; a
// channel's OnOpen, its OnMessage and its OnBufferedAmountLow; anything of a
// channel and the events of the stack; an event and the return of the call that
// has caused it.
//
// Every method but Run, GracefulStop and GracefulClose may be called from every
// handler. Filters of addresses and interfaces, and BindingRequestHandler, are
// not handlers: they must not block or call back. A handler may be nil and may
// be set at any time. Nothing is lost when it is set late: messages and channels
// wait, within bounds, and OnOpen, OnDial and OnClose are called at once if they
// were due. States and candidates are not repeated; State, AwaitState and
// GetLocalCandidates tell them.
//
// # Closing
//
// How an end is told:
//
//	end                           Run returns     cause of Context   reads
//	                                              and of calls
//	own Stop, Close or Shutdown   nil             ErrClosed          ErrClosed
//	the context of Run            its error and   the same           the same
//	                              its cause
//	the peer's graceful close     io.EOF          io.EOF             io.EOF
//	(DTLS, SCTP, channels)
//	failure, abort, alert         that error      that error         that error
//
// An alert counts as one during the handshake. Of a connected peer's fatal alert
// the DTLS module tells only that the connection has ended: that is io.EOF.
//
// ICE has no message that closes. When the peer has closed gracefully, DTLS,
// SCTP and the channels end with io.EOF at once, but our ICETransport lives
// until it is stopped, or until it fails with [ErrICEFailed], after about 30 s
// of silence by default. Whoever reads io.EOF calls ICETransport.Stop. A
// PeerConnection does that by itself: it ends with its DTLS transport, unless
// DTLSSettings.KeepOpenOnClose is set, with io.EOF after the peer's Shutdown and
// with the abort after its Close. Without data channels nothing is aborted, and the
// peer's Close is io.EOF, too.
//
// States only move forward, but for ICE's connected and disconnected, which
// alternate, and what a restart takes back to checking; a gatherer gathers anew
// then, and when the network has changed if it gathers continually.
//
// The first cause wins. SCTPTransport.Stop sends an ABORT, after which the
// peer's channels have an error; SCTPTransport.Shutdown lets the peer read to
// the end. Stopping ICE ends what stands on it first, and that tells the peer.
//
// A failed ICE transport ends at once, with what stands on it, unless
// ICESettings.FailedGrace says otherwise. That of a PeerConnection waits 30 s for
// a restart.
//
// # Data channels
//
// Sending. What is sent is queued until the peer has acknowledged it; an error
// means that nothing of the message was queued. SendContext waits while its
// channel has DataChannelSettings.MaxBuffered queued, 1 MiB by default, or all
// channels together MaxAssociationBuffered, 16 MiB. Send does not wait: at the
// second limit it fails with [ErrBufferFull]. A message above the peer's
// maximum, which GetCapabilities of a connected SCTPTransport returns, is
// [ErrMessageTooLarge]. Close of a channel and every Shutdown deliver what is
// queued; if the context of a Shutdown ends before that, a [*DataLostError] says
// how much the peer has not acknowledged. Stop drops what is queued, and that of
// an SCTPTransport returns such an error if some of it had not even been sent;
// [SCTPTransport.Stats] counts what was lost.
//
// Receiving. A channel is received from in one way at a time:
//
//   - by ReceiveContext and ReadMessage. Each message goes to one of those who
//     wait. ReadMessage puts it into the caller's buffer, and allocates nothing
//     if a message is there and the buffer has room for it;
//   - by OnMessage, until its handler is nil again;
//   - by a connection that NetConn or MessageConn makes, for good;
//   - by what Detach returns, as pion programs know it. That needs
//     SettingEngine.DetachDataChannels, and then is the only way for all
//     channels of the API.
//
// ReceiveContext and ReadMessage give way to the others, with [ErrInvalidState].
// While OnMessage has a handler there can be no connection, and with a
// connection OnMessage does nothing.
//
// A message that nobody has taken stays in the association's receive window,
// SCTPSettings.MaxReceiveBufferSize. The window is the back-pressure: when it is
// full, or DataChannelSettings.MaxUnreadMessages wait, the peer has to wait, in
// SendContext if it uses this package. There is one window for all channels, so
// that one which nobody reads comes to hold up all others; the Unread counters
// of [DataChannel.Stats] tell which one that is. What the peer had sent before
// it closed a channel can still be received. It does not count in the window;
// while more than 1 MiB of it waits, further channels are not seen closed. A
// message above SCTPSettings.MaxMessageSize ends its channel with
// ErrMessageTooLarge.
//
// Accepting. The peer's channels come to AcceptDataChannel or to a [Listener],
// or, while it has a handler, to OnDataChannel; AcceptDataChannel is
// ErrInvalidState then. At most DataChannelSettings.AcceptBacklog wait. A stream
// that comes on top of that or of MaxChannels, whose first message is no valid
// DATA_CHANNEL_OPEN, or has not come whole within OpenTimeout, is reset by
// itself: the transport and all other channels go on.
//
// Connections. [DataChannel.NetConn] is a stream of bytes over an ordered,
// reliable channel, [DataChannel.MessageConn] keeps messages apart and is for
// every channel. [SCTPTransport.Listen] makes a net.Listener, whose connections
// are NetConns of the channels that the peer opens. Unlike TCP, a channel cannot
// close one direction alone, and has no window to itself; examples/tunnel has a
// small protocol that adds both.
//
// Priorities. DataChannelParameters.Priority is a weight. Of channels that have
// something queued each gets its share of the path, in bytes. The side that
// accepts a channel gives its own direction the same weight. That works only if
// both peers offer to interleave messages, as this package does by default;
// [SCTPTransport.Metadata] tells. Otherwise messages are sent whole, one after
// the other.
//
// Limits are fields of SCTPSettings and DataChannelSettings, with units and
// defaults in their comments.
//
// Handshake in signaling (SNAP). With SCTPSettings.SNAP, GetCapabilities has our
// INIT chunk, in SCTPInit. If it was called before the start, and the peer's
// capabilities have a chunk too, nothing is negotiated on the path: the transport
// is connected and its channels send at once, instead of after two round trips,
// and StartContext returns with the peer's first packet. A peer that begins a
// handshake all the same gets one, with the same association: what was sent
// before is sent again. If its INIT asks for other extensions or numbers of
// streams than the one that it had signaled, the start fails.
//
// What of pion/sctp v1.11.3 is on or off, there and here:
//
//	                               default there      here
//	loss detection by time         on                 on; RACKMinRTTWindow,
//	  (RACK)                                          RACKReorderingWindowFloor
//	probes for a lost tail (TLP)   on                 on; RACKWorstCaseDelayedAck
//	limits of bursts after a loss  on                 on, no setting
//	  (TLR)
//	interleaving (RFC 8260)        offered            offered; DisableInterleaving
//	order of interleaved streams   weighted, fair,    our own, weights
//	                               fixed weights      at any time
//	zero checksum (RFC 9653)       off                offered; DisableZeroChecksum
//	partial reliability            offered            offered, no setting
//	  (RFC 3758)
//	retransmission timeout,        1 s                1 s, no setting
//	  first and least
//	retransmission timeout, most   60 s               60 s; RTOMax
//	receive window                 1 MiB              6 MiB; MaxReceiveBufferSize
//	limit of what a stream holds   off                off, as it aborts the
//	  that is not complete                            association: see MaxMessageSize
//	                                                  and MaxUnreadMessages
//	handshake in signaling         off                off; SNAP
//
// # Media
//
// The media of a [DTLSTransport] is SRTP with keys of its handshake, by the first of
// SRTPSettings.ProtectionProfiles that the peer has too. It is made when the first
// sender or receiver is started; a transport without pays nothing for it. A DTLS
// client that offers no SRTP ends senders and receivers with
// [ErrNoSRTPProtectionProfile], and data channels go on. With one that has none of
// our profiles, or with a server that takes none, the handshake fails.
//
// Sending. A track, a [TrackLocal], writes packets to every [RTPSender] that has it,
// each with its own SSRC and the payload type that its peer knows the codec by.
// Writing does not wait: packets are lost before the transport is connected, while
// the peer does not want them, and when the path does not take them, as packets are
// on the way. WriteRTPContext and WriteSampleContext wait first until somebody can
// be sent to, and end with the last sender that has the track. The header extensions of
// a packet are sent as they are. Those of a packet that was received name the stream and
// number the packets of the way here, by the identifiers of that way: who forwards it
// takes them off, as examples/reflect does. Two senders of a transport cannot have one SSRC. ReplaceTrack changes
// what a sender sends without the peer's doing.
//
// Receiving. Packets that are authentic wait in the queue of their stream until
// [TrackRemote.ReadContext] or ReadRTPContext takes them. Nobody has to read: of
// each stream SRTPSettings.MaxQueuedPackets wait, of all together MaxQueuedBytes,
// and what is beyond that costs the stream with the most its oldest packets. A
// packet belongs to a stream by its SSRC, or, of an SSRC that was not signaled, by
// the RID and the MID in its header, or by its payload type. At most
// SRTPSettings.MaxUnsignaledStreams of those have state, and none before a packet of
// it was authentic. Packets that are malformed, forged, repeated, of a payload type
// that was not agreed on or of nobody's stream are dropped and counted in
// [DTLSTransport.Stats].
//
// Repair. Retransmissions (RFC 4588) are read as the packets that they repeat. What
// asks for them, and answers the peer's requests, are interceptors. These see of a
// peer's NACKs what asks for up to 4,096 packets at once, and 4,096 a second.
//
// Interceptors (github.com/pion/interceptor) see RTP when it is written and read, and
// RTCP when it comes, whether the program reads it or not. Each transport has a chain
// of its own, from the API's registry: NACK, reports, transport-wide feedback and
// statistics by default. Their goroutines end with the transport.
//
// RTCP that concerns a stream waits for ReadRTCP of its sender or receiver, the newest
// 64 packets; [DTLSTransport.WriteRTCP] sends some, as a request for a key frame.
//
// Ends. A sender and a receiver end with their transport, with its cause, or by Stop,
// which leaves the transport as it is. When the peer of a PeerConnection has taken a
// track back, reads of it return io.EOF, and its transceiver has a new receiver for
// what may come.
//
// In a [PeerConnection] a transceiver is a sender and a receiver that share a section of
// the descriptions. AddTrack, AddTransceiverFromTrack and AddTransceiverFromKind make
// one, and the peer's offer does for each section that no waiting one fits. A change of
// what is wanted makes a negotiation needed. OnTrack is called with the first packet
// of a stream. With simulcast a receiver has a track for each RID.
//
// # Gathering
//
// An [ICEGatherer] tells host candidates as they are found on the machine, and
// asks STUN and TURN servers side by side: each URL for a reflexive and a
// relayed address as far as it has them, over IPv4 and IPv6. All that this takes,
// from the lookup of the name over dialling, TLS or DTLS to the answer, is over
// after ICESettings.STUNGatherTimeout or TURNGatherTimeout, 5 s each, and ends
// with the gatherer or the context of GatherContext. Gathering is complete when
// all have answered or their time is over; no pair and no other call waits for
// that. 32 questions are asked at a time.
//
// A server that fails harms no other. OnLocalCandidateError tells its URL, the
// step, how long it took and why; GetServerResults tells how all went. A
// GatherContext whose context ends first returns the same in its error.
//
//	URL                         asked for              over
//	stun:                       reflexive              UDP
//	turn:, also transport=udp   reflexive and relayed  UDP
//	turn:?transport=tcp         relayed                TCP
//	turns:, also transport=tcp  relayed                TLS
//	turns:?transport=udp        relayed                DTLS
//	stuns:                      nothing, an error
//
// A relay's writes never wait for its server: what has no permission yet, or no
// room in the connection to it, waits in a queue of 256 packets, of 1,024 over
// TCP, and is lost above that. Allocations, permissions and channels are
// refreshed, and the allocation is released with the gatherer, or after a
// restart with the agent of before: the request is sent as it closes, and its
// socket stays for the answer, half a second at most, which Stop and Close do not
// wait for. Run and Shutdown do.
//
// Pool. With Configuration.ICECandidatePoolSize, or that of ICEGatherOptions,
// gathering begins with the connection or the gatherer, and nothing of it is told
// before SetLocalDescription or Gather: what is there then is told at once. Until
// then reflexive addresses and allocations are kept alive, and SetConfiguration can
// change the servers, of which none that is gone is told. The pool is for the first
// gathering alone, not for restarts.
//
// # Names of the peer
//
// Browsers hide the addresses of their host candidates behind names that end in
// .local, for which they answer by multicast DNS on the link. Such a remote
// candidate takes its place among ICESettings.MaxRemoteCandidates at once. Its
// name is then asked for on the interfaces that candidates are gathered on, for
// 10 s, and the first address that comes back goes to the agent that the candidate
// was for, if the settings do not refuse it. What is not found is logged at debug,
// and no call waits for it. The agent's end, by Stop or because its restart was
// dropped, ends its lookups.
//
// All gatherers of an [API], those of its PeerConnections too, share the sockets
// for that. They are opened at the first name, and closed when the last gatherer
// that had one ends. 8 names of a transport at most, 128 of all, are asked for at a
// time, and a name once at a time. ICESettings.MulticastDNSMode turns this off, or
// hides our addresses as well.
//
// # Restart
//
// [ICETransport.Restart] looks for another path, as after a change of the network:
// a second agent gathers, its parameters and candidates go to the peer, which
// restarts as well, and the peer's come back by SetRemoteParameters and
// AddRemoteCandidate. The pair in use carries data until one of the new agents' has
// been nominated; nothing above notices. A restart that is not answered, that
// finds no path or that another one replaces leaves everything as it was. One
// that comes while the transport is disconnected, or has failed and waits
// (ICESettings.FailedGrace), takes it to checking. What was queued meanwhile is
// sent then: if nothing goes over the new path by itself within 30 ms, what DTLS
// sent last goes once more, since SCTP tries less and less often while there is no
// path.
//
// A PeerConnection restarts by offer: [PeerConnection.RestartICE] makes the next one
// a restart, OfferOptions.ICERestart a single one; the peer's is answered in the
// same way.
//
// # Roaming
//
// With ICESettings.ContinualGathering a gatherer looks at the machine's addresses
// every NetworkMonitorInterval, 2 s: it gathers on those that are new, and
// OnLocalCandidateRemoved tells the candidates of those that are gone. If the
// controlling side has it, the connection changes over to a pair that works, by
// renomination. A client that controls, as the side that offers does, so moves from
// network to network with no signaling at all, which may be gone with the network:
// the peer learns the new address from a check. A device that does not control tells
// its new candidates to its peer, which has the setting too, or it restarts.
//
// # PeerConnection
//
// A [PeerConnection] is one gatherer and one transport of each layer. What a
// program would signal by hand it puts into descriptions, and it starts the
// transports when both descriptions are there. SCTP gives its transports to the
// program, for everything that they can do.
//
// Descriptions. CreateOffer and CreateAnswer make one, SetLocalDescription and
// SetRemoteDescription apply it. Applying is one step: a description that is
// refused, with the line if it cannot be read, changes nothing. An offer of the
// peer's takes back our own that has no answer yet, so that perfect negotiation
// needs no more than to ignore the peer's on the impolite side.
//
// Candidates. With SetLocalDescriptionContext, LocalDescription has them all, and
// none has to be sent by itself. With SetLocalDescription OnICECandidate tells
// them as they are found. Those of the peer's that come before its description
// wait for it.
//
// Connecting. [PeerConnection.Connect] waits for ICE, DTLS and, if data channels
// were negotiated, SCTP, and returns the first failure. ICE checks, the DTLS
// handshake and the first message follow each other without waiting for
// nomination: DTLS starts on the first valid pair, and the SCTP handshake goes
// with the descriptions if both sides have it (SNAP). With whole descriptions the
// offerer's first message is with the answerer 2.5 round trips after the answer
// was with the offerer: half of one for the answerer's check, and two for DTLS.
// The answerer's takes 3.
//
// Audio and video. AddTrack, AddTransceiverFromTrack and AddTransceiverFromKind make
// transceivers: a sender, a receiver, and what the program wants of them. What flows is
// settled by an offer and its answer, and OnNegotiationNeeded tells when that is due.
// An offer of the peer's finds the transceivers that were made for such a section, or
// makes one that receives. A section of whose codecs none is ours is rejected, and a
// transceiver that is stopped, or that the peer rejects, leaves its place in the
// descriptions to the next. OnTrack tells each track with its first packet. When the
// peer takes a track away, reads of it end with io.EOF, and when it sends again there
// is another receiver with another track; negotiations that change neither disturb
// nothing that flows. A track whose codec was not agreed on ends its sender with the
// reason, and SetRemoteDescriptionContext or SetLocalDescriptionContext returns it.
//
// An association that ends by itself, since the peer has stopped SCTP alone, ends
// its channels and not the connection, as in the text.
//
// States are those of the W3C text: ConnectionState and ICEConnectionState are
// what the states of the transports amount to at that moment, however long a
// handler takes.
//
// Errors of the W3C text and what they are here:
//
//	InvalidStateError                ErrInvalidState
//	InvalidModificationError         ErrInvalidModification
//	InvalidAccessError (expired)     ErrCertificateExpired
//	RTCError, sdp-syntax-error       *SDPSyntaxError, ErrInvalidArgument
//	SyntaxError (ICE servers)        ErrInvalidArgument
//	OperationError                   ErrInvalidArgument
//
// # One port
//
// A [UDPMux] has the host candidates of any number of connections on one UDP
// port. A server makes one with [ListenUDPMux], puts it into
// ICESettings.UDPMux of the API that makes its connections, and closes it when
// they have ended. The settings of host candidates hold for its addresses:
// NetworkTypes, InterfaceFilter, IPFilter and IncludeLoopback.
//
// Checks find their connection by its credentials, and all else by the
// address that it comes from. An address is a connection's from its first check
// with the right password on; another connection takes it over on a check that
// nominates it, provided that the address answers a check as well. What comes
// for nobody is dropped, counted by [UDPMux.Stats], and leaves nothing behind. A
// connection keeps 16 packets while no check of it has been answered, and then
// up to 512 packets and 512 KiB that its agent has not read. It has 64 remote
// addresses on a socket at most, and ending one takes the same time however
// many there are.
//
// Any other ice.UDPMux works too. What it sends goes through a queue of 128
// packets for each candidate, so that a write that blocks there holds up neither
// the agent nor its end.
//
// # Errors
//
// An error is an [*Error], which names the operation ("dtls start") and wraps
// the reason; io.EOF and ErrClosed come as they are where a stream or a channel
// has ended. Reasons are the sentinels of this package, a context's error and
// cause, [*DTLSAlertError], [*SCTPAbortError], [*DataLostError], or an error of
// a protocol module. Match them with errors.Is and errors.As. An Error is a net.Error;
// Timeout is true for deadlines and ErrHandshakeTimeout. ErrClosed also matches
// net.ErrClosed and io.ErrClosedPipe.
//
// A call that fails changes nothing, or leaves its object in a final state.
// An API, a gatherer, a transport or a channel that is nil or was not made by
// its constructor gives errors; methods of values panic on a nil pointer, as Go
// has it, those of a nil *ICECandidate for example. A constructor that returns
// no error reports what was wrong at the first call, and NewAPI, which checks
// the settings, at the first call that returns one.
//
// # Security
//
// By default a connection uses addresses only that were signaled or that an
// authenticated check has revealed, and for .local names that were signaled
// those that somebody on the link answers with; the peer's certificate is
// required, and has to match a signaled fingerprint of SHA-256 or stronger
// before any data is delivered; forged or malformed packets are dropped and end
// nothing; and every queue and count that a peer can make grow has a limit in
// the settings.
//
// What makes that weaker has Insecure in its field's name. These setters, which
// pion programs call, set such fields:
//
//   - DisableCertificateFingerprintVerification:
//     DTLSSettings.InsecureSkipFingerprintVerification. Anybody on the path can
//     be the peer.
//   - SetDTLSClientAuth: DTLSSettings.InsecureClientAuth. Below
//     RequireAnyClientCert a client needs no certificate.
//   - SetDTLSExtendedMasterSecret, if it disables:
//     DTLSSettings.InsecureDisableExtendedMasterSecret.
//   - SetDTLSKeyLogWriter: DTLSSettings.InsecureKeyLogWriter. Who has the log
//     can decrypt the session.
//   - SetSRTPProtectionProfiles, with a NULL profile:
//     SRTPSettings.InsecureAllowNull.
//   - DisableSRTPReplayProtection and DisableSRTCPReplayProtection:
//     SRTPSettings.InsecureDisableReplayProtection and
//     SRTPSettings.InsecureDisableRTCPReplayProtection.
//
// SetIncludeLoopbackCandidate weakens nothing of a connection, but lets the
// peer name loopback addresses, to which checks are then sent.
//
// # Deviations from pion/webrtc
//
// Names, parameters, JSON and the numbers and texts of the enums are those of
// pion/webrtc v4. These things differ. Where a line says "pion", it is about
// pion/webrtc v4.2.20, and otherwise about this package.
//
// Not here:
//
//   - SCTPTransport.GetSctpInit, whose chunk is in SCTPCapabilities.SCTPInit;
//   - RTPReceiver.RTPTransceiver: GetTransceivers has the one whose Receiver it is;
//   - AudioPlayoutStatsProvider, with NewAudioPlayoutStatsProvider: what is played out
//     is the program's alone;
//   - identity providers, which browsers have given up too;
//   - of SettingEngine: BufferFactory, DisableMediaEngineMultipleCodecs, for
//     sections agree on codecs one by one, and
//     SetHandleUndeclaredSSRCWithoutAnswer, for nothing arrives before an answer.
//
// What pion has for js/wasm only is not here either: JSValue, and
// DataChannel.OnClosing.
//
// Codecs, feedback and header extensions:
//
//   - MediaEngine.RegisterCodec refuses a payload type above 127, a MIME type of
//     the other kind of media, and texts that would be more than one line of
//     SDP. A clock rate of 0 becomes the codec's usual one; pion: stays 0.
//   - MediaEngine.RegisterHeaderExtension keeps directions for audio and for
//     video; pion: the last ones, for both. No kind of media is ErrUnknownType.
//   - MediaEngine.RegisterFeedback adds nothing to retransmissions, nor to other
//     formats that only serve another codec.
//   - The default interceptors count before the others, so that GetStats has round
//     trips and the NACKs that were sent; pion: after them.
//   - NACK has to be registered before ConfigureTWCCHeaderExtensionSender.
//     Otherwise a packet that is sent again without RTX would have another
//     transport-wide number than before, and is refused, since two packets would be
//     encrypted with the same key stream; pion: it is sent.
//   - The default interceptors of an API add what they need to its copies of the
//     MediaEngine; pion: to the program's own.
//   - The profiles that RFC 6184 has several profile-level-ids for are the same
//     H.264. Formats that only serve others are not what decides whether codecs
//     match exactly, nor matched alone.
//   - Of the structs that end in Stats, those of playout, streams, tracks,
//     senders and receivers are not here.
//
// Calls and types:
//
//   - SetNet takes the Net of pion/transport/v5.
//   - Errors are *Error values around sentinels. There is no package rtcerr,
//     and of pion's Err variables there are those that calls return here.
//   - The fields of ICECandidate and DataChannelParameters stand in another
//     order, so literals need field names.
//   - GetRemoteParameters before the start is ErrInvalidState; pion: empty.
//   - SCTPTransport.GetCapabilities is what we accept before the start; pion: 0.
//   - SCTPTransport.Start, called twice, is an error; pion: nil.
//   - SCTPTransport.Stop returns a [*DataLostError] if something had not been
//     sent.
//   - NewDataChannel may be called before the association is there; pion: an
//     error.
//   - The logger factory given to the function NewICETransport is not used.
//   - NewICEUDPMux returns a *UDPMux; pion: an *ice.UDPMuxDefault. Of its
//     addresses those are candidates that IPFilter, InterfaceFilter and
//     NetworkTypes allow; pion: all of them. Data from an address is taken when
//     a check from there was answered; pion: once something was sent there. An
//     agent whose ufrag another one on the mux has gets no candidates there;
//     pion: the two get each other's packets.
//
// Life:
//
//   - ICETransport.Restart and SetRemoteParameters; pion: only by offer.
//   - A restart of ICE has an agent of its own, and the old path carries data until
//     the new one is there; pion: the agent closes its sockets at once, and what
//     is never answered ends the connection.
//   - A gatherer has its agent from the constructor on, and so has to be closed;
//     pion: from Gather on. With a pool size it gathers from then on, and Gather
//     releases what it has found; pion: Gather begins, a PeerConnection releases.
//   - STUN and TURN servers are asked beside the agent, under the gatherer's
//     context, and their errors are told; pion: in the agent, which logs them,
//     and whose checks wait for a TURN server that is silent.
//   - A start whose context has ended closes its transport; pion: DTLS is
//     failed.
//   - DTLSTransport.Start may be called while ICE is still checking; before ICE
//     was started it is an error.
//   - When ICE has failed, DTLS, SCTP and the channels end with it; pion: they
//     stay open.
//   - DTLS and SCTP starts have a timeout of 30 s; pion: DTLS has none, SCTP
//     ends with its retransmissions.
//
// PeerConnection:
//
//   - It has an agent from its constructor on, and so has to be closed.
//   - Close of the peer's ends it with the reason; pion: it closes too, and tells
//     none.
//   - SetRemoteDescription with an offer takes back our own offer; pion: an
//     error.
//   - SetLocalDescription may be called with an empty description, as in
//     browsers.
//   - Candidates that come before the remote description wait for it; pion: an
//     error.
//   - A description with ICE credentials or fingerprints that the transports
//     cannot use is refused; pion: it fails when they start.
//   - OnNegotiationNeeded has a goroutine of its own and may wait for the
//     connection; pion: it runs between operations.
//   - OnSignalingStateChange is told closed, too.
//   - ICECandidatePoolSize may be any, and another one takes effect until a local
//     description is set; pion: 1 at most, and another is ignored. 0 drops what
//     servers gave. New ICEServers count for a pool that is not told yet; pion: for
//     what comes.
//   - Plan B is refused.
//   - A receiver and its track end with io.EOF when the peer takes the track away, and
//     another receiver comes with the next one; Receiver of the transceiver returns it.
//   - AddTrack refuses a track whose ID or StreamID has blanks; pion: the peer refuses
//     the offer.
//   - A sender of several encodings puts their RIDs into its packets, and sends one
//     alone to a peer that takes no simulcast; pion: the program does, and all are
//     sent.
//   - GetStats counts received packets when they are read, and has the streams of
//     senders and receivers that have not ended.
//
// Handlers and messages:
//
//   - Handlers of states run on the queue of their stack, one at a time and with
//     no lock held; pion: those of DTLS run in the goroutine that makes the
//     change, under the transport's lock.
//   - OnDataChannel gets a channel that is open already, and the handlers of
//     several channels run side by side; pion: one that does not return keeps
//     all other channels waiting.
//   - Messages that come before OnMessage is set wait for it; pion: they are
//     lost.
//   - OnOpen, OnDial and OnClose are called once, also when they are set again.
//   - Send fails with ErrBufferFull when too much is queued (16 MiB by
//     default); pion: it queues without bound.
//   - A channel has no goroutine and no buffer to read into; pion: one, and
//     64 KiB.
//   - OnBufferedAmountLow is called for one event after the other; pion: on a
//     goroutine for each.
//   - A stream that does not begin as a channel has to is reset; pion: it ends
//     the accepting of channels, and one whose first message is not complete
//     holds it up.
//
// Defaults:
//
//   - Remote candidates: loopback and link-local addresses are refused until
//     the settings allow them, unspecified and multicast addresses always, and
//     TCP candidates that we would have to dial are ignored until
//     ICESettings.EnableActiveTCP; 64 candidates and 100 pairs are the most.
//     SetRemoteCandidates adds all or none.
//   - Remote .local names are resolved by sockets that all gatherers of an API
//     share, opened at the first name; pion: each agent opens its own at once. A
//     Net whose UDP sockets are not *net.UDPConn resolves none.
//   - Fingerprints by md5 and sha-1 do not count, the strongest algorithm that
//     is understood decides, and others are skipped; pion: any that matches
//     suffices, and an unknown one before it is an error.
//   - GetRemoteCertificate is empty until the certificate has been verified.
//   - DTLS starts without the HelloVerify round trip, since ICE has validated
//     the address; SetDTLSInsecureSkipHelloVerify(false) brings it back. The
//     first retransmission comes after 100 ms.
//   - SCTP offers zero checksum; EnableSCTPZeroChecksum(false) stops it.
//   - The receive window is 6 MiB, and of messages up to 1 MiB are taken; pion:
//     1 MiB, and up to 1 GiB, of which no more than the window arrives.
//   - There can be 1,024 channels at a time, and 128 that nobody has accepted
//     yet; pion: 65,535.
//   - ICETransport.Role follows the outcome of a role conflict.
//
// Values:
//
//   - In the JSON of SCTPCapabilities a maxMessageSize of 0 means no limit, as in
//     SDP, and a side that has not said leaves it out; pion: 0 is not said. In
//     Go, 0 is not said and math.MaxUint32 no limit.
//   - ICECandidate.String is the candidate's text, which ParseICECandidate
//     reads; pion: a text for people.
//   - ICECandidate.ToJSON fills in usernameFragment if the candidate has it.
//   - UnmarshalText of a state or role, and UnmarshalJSON of an
//     ICETransportPolicy or ICECredentialType, refuse a text that they do not
//     know; pion: it becomes unknown, or the default.
//   - An ICEServer's port has to be 1 to 65535, and its URL has no user,
//     fragment or second transport.
//
// # Deviations from the W3C text
//
//   - A failed ICE transport ends what stands on it at once, since a transport
//     that nobody restarts leads nowhere. A negative ICESettings.FailedGrace
//     keeps the text's behavior.
//   - The ICE state completed is never reached: the agent does not tell when it
//     has checked all pairs.
//   - [ICECandidateError] has the step and the duration, too; the URL is as it was
//     configured.
package webrtc
