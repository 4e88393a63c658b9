// libdatachannel, as node-datachannel has it, with its W3C API.
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { serve } from './stdio.js';

serve(RTCPeerConnection, 'node-datachannel');
