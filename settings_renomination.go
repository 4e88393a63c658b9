package webrtc

import (
	"time"

	"github.com/pion/ice/v4"
)

// NominationValueGenerator returns the value of the next nomination, each
// larger than the last. It must not block.
type NominationValueGenerator func() uint32

// RenominationSettings let the controlling side change the selected pair
// without a restart, when a better one is found.
// https://datatracker.ietf.org/doc/html/draft-thatcher-ice-renomination-01
type RenominationSettings struct {
	// Enabled turns renomination on; without it the rest means nothing.
	Enabled bool

	// Generator makes the values. If nil, each transport counts from 1.
	Generator NominationValueGenerator

	// Interval is the least time from the connect, or from one change, to the
	// next. If zero, 3 s.
	Interval time.Duration

	// Attribute is the type of the STUN attribute, on which both sides must
	// agree. If zero, 0xC001.
	Attribute uint16
}

// RenominationOption is an argument of SetICERenomination.
type RenominationOption func(*RenominationSettings) error

// WithRenominationGenerator sets the generator of nomination values. If nil,
// it is the default one.
func WithRenominationGenerator(generator NominationValueGenerator) RenominationOption {
	return func(r *RenominationSettings) error {
		r.Generator = generator

		return nil
	}
}

// WithRenominationInterval sets the least time between two changes. It must be
// positive.
func WithRenominationInterval(interval time.Duration) RenominationOption {
	return func(r *RenominationSettings) error {
		if interval <= 0 {
			return refuse(opRenomination, ErrInvalidArgument, "interval %v is not positive", interval)
		}
		r.Interval = interval

		return nil
	}
}

// WithRenominationNominationAttribute sets the type of the STUN attribute. It
// must not be 0.
func WithRenominationNominationAttribute(attrType uint16) RenominationOption {
	return func(r *RenominationSettings) error {
		if attrType == 0 {
			return refuse(opRenomination, ErrInvalidArgument, "attribute type 0 is reserved")
		}
		r.Attribute = attrType

		return nil
	}
}

const opRenomination = "set ICE renomination"

func (r *RenominationSettings) options() []ice.AgentOption {
	if !r.Enabled {
		return nil
	}

	generator := ice.NominationValueGenerator(r.Generator)
	if generator == nil {
		generator = ice.DefaultNominationValueGenerator()
	}
	options := []ice.AgentOption{
		ice.WithRenomination(generator),
		ice.WithAutomaticRenomination(r.Interval),
	}
	if r.Attribute != 0 {
		options = append(options, ice.WithNominationAttribute(r.Attribute))
	}

	return options
}
