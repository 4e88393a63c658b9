#!/bin/sh
# Makes the media files of this directory. Needs ffmpeg with libvpx, libx264,
# libx265, libaom and libopus, as Debian's has:
#
#     apt-get install -y --no-install-recommends ffmpeg
#
# One thread and the bit-exact flags keep a file the same from run to run of one
# version of ffmpeg; another version may give other bytes.
set -eu
cd "$(dirname "$0")"

exact='-hide_banner -loglevel error -y -threads 1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1'
video='testsrc=size=320x240:rate=30:duration=5,format=yuv420p'
audio='aevalsrc=0.2*sin(2*PI*440*t)|0.2*sin(2*PI*554*t):sample_rate=48000:duration=5'

# Key frames every second, so that a receiver that joins late has a picture soon.
# shellcheck disable=SC2086
{
	ffmpeg -f lavfi -i "$video" $exact -c:v libvpx -b:v 160k -g 30 -deadline good -cpu-used 2 -auto-alt-ref 0 -f ivf test.ivf
	ffmpeg -f lavfi -i "$video" $exact -c:v libvpx-vp9 -b:v 120k -g 30 -deadline good -cpu-used 4 -auto-alt-ref 0 -row-mt 0 -f ivf test-vp9.ivf
	ffmpeg -f lavfi -i "$video" $exact -c:v libaom-av1 -b:v 100k -g 30 -cpu-used 8 -usage realtime -row-mt 0 -f ivf test-av1.ivf
	ffmpeg -f lavfi -i "$video" $exact -c:v libx264 -profile:v baseline -level 3.1 -b:v 160k -g 30 -bf 0 -x264-params threads=1:sliced-threads=0 -f h264 test.h264
	ffmpeg -f lavfi -i "$video" $exact -c:v libx265 -b:v 120k -g 30 -bf 0 -x265-params pools=1:frame-threads=1:log-level=none:bframes=0:keyint=30 -f hevc test.h265
	# One packet of 20 ms a page: readers that send a page as one sample stay in time.
	ffmpeg -f lavfi -i "$audio" $exact -c:a libopus -b:a 64k -ac 2 -page_duration 20000 -serial_offset 1 -f ogg test.ogg
}
