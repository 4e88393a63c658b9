package webrtc

import (
	"sync"

	"github.com/pion/interceptor"

	"github.com/ctxrtc/webrtc/internal/mdnsnames"
)

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

	// media and interceptors are the program's own: what it registers after
	// NewAPI counts for what is made later. Use engine to read media.
	media        *MediaEngine
	interceptors *interceptor.Registry
	// fitted is set if the program gave no registry.
	fitted *fittedEngine

	// err is what is wrong with the settings. NewAPI has no error to return;
	// the constructors do.
	err error
}

// NewAPI makes an API. Without WithMediaEngine it has the default codecs, and
// without WithInterceptorRegistry the default interceptors. Contradictory
// settings, or settings out of range, are reported by the first call on it that
// can return an error.
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
	a.registerDefaults()
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

// WithMediaEngine gives the codecs and header extensions to NewAPI. What is
// registered until a PeerConnection is made counts for that one. Nil is an
// engine with nothing.
func WithMediaEngine(m *MediaEngine) func(a *API) {
	if m == nil {
		m = &MediaEngine{}
	}

	return func(a *API) {
		if a != nil && a.settings == nil {
			a.media = m
		}
	}
}

// WithInterceptorRegistry gives the interceptors to NewAPI. The registry must
// not be changed any more. Nil is a registry with nothing. A factory must not call
// the connection, or the transport, that it makes an interceptor for: whoever uses
// its media waits until the interceptors are made.
func WithInterceptorRegistry(ir *interceptor.Registry) func(a *API) {
	if ir == nil {
		ir = &interceptor.Registry{}
	}

	return func(a *API) {
		if a != nil && a.settings == nil {
			a.interceptors = ir
		}
	}
}

// defaultRegistrations are those of RegisterDefaultCodecs. All APIs without an
// engine of the program's share them, and fittedDefaults what the default
// interceptors make of them: programs may make an API for each connection.
var (
	defaultRegistrations = sync.OnceValues(func() (*registrations, error) {
		var m MediaEngine
		err := m.RegisterDefaultCodecs()

		return m.registered(), err
	})
	fittedDefaults fittedEngine
)

// registerDefaults fills in what no option gave.
func (a *API) registerDefaults() {
	fitted := new(fittedEngine)
	if a.media == nil {
		codecs, err := defaultRegistrations()
		a.media, fitted = &MediaEngine{now: codecs}, &fittedDefaults
		a.err = and(a.err, err)
	}
	if a.interceptors == nil {
		a.interceptors = &interceptor.Registry{}
		needs := a.media
		if !a.settings.Media.DisableEngineCopy {
			// It is in every copy of the engine: see engine.
			needs, a.fitted = &MediaEngine{}, fitted
		}
		a.err = and(a.err, RegisterDefaultInterceptorsWithOptions(needs, a.interceptors,
			WithInterceptorLoggerFactory(a.settings.loggerFactory())))
	}
}

// engine is a copy of what is registered now, with what the default
// interceptors need if they are used.
func (a *API) engine() (*MediaEngine, error) {
	switch {
	case a.settings.Media.DisableEngineCopy:
		return a.media, nil
	case a.fitted == nil:
		return a.media.copy(), nil
	}

	return a.fitted.fit(a.media)
}

// fittedEngine is a media engine together with what the default interceptors
// need. It is none of the program's own: another API may use that with a
// registry that has not these interceptors. It is kept because most programs
// register everything before the first of many connections.
type fittedEngine struct {
	mu   sync.Mutex
	from *registrations
	own  *MediaEngine
}

func (f *fittedEngine) fit(m *MediaEngine) (*MediaEngine, error) {
	from := m.registered()
	f.mu.Lock()
	known, own := f.from == from, f.own
	f.mu.Unlock()
	if known {
		return own.copy(), nil
	}
	own = m.copy()
	from = own.registered()
	if err := RegisterDefaultInterceptors(own, &interceptor.Registry{}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.from, f.own = from, own
	f.mu.Unlock()

	return own.copy(), nil
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
