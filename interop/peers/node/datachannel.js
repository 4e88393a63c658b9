// libdatachannel, as node-datachannel has it, with its W3C API.
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { serve } from './stdio.js';

// Its API has the defaults for every channel that the other side has made.
serve(RTCPeerConnection, 'node-datachannel', { blind: true });
