package webrtc

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What pion/webrtc has and this package does not stands in the package comment, for
// whoever moves a program here, and stands there no longer once it is here.
func TestWhatIsNotHereIsListed(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, list, found := strings.Cut(string(doc), "// Not here:")
	require.True(t, found)
	list, _, found = strings.Cut(list, "// Codecs, feedback and header extensions:")
	require.True(t, found)
	for _, row := range []struct {
		of     reflect.Type
		method string
		name   string
	}{
		{reflect.TypeFor[*SCTPTransport](), "GetSctpInit", "SCTPTransport.GetSctpInit"},
		{reflect.TypeFor[*RTPReceiver](), "RTPTransceiver", "RTPReceiver.RTPTransceiver"},
		{reflect.TypeFor[*DataChannel](), "OnClosing", "DataChannel.OnClosing"},
		{reflect.TypeFor[*SettingEngine](), "DisableMediaEngineMultipleCodecs", "DisableMediaEngineMultipleCodecs"},
		{reflect.TypeFor[*SettingEngine](), "SetHandleUndeclaredSSRCWithoutAnswer", "SetHandleUndeclaredSSRCWithoutAnswer"},
	} {
		_, here := row.of.MethodByName(row.method)
		words := strings.Join(strings.Fields(strings.ReplaceAll(list, "//", "")), " ")
		require.Equal(t, here, !strings.Contains(words, row.name), row.name)
	}
}
