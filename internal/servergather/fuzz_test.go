package servergather

import (
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"
)

var plainTURN = &stun.URI{Scheme: stun.SchemeTypeTURN, Host: "192.0.2.9", Port: 3478, Proto: stun.ProtoTypeUDP}

// FuzzAnswer reads what a server, or anybody, sends as the answer of a binding
// request, and of a TURN server's.
func FuzzAnswer(f *testing.F) {
	server := netip.MustParseAddrPort("192.0.2.9:3478")
	id := [stun.TransactionIDSize]byte{1}
	for _, m := range []*stun.Message{
		stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: []byte{192, 0, 2, 1}, Port: 7}),
		stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingSuccess,
			&stun.MappedAddress{IP: []byte{192, 0, 2, 1}, Port: 7}),
		stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingError,
			&stun.ErrorCodeAttribute{Code: 420, Reason: []byte("no")}),
		stun.MustBuild(stun.NewTransactionIDSetter(id), stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse),
			stun.RawAttribute{Type: stun.AttrLifetime, Value: []byte{0, 0, 2, 0}}),
	} {
		f.Add(m.Raw)
	}
	request := stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingRequest)
	f.Fuzz(func(t *testing.T, packet []byte) {
		(&session{}).note(packet)
		if m := answerTo(request, packet); m != nil {
			mapped, err := reflexive(m, server)
			if err != nil {
				return
			}
			require.True(t, mapped.IsValid())
			require.NotZero(t, mapped.Port())
			require.False(t, mapped.Addr().IsUnspecified() || mapped.Addr().IsLoopback() || mapped.Addr().IsMulticast())
		}
	})
}
