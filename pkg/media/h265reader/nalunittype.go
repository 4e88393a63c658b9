package h265reader

import "fmt"

// NalUnitType says what is in a NAL unit. https://www.itu.int/rec/T-REC-H.265
// table 7-1
type NalUnitType uint8

// The types of H.265 that have a name here; the others are reserved. Of two
// types of a slice that differ in the last letter, N is one that no picture of
// the same temporal layer refers to, and R one that may be referred to.
const (
	NalUnitTypeTrailN   NalUnitType = 0  // slice of a trailing picture
	NalUnitTypeTrailR   NalUnitType = 1  // slice of a trailing picture
	NalUnitTypeTsaN     NalUnitType = 2  // slice at which higher temporal layers can be joined
	NalUnitTypeTsaR     NalUnitType = 3  // slice at which higher temporal layers can be joined
	NalUnitTypeStsaN    NalUnitType = 4  // slice at which its own temporal layer can be joined
	NalUnitTypeStsaR    NalUnitType = 5  // slice at which its own temporal layer can be joined
	NalUnitTypeRadlN    NalUnitType = 6  // slice of a leading picture that can be decoded
	NalUnitTypeRadlR    NalUnitType = 7  // slice of a leading picture that can be decoded
	NalUnitTypeRaslN    NalUnitType = 8  // slice of a leading picture to be skipped after a start
	NalUnitTypeRaslR    NalUnitType = 9  // slice of a leading picture to be skipped after a start
	NalUnitTypeBlaWLp   NalUnitType = 16 // slice of a broken link picture, with leading pictures
	NalUnitTypeBlaWRadl NalUnitType = 17 // slice of a broken link picture, with decodable leading ones
	NalUnitTypeBlaNLp   NalUnitType = 18 // slice of a broken link picture, without leading ones
	NalUnitTypeIdrWRadl NalUnitType = 19 // slice of an IDR picture, with decodable leading ones
	NalUnitTypeIdrNLp   NalUnitType = 20 // slice of an IDR picture, without leading ones
	NalUnitTypeCraNut   NalUnitType = 21 // slice of a clean random access picture

	NalUnitTypeVps       NalUnitType = 32 // video parameter set
	NalUnitTypeSps       NalUnitType = 33 // sequence parameter set
	NalUnitTypePps       NalUnitType = 34 // picture parameter set
	NalUnitTypeAud       NalUnitType = 35 // access unit delimiter
	NalUnitTypeEos       NalUnitType = 36 // end of a sequence
	NalUnitTypeEob       NalUnitType = 37 // end of the bitstream
	NalUnitTypeFd        NalUnitType = 38 // filler
	NalUnitTypePrefixSei NalUnitType = 39 // supplemental enhancement information before the picture
	NalUnitTypeSuffixSei NalUnitType = 40 // supplemental enhancement information after it

	NalUnitTypeReserved41 NalUnitType = 41 // first that is reserved
	NalUnitTypeReserved47 NalUnitType = 47 // last that is reserved
	NalUnitTypeUnspec48   NalUnitType = 48 // first that is for the use of others
	NalUnitTypeUnspec63   NalUnitType = 63 // last that is for the use of others
)

var names = map[NalUnitType]string{
	NalUnitTypeTrailN:    "TrailN",
	NalUnitTypeTrailR:    "TrailR",
	NalUnitTypeTsaN:      "TsaN",
	NalUnitTypeTsaR:      "TsaR",
	NalUnitTypeStsaN:     "StsaN",
	NalUnitTypeStsaR:     "StsaR",
	NalUnitTypeRadlN:     "RadlN",
	NalUnitTypeRadlR:     "RadlR",
	NalUnitTypeRaslN:     "RaslN",
	NalUnitTypeRaslR:     "RaslR",
	NalUnitTypeBlaWLp:    "BlaWLp",
	NalUnitTypeBlaWRadl:  "BlaWRadl",
	NalUnitTypeBlaNLp:    "BlaNLp",
	NalUnitTypeIdrWRadl:  "IdrWRadl",
	NalUnitTypeIdrNLp:    "IdrNLp",
	NalUnitTypeCraNut:    "CraNut",
	NalUnitTypeVps:       "VPS",
	NalUnitTypeSps:       "SPS",
	NalUnitTypePps:       "PPS",
	NalUnitTypeAud:       "AUD",
	NalUnitTypeEos:       "EOS",
	NalUnitTypeEob:       "EOB",
	NalUnitTypeFd:        "FD",
	NalUnitTypePrefixSei: "PrefixSEI",
	NalUnitTypeSuffixSei: "SuffixSEI",

	NalUnitTypeReserved41: "Reserved",
	NalUnitTypeReserved47: "Reserved",
	NalUnitTypeUnspec48:   "Unspecified",
	NalUnitTypeUnspec63:   "Unspecified",
}

// String gives the name and the number, such as VPS(32).
func (n *NalUnitType) String() string {
	if n == nil {
		return "nil"
	}
	name, ok := names[*n]
	switch {
	case ok:
	case *n >= NalUnitTypeReserved41 && *n <= NalUnitTypeReserved47:
		name = "Reserved"
	case *n >= NalUnitTypeUnspec48 && *n <= NalUnitTypeUnspec63:
		name = "Unspecified"
	default:
		name = "Unknown"
	}

	return fmt.Sprintf("%s(%d)", name, uint8(*n))
}
