// libwebrtc, as @roamhq/wrtc has it.
import wrtc from '@roamhq/wrtc';
import { media } from './media-wrtc.js';
import { serve } from './stdio.js';

serve(wrtc.RTCPeerConnection, '@roamhq/wrtc', { media });
