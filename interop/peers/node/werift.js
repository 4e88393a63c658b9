// werift, an implementation in TypeScript alone.
import { RTCPeerConnection } from 'werift';
import { serve } from './stdio.js';

serve(RTCPeerConnection, 'werift');
