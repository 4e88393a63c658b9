// libwebrtc, as @roamhq/wrtc has it.
import wrtc from '@roamhq/wrtc';
import { serve } from './stdio.js';

serve(wrtc.RTCPeerConnection, '@roamhq/wrtc');
