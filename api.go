package webrtc

import "github.com/ctxrtc/webrtc/internal/mdnsnames"

// API makes transports that share settings. Make one with NewAPI; the zero API
// is refused by every constructor. It may be used by any number of goroutines.
type API struct {
	// given is what options set; NewAPI alone reads it, so that an option
	// that is called later changes nothing.
	given *SettingEngine

	// settings are our own copy, with every default filled in. They never
	// change. They are nil in an API that NewAPI did not make.
	settings *SettingEngine

	// names finds the addresses behind .local names, and looks are at the machine's
	// interfaces, for all that the API makes.
	names *mdnsnames.Resolver
	looks *interfaceLooks

	// err is what is wrong with the settings. NewAPI has no error to return;
	// the constructors do.
	err error
}

// NewAPI makes an API. Contradictory settings, or settings out of range, are
// reported by the first call on it that can return an error.
func NewAPI(options ...func(*API)) *API {
	a := &API{}
	for _, option := range options {
		if option != nil {
			option(a)
		}
	}
	if a.given == nil {
		a.given = &SettingEngine{}
	}
	a.err = a.given.validate()
	a.settings = a.given.resolved()
	a.names = mdnsnames.New(a.settings.namesConfig())
	a.looks = new(interfaceLooks)
	a.given = nil

	return a
}

// WithSettingEngine gives the settings to NewAPI, which copies them: changing
// s afterwards changes nothing. Of two the last counts.
func WithSettingEngine(s SettingEngine) func(a *API) {
	return func(a *API) {
		if a != nil {
			a.given = &s
		}
	}
}

// ready refuses an operation on an API that cannot be used.
func (a *API) ready(op string) error {
	switch {
	case a == nil:
		return refuse(op, ErrInvalidArgument, "nil API")
	case a.settings == nil:
		return refuse(op, ErrInvalidArgument, "zero API: use NewAPI")
	case a.err != nil:
		return &Error{Op: op, Err: a.err}
	}

	return nil
}
