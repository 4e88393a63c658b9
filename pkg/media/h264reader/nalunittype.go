package h264reader

import "fmt"

// NalUnitType says what is in a NAL unit. https://www.itu.int/rec/T-REC-H.264
// table 7-1
type NalUnitType uint8

// The types of H.264 that have a name here; the others are reserved or
// unspecified.
const (
	NalUnitTypeUnspecified              NalUnitType = 0  // for the use of others
	NalUnitTypeCodedSliceNonIdr         NalUnitType = 1  // slice of a picture that is no IDR picture
	NalUnitTypeCodedSliceDataPartitionA NalUnitType = 2  // slice data partition A
	NalUnitTypeCodedSliceDataPartitionB NalUnitType = 3  // slice data partition B
	NalUnitTypeCodedSliceDataPartitionC NalUnitType = 4  // slice data partition C
	NalUnitTypeCodedSliceIdr            NalUnitType = 5  // slice of an IDR picture, at which decoding can begin
	NalUnitTypeSEI                      NalUnitType = 6  // supplemental enhancement information
	NalUnitTypeSPS                      NalUnitType = 7  // sequence parameter set
	NalUnitTypePPS                      NalUnitType = 8  // picture parameter set
	NalUnitTypeAUD                      NalUnitType = 9  // access unit delimiter
	NalUnitTypeEndOfSequence            NalUnitType = 10 // end of a sequence
	NalUnitTypeEndOfStream              NalUnitType = 11 // end of the stream
	NalUnitTypeFiller                   NalUnitType = 12 // filler
	NalUnitTypeSpsExt                   NalUnitType = 13 // extension of a sequence parameter set
	NalUnitTypeCodedSliceAux            NalUnitType = 19 // slice of an auxiliary picture
)

var names = map[NalUnitType]string{
	NalUnitTypeUnspecified:              "Unspecified",
	NalUnitTypeCodedSliceNonIdr:         "CodedSliceNonIdr",
	NalUnitTypeCodedSliceDataPartitionA: "CodedSliceDataPartitionA",
	NalUnitTypeCodedSliceDataPartitionB: "CodedSliceDataPartitionB",
	NalUnitTypeCodedSliceDataPartitionC: "CodedSliceDataPartitionC",
	NalUnitTypeCodedSliceIdr:            "CodedSliceIdr",
	NalUnitTypeSEI:                      "SEI",
	NalUnitTypeSPS:                      "SPS",
	NalUnitTypePPS:                      "PPS",
	NalUnitTypeAUD:                      "AUD",
	NalUnitTypeEndOfSequence:            "EndOfSequence",
	NalUnitTypeEndOfStream:              "EndOfStream",
	NalUnitTypeFiller:                   "Filler",
	NalUnitTypeSpsExt:                   "SpsExt",
	NalUnitTypeCodedSliceAux:            "CodedSliceAux",
}

// String gives the name and the number, such as SPS(7).
func (n *NalUnitType) String() string {
	if n == nil {
		return "nil"
	}
	name, ok := names[*n]
	if !ok {
		name = "Unknown"
	}

	return fmt.Sprintf("%s(%d)", name, uint8(*n))
}
